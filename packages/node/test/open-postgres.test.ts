import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { nameOfPostgres, openTokenkeep } from '../src/index.ts'
import type { OpenOptions, Tokenkeep } from '../src/tokenkeep.ts'
import { freshUrl, lacksPostgres, postgres } from './contract/postgres-backend.ts'
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

test('a database that cannot be reached, or refuses, says so at the start, and never its password', async (t) => {
  if (lacksPostgres(t)) return
  const folder = folderOf(t)
  const url = new URL(await freshUrl())
  const password = url.password
  const cases: readonly (readonly [
    Partial<Pick<URL, 'port' | 'password' | 'pathname' | 'username'>>,
    string,
    RegExp,
  ])[] = [
    [{ port: '1' }, 'store_unavailable', /127\.0\.0\.1:1\/.*nothing listens there/],
    [{ password: 'a-wrong-canary' }, 'database_unusable', /refuses the user or the password/],
    [{ username: 'nobody_here' }, 'database_unusable', /refuses the user or the password/],
    [{ password: '' }, 'database_unusable', /asks for a password/],
    [{ pathname: '/not_made' }, 'database_unusable', /no database of this name/],
  ]
  for (const [change, code, words] of cases) {
    const other = Object.assign(new URL(url), change)
    const error = await refusal(() => openTokenkeep(onPostgres(folder, other.href)))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    for (const secret of [password, 'a-wrong-canary'])
      assert.ok(!JSON.stringify([error, error.message, error.stack]).includes(secret))
  }
})

test('a password with a special character that was not encoded is never taken for the name of a database', async (t) => {
  const folder = folderOf(t)
  const urls = [
    'postgres://nobody:4711/s3cr3t@127.0.0.1:1/t',
    'postgres://nobody:/s3cr3t@127.0.0.1:1/t',
    'postgres://keeper:12?s3cr3t@127.0.0.1:1/t',
    'postgres://keeper:12#s3cr3t@127.0.0.1:1/t',
    'postgres://keeper:a/s3cr3t@127.0.0.1:1/t',
    'postgres://keeper:a@b/s3cr3t@127.0.0.1:1/t',
  ]
  for (const url of urls) {
    const error = await refusal(() => openTokenkeep(onPostgres(folder, url)))
    assert.equal(error.code, 'invalid_input', url)
    assert.match(error.message, /write .*%/)
    assert.doesNotMatch(JSON.stringify([error, error.message, error.stack]), /s3cr3t|4711/)
  }
})

test('the name of a database says nothing that would end a line or reorder it, and an encoded @ is part of it', () => {
  assert.equal(nameOfPostgres('postgres://h/a%0Ab%1B%5B1m%E2%80%AE'), 'h:5432/a\uFFFDb\uFFFD[1m\uFFFD')
  assert.equal(nameOfPostgres('postgres:///d?host=%0Ah'), '\uFFFDh:5432/d')
  assert.equal(nameOfPostgres('postgres://me:p%40ss@h:6000/my%40db'), 'h:6000/my@db')
})

test('a database that holds no Tokenkeep is refused where none is to be made, and neither tables nor a key are', async (t) => {
  if (lacksPostgres(t)) return
  const folder = folderOf(t)
  const url = await freshUrl()
  const error = await refusal(() => openTokenkeep({ ...onPostgres(folder, url), create: false }))
  assert.deepEqual([error.code, /holds no Tokenkeep/.test(error.message)], ['database_unusable', true])
  const { server } = await postgres()
  const schema = String(new URL(url).searchParams.get('schema'))
  const made = `SELECT 1 FROM pg_namespace WHERE nspname = '${schema}'`
  assert.deepEqual(await server.admin(made, new URL(url).pathname.slice(1)), [])
  const path = join(folder, 'data', 'tokens.db')
  const noFile = await refusal(() =>
    openTokenkeep({ path, keyFile: join(folder, 'config', 'test.key'), background: false, create: false }),
  )
  assert.equal(noFile.code, 'folder_unusable')
  assert.deepEqual(readdirSync(folder), [])
  await (await openTokenkeep(onPostgres(folder, url))).close()
  await (await openTokenkeep({ ...onPostgres(folder, url), create: false })).close()
})

test('of two that start first together with two master keys, one makes the database and the other is refused', async (t) => {
  if (lacksPostgres(t)) return
  const folder = folderOf(t)
  const url = await freshUrl()
  const open = (name: string) => openTokenkeep({ ...onPostgres(folder, url), keyFile: join(folder, 'config', name) })
  const both = await Promise.allSettled([open('one.key'), open('other.key')])
  const opened = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const refused = both.flatMap((each) => (each.status === 'rejected' ? [each.reason as TokenError] : []))
  assert.deepEqual([opened.length, refused.map(({ code }) => code)], [1, ['key_wrong']])
  for (const keep of opened) await keep.close()
})

test('a user without permissions is told which it needs, and a schema that was made for it is enough', async (t) => {
  if (lacksPostgres(t)) return
  const folder = folderOf(t)
  const { server } = await postgres()
  const url = new URL(await freshUrl())
  const [schema, database] = [String(url.searchParams.get('schema')), url.pathname.slice(1)]
  await server.admin(`CREATE ROLE poor_${schema} LOGIN PASSWORD 'pw'`)
  url.username = `poor_${schema}`
  url.password = 'pw'
  const error = await refusal(() => openTokenkeep(onPostgres(folder, url.href)))
  assert.deepEqual([error.code, /needs CREATE/.test(error.message)], ['database_unusable', true], error.message)
  await server.admin(`CREATE SCHEMA ${schema} AUTHORIZATION poor_${schema}`, database)
  await (await openTokenkeep(onPostgres(folder, url.href))).close()
})

test('a schema of another program, a newer database and an older encoding are left alone', async (t) => {
  if (lacksPostgres(t)) return
  const folder = folderOf(t)
  const { server } = await postgres()
  const url = new URL(await freshUrl())
  const [schema, database] = [String(url.searchParams.get('schema')), url.pathname.slice(1)]
  await server.admin(
    `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.theirs (); GRANT ALL ON SCHEMA ${schema} TO public`,
    database,
  )
  const foreign = await refusal(() => openTokenkeep(onPostgres(folder, url.href)))
  assert.deepEqual([foreign.code, /tables of another program/.test(foreign.message)], ['database_unusable', true])
  const own = await freshUrl()
  await (await openTokenkeep(onPostgres(folder, own))).close()
  await server.admin(
    `UPDATE ${String(new URL(own).searchParams.get('schema'))}.installation SET version = 1000`,
    database,
  )
  assert.equal((await refusal(() => openTokenkeep(onPostgres(folder, own)))).code, 'newer_database')
  await server.admin(`CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`)
  const latin = new URL(server.adminUrl)
  latin.pathname = '/latin'
  assert.match((await refusal(() => openTokenkeep(onPostgres(folder, latin.href)))).message, /not UTF8/)
})
