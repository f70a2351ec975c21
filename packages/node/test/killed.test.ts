import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Rotation } from '@tokenkeep/devserver'
import type { ReusePolicy } from '@tokenkeep/core'
import { openWorld, type World } from './world.ts'

const CHILD = fileURLToPath(new URL('killed-child.ts', import.meta.url))

/** Runs the child and kills it after so many tokens; resolves with what it said when it is gone. */
async function live(world: World, ids: readonly string[], life: number, tokens: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--conditions=tokenkeep-source', CHILD], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const orders = { path: world.path, keyFile: join(world.folder, 'config', 'test.key'), ids, life }
  child.stdin.end(`${JSON.stringify(orders)}\n`)
  let said = ''
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.split('\n').filter((line) => line.startsWith('ok')).length >= tokens) child.kill('SIGKILL')
  })
  const stop = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await gone
  clearTimeout(stop)
  return said.split('\n')
}

async function killAgainAndAgain(rotation: Rotation, reuse: ReusePolicy, kills: number) {
  const world = await openWorld({ realm: { accessTokenSeconds: 300, rotation }, provider: { reuse } })
  const ids: string[] = []
  let tokens = 0
  for (let life = 1; life <= kills; life += 1) {
    // New ones each time, because those that the kill left in doubt rightly wait for the end of their access token.
    for (let count = 0; count < 3; count += 1) {
      ids.push(`dealer-${ids.length + 1}`)
      await world.connect(ids.at(-1) ?? '')
    }
    // A different point of the work each time: the count at which the kill comes, and whatever runs beside it.
    const said = await live(world, ids, life, 3 + ((life * 7) % 23))
    tokens += said.filter((line) => line.startsWith('ok')).length
  }
  return { world, ids, tokens, sessions: await world.server.control.sessions('external') }
}

test('killed 12 times in the middle of its work and started again, it presents nothing twice at a strict provider', async () => {
  const { world, tokens, sessions } = await killAgainAndAgain({ kind: 'strict' }, { kind: 'strict' }, 12)
  await using _ = world
  assert.ok(tokens >= 60, `the child got only ${tokens} tokens`)
  assert.equal(sessions.length, 36)
  for (const session of sessions) {
    assert.equal(session.secondPresentations, 0, `session of ${session.subject}`)
    assert.equal(session.killed, false)
  }
})

test('killed 6 times with a grace of 10 s, every connection is alive at the end', async () => {
  const { world, ids, tokens, sessions } = await killAgainAndAgain(
    { kind: 'grace', seconds: 10 },
    { kind: 'grace', seconds: 10, winner: 'any' },
    6,
  )
  await using _ = world
  assert.ok(tokens >= 15, `the child got only ${tokens} tokens`)
  for (const id of ids) await world.keep.token(id, { resource: 'https://api.example/afterwards' })
  for (const session of sessions) assert.equal(session.killed, false)
  for (const { status } of await world.keep.connections.list()) assert.equal(status, 'ready')
})
