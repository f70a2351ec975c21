/** Behind PgBouncer in transaction mode, which this machine may have or not: every statement may meet another session. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort, postgresMissing } from '@tokenkeep/testpostgres'
import { openPostgresSession } from '../src/postgres-session.ts'
import { freshUrl, postgres } from './contract/postgres-backend.ts'
import { openWorld } from './world.ts'

const NOBODY = 65534

/** Starts a pooler before the database of `url`, with fewer sessions than one process would take. */
async function pooled(t: TestContext, url: URL): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-pooler-'))
  chmodSync(folder, 0o755)
  const port = await freePort()
  const [users, settings] = [join(folder, 'users'), join(folder, 'settings.ini')]
  writeFileSync(users, `"${url.username}" "${url.password}"\n`)
  writeFileSync(
    settings,
    `[databases]
* = host=${url.hostname} port=${url.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
`,
  )
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  const pooler = spawn('pgbouncer', [settings], { ...user, stdio: 'ignore' })
  t.after(async () => {
    const ended = once(pooler, 'exit')
    pooler.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  const through = new URL(url)
  through.port = String(port)
  await untilItAnswers(through.href)
  return through.href
}

async function untilItAnswers(url: string): Promise<void> {
  for (;;) {
    const session = await openPostgresSession({ connectionString: url.replace(/\?.*/, ''), name: 'a pooler' }).catch(
      () => null,
    )
    if (session !== null) return session.close()
    await pause(20)
  }
}

test(
  'behind a pooler two processes refresh each token once, and rely on nothing that a session keeps',
  { timeout: 60_000 },
  async (t) => {
    const missing =
      postgresMissing() ??
      (spawnSync('pgbouncer', ['--version']).status === 0 ? null : 'there is no pgbouncer on this machine')
    if (missing !== null) return t.diagnostic(`NOT RUN: ${missing}`)
    const direct = new URL(await freshUrl())
    const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-pooled-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    await using world = await openWorld({
      realm: { accessTokenSeconds: 300, rotation: { kind: 'strict' } },
      provider: { reuse: { kind: 'strict' } },
      open: {
        path: undefined,
        postgres: await pooled(t, direct),
        stateFolder: join(folder, 'state'),
        keyFile: join(folder, 'config', 'test.key'),
      },
    })
    assert.deepEqual(world.keep.coordination(), { hearsCommits: false, seesLocks: false, behindPooler: true })
    const ids = Array.from({ length: 20 }, (_, index) => `dealer-${index}`)
    const before = await Promise.all(ids.map((id) => world.connect(id)))
    const other = await world.reopen()
    for (const [index, id] of ids.entries()) await world.keep.rejected(id, before[index]!.accessToken)
    const after = await Promise.all(ids.map((id) => Promise.all([world.keep.token(id), other.token(id)])))
    for (const [index, [one, two]] of after.entries()) {
      assert.notEqual(one.accessToken, before[index]?.accessToken)
      assert.equal(one.accessToken, two.accessToken)
    }
    const sessions = await world.server.control.sessions('external')
    assert.deepEqual(
      new Set(sessions.map(({ presentations, killed }) => `${presentations} ${killed}`)),
      new Set(['1 false']),
    )
    const { server } = await postgres()
    const [count] = await server.admin(
      `SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE usename = '${direct.username}' AND application_name = 'tokenkeep'`,
    )
    assert.ok(Number(count?.['sessions']) <= 3, 'the pooler lends three')
  },
)
