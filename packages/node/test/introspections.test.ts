/** Introspection on a schedule, in the background of a real Tokenkeep (RFC 7662). When it asks is `core/test/introspections.test.ts`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openWorld } from './world.ts'

const UNTIL_MS = 20_000

test('a token that is inactive is not handed out any more, and a refresh decides; asking alone presents nothing', async () => {
  await using world = await openWorld({ provider: { introspectEveryMs: 60_000 }, open: { background: true } })
  const ended = await world.connect('ended', { accessTokenSeconds: 36_000 })
  const lives = await world.connect('lives', { accessTokenSeconds: 36_000 })
  const presented = async ({ sessionId }: { sessionId: string }): Promise<number> =>
    (await world.server.control.counters('external', sessionId)).presentations
  const introspected = async (): Promise<number> =>
    (await world.server.control.requests()).filter(({ endpoint }) => endpoint === 'introspect').length
  for (const id of ['ended', 'lives']) await world.keep.token(id)
  await world.server.control.killSession('external', ended.sessionId)
  assert.equal((await world.keep.token('ended')).accessToken, ended.accessToken, 'nobody has said anything yet')
  const deadline = Date.now() + UNTIL_MS
  while ((await introspected()) < 2 || (await presented(ended)) < 1) {
    assert.ok(Date.now() < deadline, 'in vain')
    // A round is a second: they have to come while it is in use.
    await new Promise((then) => setTimeout(then, 500))
    world.clocks.forward(31_000)
    for (const id of ['ended', 'lives']) await world.keep.token(id, { waitMs: 1 }).catch(() => undefined)
  }
  // Refused once or, as the clock goes on, confirmed: what decides is a refresh like any other.
  await assert.rejects(world.keep.token('ended', { waitMs: 1 }), { name: 'TokenError' })
  assert.equal((await world.keep.token('lives')).accessToken, lives.accessToken)
  assert.equal(await presented(lives), 0)
})
