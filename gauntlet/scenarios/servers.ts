/** The server loses its answer, is out for a while, is slow, or answers oddly. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Scenario } from '../scenario.ts'
import { ODDITIES, type Fault } from '../server.ts'
import { ENDED_MS } from '../stage.ts'

const LOST_LOGINS = 10
const ASKED_AGAIN_MS = 500

export const lostAnswer: Scenario = {
  name: 'lost-answer',
  title: 'answer lost, grace 10 s',
  about:
    'The server spends the refresh tokens of 10 logins and resets the connections. The process asks again after 500 ms, a second one 500 ms later. The server answers again for 10 s.',
  limitSeconds: 300,
  async play(stage) {
    const server = await stage.set({ reuse: { kind: 'grace', seconds: 10 } })
    const processes = await stage.start(2)
    const ids = await stage.signIn(LOST_LOGINS, ENDED_MS)
    for (const id of ids) server.order(id, { kind: 'lost' })
    const [first, second] = processes
    if (first === undefined || second === undefined) return
    await stage.call([{ by: first, ids }])
    for (const by of [first, second]) {
      await pause(ASKED_AGAIN_MS)
      await stage.call([{ by, ids }])
    }
  },
}

const OUT_LOGINS = 5
const OUT_CALLS = 16
const OUT_EVERY_MS = 500
const OUT_LIFE_MS = 24_000
/** Left of that when the calls begin: whoever refreshes ahead does so by now. */
const OUT_LEFT_MS = 11_000
/** More than is left then, and less than a token lives on after the first calls. */
const OUT_MARGIN_SECONDS = 15

const outage = (name: string, title: string, about: string, faults: readonly Fault[]): Scenario => ({
  name,
  title,
  about: `${about} One process with 5 logins calls every 500 ms for 8 s: with an access token that has ended, and with one that lives for 11 s more.`,
  limitSeconds: 400,
  async play(stage) {
    const server = await stage.set({ accessTokenSeconds: OUT_LIFE_MS / 1000, marginSeconds: OUT_MARGIN_SECONDS })
    const [by] = await stage.start(1)
    if (by === undefined) return
    // By a refresh of its own, so that everybody knows how long its tokens live.
    const living = await stage.signIn(OUT_LOGINS, ENDED_MS)
    const ended = await stage.signIn(OUT_LOGINS, ENDED_MS)
    await stage.call([{ by, ids: living }])
    const play = async (ids: readonly string[], when: string, untilMs: number): Promise<void> => {
      for (const id of ids) for (const fault of faults) server.order(id, fault)
      for (let calls = 0; calls < OUT_CALLS && Date.now() < untilMs; calls += 1) {
        const next = pause(OUT_EVERY_MS)
        await stage.call([{ by, ids }], when)
        await next
      }
    }
    await play(ended, 'expired', Number.POSITIVE_INFINITY)
    const ends = Math.min(...living.map((id) => server.logins.endsAt(id)))
    await pause(Math.max(0, ends - OUT_LEFT_MS - Date.now()))
    // Whoever is slow makes fewer calls: a token that ended meanwhile is another matter.
    await play(living, 'old token valid', ends - OUT_EVERY_MS)
  },
})

const unavailable: Fault = { kind: 'refused', status: 503 }

export const threeTimes503: Scenario = outage('out-503', '503 three times', 'The server answers 503 three times.', [
  unavailable,
  unavailable,
  unavailable,
])

export const tooMany: Scenario = outage(
  'out-429',
  '429, Retry-After 2',
  'The server answers 429 with `Retry-After: 2`.',
  [{ kind: 'refused', status: 429, retryAfterSeconds: 2 }],
)

export const once500: Scenario = outage('out-500', '500 once', 'The server answers 500 once.', [
  { kind: 'refused', status: 500 },
])

const SLOW_LOGINS = 5
const SLOW_MS = 20_000
/** So that what was granted still lives when the answer comes. */
const SLOW_LIFE_SECONDS = 40

export const slowAnswer: Scenario = {
  name: 'slow',
  title: 'answered after 20 s',
  about:
    'The server spends the refresh tokens of 5 logins and answers after 20 s. A second process asks 1 s after the first. No grace.',
  limitSeconds: 300,
  async play(stage) {
    const server = await stage.set({ accessTokenSeconds: SLOW_LIFE_SECONDS })
    const [first, second] = await stage.start(2)
    if (first === undefined || second === undefined) return
    const ids = await stage.signIn(SLOW_LOGINS, ENDED_MS)
    for (const id of ids) server.order(id, { kind: 'late', ms: SLOW_MS })
    const asked = stage.call([{ by: first, ids }])
    await pause(1_000)
    await Promise.all([asked, stage.call([{ by: second, ids }])])
  },
}

const ODD_EACH = 3

export const oddAnswers: Scenario = {
  name: 'odd',
  title: 'odd answers',
  about:
    'One odd answer for each of 12 logins: `expires_in` as a string, no `refresh_token` (the old one stays good), a page with status 200, an error with status 200. Two calls, 2 s apart.',
  limitSeconds: 300,
  async play(stage) {
    const server = await stage.set({})
    const [by] = await stage.start(1)
    if (by === undefined) return
    const ids = await stage.signIn(ODD_EACH * ODDITIES.length, ENDED_MS)
    ids.forEach((id, index) => {
      const how = ODDITIES[index % ODDITIES.length]
      if (how !== undefined) server.order(id, { kind: 'odd', how })
    })
    await stage.call([{ by, ids }])
    await pause(2_000)
    await stage.call([{ by, ids }])
  },
}
