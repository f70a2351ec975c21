import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { openTokenkeep } from '../src/index.ts'
import type { OpenOptions, Tokenkeep } from '../src/tokenkeep.ts'
import { freshUrl, lacksPostgres } from './contract/postgres-backend.ts'
import { openWorld } from './world.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-postgres-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const onPostgres = (folder: string, url: string): OpenOptions => ({
  postgres: url,
  stateFolder: join(folder, 'state'),
  keyFile: join(folder, 'config', 'test.key'),
  background: false,
})

async function refusal(act: () => Promise<Tokenkeep>): Promise<TokenError> {
  try {
    await (await act()).close()
  } catch (error) {
    assert.ok(error instanceof TokenError, String(error))
    return error
  }
  throw new Error('it opened')
}

test('what one process keeps in Postgres, another hands out and refreshes, and the refresh is seen by the first', async (t) => {
  if (lacksPostgres(t)) return
  const folder = folderOf(t)
  const url = await freshUrl()
  await using world = await openWorld({ open: { ...onPostgres(folder, url), path: undefined } })
  const { accessToken } = await world.connect('dealer-1')
  const other = await world.reopen()
  assert.equal((await other.token('dealer-1')).accessToken, accessToken)
  await other.rejected('dealer-1', accessToken)
  const next = await other.token('dealer-1')
  assert.notEqual(next.accessToken, accessToken)
  assert.equal((await world.keep.token('dealer-1', { minTtlMs: 1 })).accessToken, next.accessToken)
})

test('a file and a database at once, or neither, are refused with what to give', async (t) => {
  const folder = folderOf(t)
  const both = await refusal(() =>
    openTokenkeep({ ...onPostgres(folder, 'postgres://h/d'), path: join(folder, 'x.db') }),
  )
  assert.equal(both.code, 'invalid_input')
  assert.match(both.message, /not both/)
  const neither = await refusal(() => openTokenkeep({}))
  assert.match(neither.message, /path.*postgres/)
})
