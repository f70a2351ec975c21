/** What an operator asks of all connections at once, over HTTP. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createSystemClock } from '@tokenkeep/node'
import { later, ms } from '@tokenkeep/core'
import { createOverviews } from '../src/http/overview.ts'
import { openApiWorld, type ApiWorld } from './api-world.ts'
import { readAnswer } from './contract.ts'

let api: ApiWorld
before(async () => {
  api = await openApiWorld()
  await api.world.connect('mine', {}, { labels: { team: 'blue' } })
  await api.world.connect('other', {}, { labels: { team: 'red' } })
})
after(() => api[Symbol.asyncDispose]())

test('an overview counts all for a key without labels, and for a limited one only what it sees', async () => {
  const totalFor = async (key: string): Promise<unknown> => {
    const { total, labels, providers } = readAnswer(await api.ask('getOverview', { key })).body
    return { total, labels, ofProvider: (providers as readonly { total: unknown }[]).map((each) => each.total) }
  }
  const count = (all: number) => ({ count: all, at_least: false })
  assert.deepEqual(await totalFor((await api.key(['connections:read'])).key), {
    total: count(2),
    labels: {},
    ofProvider: [count(2)],
  })
  const limited = await api.key(['connections:read'], { team: 'blue' })
  assert.deepEqual(await totalFor(limited.key), { total: count(1), labels: { team: 'blue' }, ofProvider: [] })
  const answer = await api.ask('getOverview', { key: (await api.key(['token:read'])).key })
  assert.equal(answer.status, 403)
})

test('fifty who ask at once are answered by one count, and who asks later than two seconds by another', async () => {
  let counted = 0
  let passedMs = ms(0)
  const { connections } = api.keep
  const overview: typeof connections.overview = (labels) => {
    counted += 1
    return connections.overview(labels)
  }
  const system = createSystemClock()
  const now = () => ({ ...system.now(), mono: later(system.now().mono, passedMs) })
  const overviews = createOverviews({ keep: { connections: { ...connections, overview } }, clock: { now } })
  const answers = await Promise.all(Array.from({ length: 50 }, () => overviews({})))
  assert.equal(counted, 1)
  assert.equal(new Set(answers).size, 1)
  await overviews({ team: 'blue' })
  assert.equal(counted, 2, 'a limited key is told nothing of others')
  await overviews({})
  assert.equal(counted, 2)
  passedMs = ms(60_000)
  await overviews({})
  assert.equal(counted, 3)
})

test('a count that failed is told to those who asked meanwhile, and not kept', async () => {
  const { connections } = api.keep
  let fails = true
  const overview: typeof connections.overview = (labels) =>
    fails ? Promise.reject(new Error('the database is away')) : connections.overview(labels)
  const overviews = createOverviews({ keep: { connections: { ...connections, overview } }, clock: createSystemClock() })
  await assert.rejects(overviews({}), /away/)
  fails = false
  assert.equal((await overviews({})).total.count, 2)
})
