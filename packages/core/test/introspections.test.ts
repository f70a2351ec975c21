/** When a provider is asked whether a token in use is active: never more often than it says, and never before a refresh. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIntrospections, ms, type ConnectionId, type Provider } from '@tokenkeep/core'
import { createWorld, MIN, S, START } from './manager-world.ts'

const EVERY = { introspectEveryMs: ms(MIN) }
type Answer = 'active' | 'inactive' | 'unsupported' | 'unavailable'

async function questionsOf(provider: Partial<Provider>, ids: readonly string[] = ['x']) {
  const world = createWorld(provider)
  const { custody, manager, ports } = world.start('A')
  for (const id of ids) {
    await custody.import({
      id,
      client: 'c',
      refreshToken: `rt ${id}`,
      accessToken: `at ${id}`,
      expiresAt: START + 500 * MIN,
    })
  }
  const asked: string[] = []
  let answer: Answer = 'active'
  /** Each is answered when all are let go. */
  let held: Promise<void> = Promise.resolve()
  const introspections = createIntrospections(ports, manager, async (id) => {
    asked.push(id)
    await held
    return answer
  })
  return {
    ...world,
    asked,
    introspections,
    use: async (...used: readonly string[]) => {
      for (const id of used) await manager.token(id)
    },
    /** What was used a minute ago is no longer in use. */
    forget: () => {
      for (let second = 0; second < 60; second += 1) manager.cache.usedLately()
    },
    /** One without an access token, whose refresh is answered so. */
    toldToWait: async (id: string, retryAfter: string) => {
      await custody.import({ id, client: 'c', refreshToken: 'rt-0' })
      world.scripts.push({ answer: { status: 429, body: {}, retryAfter } })
      void manager.token(id, { waitMs: S }).catch(() => undefined)
      await world.pass(2 * S)
    },
    answers: (given: Answer) => (answer = given),
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return resolve
    },
    /** A minute of rounds, one a second; or as many as are said. */
    rounds: async (count = 60) => {
      for (let round = 0; round < count; round += 1) {
        await introspections.round()
        await world.pass(S)
      }
    },
  }
}

test('a token in use is asked about once in its interval, and first within it, at a moment of its own', async () => {
  const of = await questionsOf(EVERY, ['x', 'y'])
  await of.use('x', 'y')
  await of.rounds(30)
  assert.deepEqual(of.asked, [], 'it was read half an interval ago')
  await of.rounds(31)
  assert.deepEqual(of.asked.toSorted(), ['x', 'y'])
  await of.rounds(600)
  assert.ok(of.asked.length <= 22 && of.asked.length >= 20, `${of.asked.length} questions in eleven minutes about two`)
})

test('one that nobody uses is not asked about, and one that is used again is at once', async () => {
  const of = await questionsOf(EVERY)
  await of.use('x')
  await of.rounds(2)
  of.forget()
  await of.rounds(90)
  assert.deepEqual(of.asked, [])
  await of.use('x')
  await of.rounds(1)
  assert.deepEqual(of.asked, ['x'])
})

test('a provider that says nothing of it is not asked', async () => {
  const of = await questionsOf({})
  await of.use('x')
  await of.rounds(200)
  assert.deepEqual(of.asked, [])
})

test('a provider without introspection is asked once an hour', async () => {
  const of = await questionsOf(EVERY)
  of.answers('unsupported')
  await of.use('x')
  await of.rounds(3_500)
  assert.equal(of.asked.length, 1)
  await of.rounds(200)
  assert.equal(of.asked.length, 2)
})

test("a provider's limits hold for questions, however many are due", async () => {
  const ids = Array.from({ length: 6 }, (_, n) => `x${n}`)
  const slow = await questionsOf({ ...EVERY, requestsPerMinute: 2 }, ids)
  await slow.use(...ids)
  await slow.rounds(60)
  assert.ok(slow.asked.length <= 2, `${slow.asked.length} in the first minute`)
  await slow.rounds(60)
  assert.ok(slow.asked.length >= 3 && slow.asked.length <= 4, `${slow.asked.length} in the first two minutes`)
  const narrow = await questionsOf({ ...EVERY, concurrency: 1 }, ids)
  const go = narrow.hold()
  await narrow.use(...ids)
  await narrow.rounds(61)
  assert.equal(narrow.asked.length, 1, 'the first has no answer yet')
  go()
  await narrow.rounds(10)
  assert.equal(narrow.asked.length, 6)
})

test('while a provider asks us to wait nobody asks', async () => {
  const of = await questionsOf(EVERY)
  await of.use('x')
  await of.rounds(20)
  await of.toldToWait('y', '50')
  await of.rounds(42)
  assert.deepEqual(of.asked, [], 'it is due, and refreshes ahead are held back')
  await of.rounds(30)
  assert.deepEqual(of.asked, ['x'])
})

test('at most eight are on their way, whatever the provider allows', async () => {
  const ids = Array.from({ length: 20 }, (_, n) => `x${n}`)
  const of = await questionsOf({ ...EVERY, concurrency: null }, ids)
  const go = of.hold()
  await of.use(...ids)
  await of.rounds(61)
  assert.equal(of.asked.length, 8)
  go()
  await of.rounds(1)
  assert.equal(of.asked.length, 20)
})

test('whom an event may have ended is asked about at once, also where nothing is scheduled', async () => {
  const of = await questionsOf({}, ['x', 'y'])
  for (const id of ['x', 'gone']) of.introspections.soon(id as ConnectionId)
  await of.pass(S)
  assert.deepEqual(of.asked, ['x'])
})

test('stopped, nothing more is asked', async () => {
  const of = await questionsOf(EVERY)
  await of.use('x')
  await of.rounds(5)
  of.introspections.stop()
  of.introspections.soon('x' as ConnectionId)
  await of.rounds(120)
  assert.deepEqual(of.asked, [])
})
