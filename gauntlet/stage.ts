/** Where one scenario plays with one peer: a server, a folder, the peer's processes, and what was counted. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startDriverChild, type CallOptions, type DriverChild } from './driver-child.ts'
import type { Ended, Place, SignIn } from './driver.ts'
import type { Reuse } from './logins.ts'
import type { Counts } from './scenario.ts'
import { startServer, type AuthorizationServer } from './server.ts'

// On the disk of the clone: in a folder in memory a sync would cost nothing.
const SCRATCH = fileURLToPath(new URL('../node_modules/.cache/tokenkeep-gauntlet', import.meta.url))
/** What a call waits at most, milliseconds. Longer than any frozen holder or slow answer here. */
const CALL_LIMIT_MS = 60_000
/** A driver may start a daemon, and make a database. */
const START_LIMIT_MS = 60_000
/** Somebody who backs off is not lost, nor who counts the life of a token from an answer that came 20 s late. */
const LAST_TRIES_MS = 30_000
const BETWEEN_LAST_TRIES_MS = 2_000
/** Logins that are kept by one order, so that it ends within the time for an order. */
const SEEDED_TOGETHER = 500
/** Calls whose tokens are shown to the API together, so that those of the first still live when the last has ended... */
const JUDGED_TOGETHER = 1_000
/** ...and calls of them that are made at once. */
const AT_ONCE = 50

export interface StageOptions {
  readonly driver: URL
  readonly postgres: string | null
  /** What a call waits at most, milliseconds; a minute where absent. */
  readonly callLimitMs?: number
  /** What a driver has to start, milliseconds; a minute where absent. */
  readonly startLimitMs?: number
  /** How long a login is asked for at its last expiry before it counts as lost, milliseconds; 30 s where absent. */
  readonly lastTriesMs?: number
}

export interface Setting {
  readonly reuse?: Reuse
  /** Of the access tokens that the server grants. */
  readonly accessTokenSeconds?: number
  /** For whoever has a documented way to renew ahead; 0 where absent, because that costs refreshes. */
  readonly marginSeconds?: number
}

export interface Stage {
  /** Starts the server. Once, and first. */
  set(setting: Setting): Promise<AuthorizationServer>
  /** Starts processes; the first one alone, because it may have to make a database or a daemon. */
  start(count: number): Promise<readonly DriverChild[]>
  /** Signs in, and seeds by the first process. Each counts as one expiry unless its token lives. */
  signIn(count: number, livesMs: number): Promise<readonly string[]>
  /** Calls, and counts: each token is shown to the API, after all of these calls have ended. */
  call(calls: readonly Calling[], out?: string): Promise<void>
  /** Calls once for each of many, 50 at once. */
  callEach(by: DriverChild, ids: readonly string[]): Promise<void>
  /** Says something about the row that is in no column. */
  note(words: string): void
  /** Says that so many more access tokens ended. */
  expired(count: number): void
  /** Meets the next expiry by a fresh process, and hands back what was counted. */
  finish(): Promise<{ readonly counts: Counts; readonly remark: string }>
  close(): Promise<void>
}

export interface Calling extends Partial<CallOptions> {
  readonly by: DriverChild
  readonly ids: readonly string[]
}

/** What is left of an access token that has ended, milliseconds. */
export const ENDED_MS = -5_000
const LATENCY_MS = 20

export async function openStage({
  driver,
  postgres,
  callLimitMs = CALL_LIMIT_MS,
  startLimitMs = START_LIMIT_MS,
  lastTriesMs = LAST_TRIES_MS,
}: StageOptions): Promise<Stage> {
  await mkdir(SCRATCH, { recursive: true })
  const folder = await mkdtemp(join(SCRATCH, 'stage-'))
  const children: DriverChild[] = []
  const ids: string[] = []
  const refreshes = new Map<string, number>()
  /** Granted while a login was handed to its keeper, who may have no other way to begin. */
  const before = new Map<string, number>()
  const reasons = new Map<string, number>()
  const out = new Map<string, { calls: number; failed: number }>()
  let setting: Required<Setting> = { reuse: { kind: 'strict' }, accessTokenSeconds: 10, marginSeconds: 0 }
  let server: AuthorizationServer | null = null
  let expiries = 0
  let calls = 0
  let bad = 0
  const notes: string[] = []

  const theServer = (): AuthorizationServer => {
    if (server === null) throw new Error('the scenario has not set its stage')
    return server
  }
  const startOne = async (): Promise<DriverChild> => {
    const { issuer, tokenEndpoint, api, clientId, clientSecret } = theServer()
    const child = await startDriverChild(driver, startLimitMs)
    children.push(child)
    const { reuse, marginSeconds } = setting
    const provider = { issuer, tokenEndpoint, api, clientId, clientSecret, reuse }
    await child.start({ folder, ...provider, marginSeconds, postgres } satisfies Place)
    return child
  }
  const callOne = ({ by, ids: asked, ...options }: Calling): Promise<readonly Ended[]> =>
    by.call(asked, { limitMs: callLimitMs, ...options })
  const good = ({ token }: Ended): boolean => token !== null && theServer().logins.accepts(token)

  const stage: Stage = {
    async set(given) {
      setting = { ...setting, ...given }
      server = await startServer({ ...setting, latencyMs: LATENCY_MS })
      return server
    },
    async start(count) {
      const first = await startOne()
      return [first, ...(await Promise.all(Array.from({ length: count - 1 }, startOne)))]
    },
    async signIn(count, livesMs) {
      const { logins } = theServer()
      const [first] = children
      if (first === undefined) throw new Error('nobody is there to seed')
      const made = Array.from({ length: count }, (_, index): SignIn => {
        const id = `login-${ids.length + index + 1}`
        return { id, ...logins.signIn(id, livesMs), expiresAt: Date.now() + livesMs }
      })
      for (const batch of batches(made, SEEDED_TOGETHER)) await first.seed(batch)
      const names = made.map(({ id }) => id)
      for (const id of names) before.set(id, logins.counters(id).refreshes)
      ids.push(...names)
      if (livesMs <= 0) expiries += count
      return names
    },
    async call(callings, when) {
      const ended = (await Promise.all(callings.map(callOne))).flat()
      // Counted now: a daemon may refresh ahead for its own reasons before the scenario is over.
      for (const id of callings.flatMap((each) => each.ids)) {
        refreshes.set(id, theServer().logins.counters(id).refreshes - (before.get(id) ?? 0))
      }
      const during = when === undefined ? null : (out.get(when) ?? { calls: 0, failed: 0 })
      if (when !== undefined && during !== null) out.set(when, during)
      for (const each of ended) {
        calls += each.count
        if (during !== null) during.calls += each.count
        if (good(each)) continue
        bad += each.count
        if (during !== null) during.failed += each.count
        const why = each.token === null ? each.why : 'the API refuses the token'
        reasons.set(why, (reasons.get(why) ?? 0) + each.count)
      }
    },
    async callEach(by, asked) {
      for (const batch of batches(asked, JUDGED_TOGETHER)) await stage.call([{ by, ids: batch, atOnce: AT_ONCE }])
    },
    note: (words) => void notes.push(words),
    expired(count) {
      expiries += count
    },
    async finish() {
      const { logins } = theServer()
      const all = ids.map((id) => ({ id, ...logins.counters(id) }))
      const counted = {
        expiries,
        refreshes: [...refreshes.values()].reduce((sum, each) => sum + each, 0),
        secondPresentations: all.reduce((sum, each) => sum + each.secondPresentations, 0),
        logins: ids.length,
      }
      const alive = all.filter(({ killed }) => !killed).map(({ id }) => id)
      const kept = await keptAtNextExpiry(alive)
      const killed = ids.filter((id) => logins.counters(id).killed).length
      const during = [...out].map(([when, each]) => ({ when, ...each }))
      const counts = { ...counted, killed, lost: ids.length - kept, calls, bad, out: during }
      return { counts, remark: [mostFrequent(reasons), ...notes].filter((each) => each !== '').join('; ') }
    },
    async close() {
      await Promise.all(children.map((child) => child.stop()))
      await server?.[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  return stage

  /** @returns how many of them have a token that works afterwards */
  async function keptAtNextExpiry(alive: readonly string[]): Promise<number> {
    if (alive.length === 0) return 0
    const { logins } = theServer()
    const ends = alive.reduce((latest, id) => Math.max(latest, logins.endsAt(id)), 0)
    const fresh = await startOne()
    await pause(Math.max(0, ends - Date.now() + 100))
    let missing = [...alive]
    for (let triedMs = 0; triedMs <= lastTriesMs && missing.length > 0; triedMs += BETWEEN_LAST_TRIES_MS) {
      if (triedMs > 0) await pause(BETWEEN_LAST_TRIES_MS)
      const kept = new Set<string>()
      for (const batch of batches(missing, JUDGED_TOGETHER)) {
        const ended = await fresh.call(batch, { limitMs: callLimitMs, atOnce: AT_ONCE })
        for (const each of ended) if (good(each)) kept.add(each.id)
      }
      missing = missing.filter((id) => !kept.has(id) && !logins.counters(id).killed)
    }
    return alive.length - missing.length - alive.filter((id) => logins.counters(id).killed).length
  }
}

function batches<Each>(all: readonly Each[], size: number): readonly (readonly Each[])[] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))
}

const REASONS_MOST = 2

function mostFrequent(reasons: ReadonlyMap<string, number>): string {
  const sorted = [...reasons].sort(([, one], [, other]) => other - one)
  return sorted
    .slice(0, REASONS_MOST)
    .map(([why, count]) => `${count} ${why}`)
    .join(', ')
}
