/** A file that becomes read-only while it is open, as a file system does that has met an error. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/core'
import { openWorld, type World } from './world.ts'

const STRICT = { realm: { rotation: { kind: 'strict' } }, provider: { reuse: { kind: 'strict' } } } as const
const tried = (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'done',
    (error: unknown) => (error instanceof TokenError ? error.code : String(error)),
  )

/** Also those that are open for writing: root passes every mode, and no file system is mounted anew while they are. */
const immutable = (sign: '+' | '-', files: readonly string[]): boolean =>
  spawnSync('chattr', [`${sign}i`, ...files]).status === 0

/** What is missing to make a file read-only while it is open, or null. */
function missing(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-immutable-'))
  const path = join(folder, 'file')
  const file = openSync(path, 'w')
  try {
    if (!immutable('+', [path])) return 'chattr +i needs root and a file system that knows it, such as ext4'
    writeSync(file, 'x')
    return 'this file system lets an immutable file be written by whoever has it open'
  } catch {
    return null
  } finally {
    immutable('-', [path])
    closeSync(file)
    rmSync(folder, { recursive: true, force: true })
  }
}

function lacks(t: TestContext): boolean {
  const reason = missing()
  if (reason !== null) t.diagnostic(`NOT RUN: ${reason}`)
  return reason !== null
}

/**
 * Makes the database and its log read-only until the returned function, or the end of the test. Not its `-shm`: that is
 * mapped, and the kernel ends (SIGBUS) whoever touches a mapped page that cannot be written any more.
 */
function readOnly(t: TestContext, { path }: World): () => void {
  const files = [path, `${path}-wal`].filter((file) => existsSync(file))
  assert.ok(immutable('+', files))
  const back = (): void => void immutable('-', files)
  t.after(back)
  return back
}

async function connectEnded(world: World, id: string): Promise<string> {
  const { sessionId, refreshToken } = await world.server.control.seedSession('external', { clientId: 'app' })
  assert.ok(refreshToken !== null)
  await world.keep.connections.import({ id, client: 'app', refreshToken })
  return sessionId
}

test('what lives is handed out, nothing is sent, and the error says why; all goes on when it can be written again', async (t) => {
  if (lacks(t)) return
  await using world = await openWorld(STRICT)
  const { accessToken } = await world.connect('living')
  const sessionId = await connectEnded(world, 'ended')
  const counters = () => world.server.control.counters('external', sessionId)
  const writable = readOnly(t, world)
  try {
    assert.equal((await world.keep.token('living')).accessToken, accessToken)
    assert.equal((await world.keep.connections.get('living')).status, 'ready')
    await assert.rejects(world.keep.token('ended', { waitMs: 1_000 }), {
      code: 'store_unavailable',
      retryable: true,
      message: /nothing is sent for connection "ended".*read-only/,
    })
    await assert.rejects(world.keep.apiKeys.create({ name: 'reports' }), {
      code: 'store_unavailable',
      message: /cannot be used now: .*read-only/,
    })
    assert.deepEqual([(await counters()).arrivals, (await counters()).presentations], [0, 0])
  } finally {
    writable()
  }
  assert.equal(await tried(world.keep.token('ended')), 'done')
  assert.equal((await counters()).presentations, 1)
})

test('an answer that comes while it cannot be written is handed out, and kept when it can', async (t) => {
  if (lacks(t)) return
  await using world = await openWorld(STRICT)
  const sessionId = await connectEnded(world, 'ended')
  const counters = () => world.server.control.counters('external', sessionId)
  await world.server.control.addFault({ fault: { kind: 'delay', ms: 1_000 }, when: 'after', times: 1, sessionId })
  const asked = world.keep.token('ended')
  while ((await counters()).presentations === 0) await pause(5)
  const writable = readOnly(t, world)
  let accessToken: string
  try {
    accessToken = (await asked).accessToken
  } finally {
    writable()
  }
  await world.keep.close()
  const again = await world.reopen()
  assert.equal((await again.token('ended')).accessToken, accessToken)
  assert.equal((await again.connections.get('ended')).generation, 2)
  const { presentations, secondPresentations, killed } = await counters()
  assert.deepEqual([presentations, secondPresentations, killed], [1, 0, false])
})
