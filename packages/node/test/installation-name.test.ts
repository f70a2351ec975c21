/** The installation's name becomes the name of files and folders; whoever writes the database could put a path there. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { freshUrl, lacksPostgres, postgres } from './contract/postgres-backend.ts'
import { openWorld } from './world.ts'

const ELSEWHERE = '../../elsewhere'

test('a SQLite database that calls its installation by a path is refused', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const sql = new DatabaseSync(world.path)
  sql.prepare('UPDATE installation SET installation = ?').run(ELSEWHERE)
  sql.close()
  await assert.rejects(() => world.reopen(), { code: 'folder_unusable', message: /no UUID/ })
})

test('a Postgres database that calls its installation by a path is refused, and no folder is made there', async (t) => {
  if (lacksPostgres(t)) return
  const url = await freshUrl()
  const parent = mkdtempSync(join(tmpdir(), 'tokenkeep-named-'))
  t.after(() => rmSync(parent, { recursive: true, force: true }))
  const stateFolder = join(parent, 'one', 'two', 'three')
  await using world = await openWorld({ open: { path: undefined, postgres: url, stateFolder } })
  await world.keep.close()
  const { server } = await postgres()
  const schema = String(new URL(url).searchParams.get('schema'))
  await server.admin(`UPDATE ${schema}.installation SET installation = '${ELSEWHERE}'`, new URL(url).pathname.slice(1))
  await assert.rejects(() => world.reopen(), { code: 'database_unusable', message: /no UUID/ })
  assert.deepEqual(readdirSync(join(parent, 'one')), ['two'])
})
