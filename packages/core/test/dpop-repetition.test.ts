/**
 * The second request of an attempt, after a server refused the proof of the first one for want of a nonce (RFC 9449
 * section 8): the one exception from "a ticket is taken once", and when there is none.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorld, follow, S, withX, type Script, type World } from './manager-world.ts'

const BOUND = { tokenEndpointAuthMethod: 'client_secret_basic', dpopBoundAccessTokens: true } as const
const bound = (provider: Parameters<typeof createWorld>[0] = {}): World => createWorld(provider, BOUND)

const ASKED = { status: 400, body: { error: 'use_dpop_nonce' }, dpopNonce: 'a nonce' } as const
const asks = (afterMs = 10): Script => ({ answer: ASKED, afterMs })

/** What left, and in which attempt. */
const left = ({ presented }: World): readonly string[] =>
  presented.map(({ refreshToken, row: { state } }) => {
    assert.ok(state.status === 'presenting')
    return `${refreshToken} in attempt ${state.attempt.fence}`
  })
/** The requests of the first attempt; later ones have rules of their own. */
const ofTheFirst = (world: World): readonly string[] => left(world).filter((each) => each.endsWith('attempt 1'))
const ONCE = ['rt-0 in attempt 1']
const TWICE = ['rt-0 in attempt 1', 'rt-0 in attempt 1']

test('a server that asks for a nonce gets the same refresh token once more, inside the same attempt', async () => {
  const world = bound()
  const one = await withX(world)
  world.scripts.push(asks())
  const fate = follow(one.manager.token('x'))
  await world.pass(S)
  assert.equal(fate.token, 'at-1')
  assert.deepEqual(left(world), TWICE)
  assert.equal(world.row().fence, 1)
  assert.equal(world.roomsTaken(), 0)
})

test('a server that asks twice is not asked a third time', async () => {
  const world = bound()
  const one = await withX(world)
  world.scripts.push(asks(), asks())
  const fate = follow(one.manager.token('x'))
  await world.pass(S)
  assert.equal(fate.code, 'blocked')
  assert.deepEqual(left(world), TWICE)
})

const NEW = { access_token: 'at-new', refresh_token: 'rt-new', expires_in: 3600, token_type: 'DPoP' }
const SAYS_MORE: readonly (readonly [string, NonNullable<Script['answer']>])[] = [
  ['that brings tokens', { ...ASKED, body: { ...ASKED.body, ...NEW } }],
  ['that brings a refresh token', { ...ASKED, body: { ...ASKED.body, refresh_token: 'rt-new' } }],
  ['that brings an access token', { ...ASKED, status: 200, body: { ...ASKED.body, access_token: 'at-new' } }],
  ['whose end did not come', { ...ASKED, cut: true }],
  ['that brings no nonce', { status: 400, body: ASKED.body }],
  ['that asks in words of its own', { ...ASKED, body: { error_description: 'use_dpop_nonce' } }],
]
for (const [what, answer] of SAYS_MORE) {
  test(`an answer ${what} asks for no second request`, async () => {
    const world = bound()
    const one = await withX(world)
    world.scripts.push({ answer })
    follow(one.manager.token('x'))
    await world.pass(S)
    assert.deepEqual(ofTheFirst(world), ONCE)
  })
}

test('without a key nothing is repeated', async () => {
  const world = createWorld()
  const one = await withX(world)
  world.scripts.push(asks())
  const fate = follow(one.manager.token('x'))
  await world.pass(S)
  assert.equal(fate.code, 'blocked')
  assert.deepEqual(left(world), ONCE)
})

test('an attempt that was given up is not gone on with, though its answer came while nobody could be told', async () => {
  const world = bound({ reuse: { kind: 'grace', seconds: 60, winner: 'any' } })
  const one = await withX(world)
  world.scripts.push(asks(11 * S))
  follow(one.manager.token('x'))
  await world.pass(9 * S)
  world.fails.add('commit')
  await world.pass(2.5 * S)
  assert.deepEqual(left(world), ONCE)
})

test('a slow server that asks for a nonce gets it under a lease that was renewed', async () => {
  const world = bound()
  const one = await withX(world)
  world.scripts.push(asks(40 * S))
  follow(one.manager.token('x'))
  await world.pass(41 * S)
  assert.deepEqual(left(world), TWICE)
  assert.deepEqual(world.row().state, { status: 'ready', backOff: null })
})

test('a sign-in that was replaced meanwhile is not presented again, and whoever waits gets a token of the new one', async () => {
  const world = bound()
  const one = await withX(world)
  const other = world.start('B')
  world.scripts.push(asks(2 * S))
  const fate = follow(one.manager.token('x'))
  await world.pass(S)
  world.server.current = 'rt-new'
  await other.custody.reconnect('x', { refreshToken: 'rt-new', scope: 'a b' })
  await world.pass(3 * S)
  assert.equal(fate.token, 'at-1')
  assert.deepEqual(left(world).toSorted(), [...ONCE, 'rt-new in attempt 3'].toSorted())
})

test('a connection that is deleted meanwhile is not presented again', async () => {
  const world = bound()
  const one = await withX(world)
  const other = world.start('B')
  world.scripts.push(asks(2 * S))
  follow(one.manager.token('x'))
  await world.pass(S)
  void other.custody.delete('x').catch(() => undefined)
  await world.pass(5 * S)
  assert.deepEqual(left(world), ONCE)
})

test('while the store is away nothing is sent a second time, and nobody is blamed', async () => {
  const world = bound()
  const one = await withX(world)
  world.scripts.push(asks(2 * S))
  const fate = follow(one.manager.token('x'))
  await world.pass(S)
  world.fails.add('renew')
  await world.pass(20 * S)
  assert.equal(fate.token, 'at-1')
  assert.deepEqual(left(world), [...ONCE, 'rt-0 in attempt 2'])
})

test('another session of the store may have lost the intent: nothing is sent a second time', async () => {
  const world = bound()
  const one = await withX(world)
  world.scripts.push(asks(2 * S))
  follow(one.manager.token('x'))
  await world.pass(S)
  world.restartStore()
  await world.pass(5 * S)
  assert.deepEqual(ofTheFirst(world), ONCE)
})

test('who wakes with the question of a server after others took over says nothing more', async () => {
  const world = bound()
  const one = await withX(world)
  const other = world.start('B')
  world.scripts.push(asks(2 * S))
  follow(one.manager.token('x'))
  await world.pass(S)
  const wake = world.freeze(one)
  void follow(other.manager.token('x', { waitMs: 60 * S }))
  await world.pass(50 * S)
  assert.equal(world.row().state.status, 'in_doubt')
  wake()
  await world.pass(S)
  assert.deepEqual(left(world), ONCE)
})

test('between the two requests a crash leaves a doubt, and who follows presents when nothing is left to protect', async () => {
  const world = bound()
  const one = await withX(world, 60 * S)
  await world.pass(40 * S)
  world.scripts.push(asks(S))
  // So near its end it is handed out and refreshed.
  follow(one.manager.token('x'))
  await world.pass(S / 2)
  world.connectIn(5 * S)
  await world.pass(S)
  assert.deepEqual([left(world), world.dialled.length], [ONCE, 2])
  world.kill(one)
  const other = world.start('B')
  world.connectIn(0)
  await world.pass(10)
  await other.manager.watches.buryTheDead()
  const { state } = world.row()
  assert.equal(state.status, 'in_doubt')
  assert.equal((await other.manager.token('x')).accessToken, 'at-0')
  assert.deepEqual(left(world), ONCE)
  await world.pass(15 * S)
  assert.deepEqual(left(world), ONCE)
  await world.pass(10 * S)
  const fate = follow(other.manager.token('x'))
  await world.pass(5 * S)
  assert.equal(fate.token, 'at-1')
  assert.deepEqual(left(world), [...ONCE, 'rt-0 in attempt 2'])
})
