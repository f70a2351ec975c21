/** Expiries that nothing disturbs: four processes at one instant, spread, in turn, and in one process a herd and 10,000 logins. */
import { setTimeout as pause } from 'node:timers/promises'
import { machineMono } from '../driver-child.ts'
import type { Scenario } from '../scenario.ts'
import { ENDED_MS, type Stage } from '../stage.ts'

const PROCESSES = 4
const LOGINS = 50
/** For the order to reach every process before its moment. */
const AHEAD_MS = 40
const SPREAD_MS = 200

export const atOneInstant: Scenario = {
  name: 'instant',
  title: '4 processes, one instant',
  about:
    '4 processes share 50 logins. The access token of each has ended, and all 4 ask for a new one in the same instant.',
  limitSeconds: 600,
  play: (stage) => callTogether(stage, 0),
}

export const spread: Scenario = {
  name: 'spread',
  title: '4 processes, spread',
  about: 'The same, but the 4 processes ask one after another within 200 ms. The server takes 20 ms to answer.',
  limitSeconds: 600,
  play: (stage) => callTogether(stage, SPREAD_MS),
}

async function callTogether(stage: Stage, spreadMs: number): Promise<void> {
  await stage.set({})
  const processes = await stage.start(PROCESSES)
  for (const id of await stage.signIn(LOGINS, ENDED_MS)) {
    const together = machineMono() + AHEAD_MS
    await stage.call(
      processes.map((by, place) => ({ by, ids: [id], at: together + (spreadMs * place) / (PROCESSES - 1) })),
    )
  }
}

const TURN_LOGINS = 5
const TURNS = 10
/** Longer than a slow peer takes for all of them, for tokens are shown to the API when all calls have ended. */
const TURN_LIFE_SECONDS = 5
/** A client counts the life of a token from when it came, which on a busy machine is late. */
const AFTER_THE_END_MS = 500

export const inTurn: Scenario = {
  name: 'in-turn',
  title: '4 processes, in turn',
  about:
    '5 logins whose access tokens live for 5 s, 10 expiries each; at each of them another one of the 4 processes asks, alone.',
  limitSeconds: 300,
  async play(stage) {
    const { logins } = await stage.set({ accessTokenSeconds: TURN_LIFE_SECONDS })
    const processes = await stage.start(PROCESSES)
    const ids = await stage.signIn(TURN_LOGINS, ENDED_MS)
    for (let turn = 0; turn < TURNS; turn += 1) {
      if (turn > 0) {
        const ends = Math.max(...ids.map((id) => logins.endsAt(id)))
        await pause(Math.max(0, ends - Date.now()) + AFTER_THE_END_MS)
        stage.expired(ids.length)
      }
      const by = processes[turn % processes.length]
      if (by !== undefined) await stage.call([{ by, ids }])
    }
  },
}

const HERD = 1_000
const HERD_LOGINS = 5
/** Longer than a busy machine takes for them all, so that none asks after the next end. */
const HERD_LIFE_SECONDS = 30

export const herd: Scenario = {
  name: 'herd',
  title: '1,000 callers, one process',
  about: 'One process and 5 logins whose access tokens have ended; 1,000 callers at once ask for each of them.',
  limitSeconds: 300,
  async play(stage) {
    await stage.set({ accessTokenSeconds: HERD_LIFE_SECONDS })
    const [by] = await stage.start(1)
    if (by === undefined) return
    for (const id of await stage.signIn(HERD_LOGINS, ENDED_MS)) await stage.call([{ by, ids: [id], times: HERD }])
  },
}

const SESSIONS = 10_000
/** Longer than a slow peer takes for a thousand of them; what is renewed ahead of such an end is not renewed all the time. */
const SESSION_LIFE_SECONDS = 120

export const sessions: Scenario = {
  name: 'sessions',
  title: '10,000 logins, one process',
  about:
    'One process asks once for each of 10,000 logins whose access tokens have ended, for 50 at once. How long that takes is noted; other rows are played on the same machine meanwhile.',
  limitSeconds: 900,
  async play(stage) {
    await stage.set({ accessTokenSeconds: SESSION_LIFE_SECONDS })
    const [by] = await stage.start(1)
    if (by === undefined) return
    const ids = await stage.signIn(SESSIONS, ENDED_MS)
    const startedAt = performance.now()
    await stage.callEach(by, ids)
    const seconds = (performance.now() - startedAt) / 1000
    stage.note(`${SESSIONS.toLocaleString('en')} calls in ${seconds.toFixed(1)} s`)
  },
}
