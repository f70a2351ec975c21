/**
 * A world: processes that run the real core on hosts, one store, one modelled authorization server, and whoever watches
 * over what they do. What happens in it is up to a story ([a random one](play.ts), or every one).
 */
import {
  createConnections,
  createManager,
  fromSeconds,
  NUMBERS,
  policyOf,
  startScheduler,
  TokenError,
  type ConnectionRow,
  type Custody,
  type Manager,
  type Numbers,
  type OwnerId,
  type Provider,
  type Uid,
} from '@tokenkeep/core'
import { createMemory, type Memory } from '../packages/node/src/store-memory.ts'
import type { ArmedFaults } from './armed-faults.ts'
import { createAuthorizationServer, type AuthorizationServer, type SignIn } from './authorization-server.ts'
import type { Draw } from './draw.ts'
import { isAvoidable, createLosses, type Loss } from './losses.ts'
import { CLIENT, NAMELESS } from './modelled-provider.ts'
import type { Behaviour, ModelledPolicy } from './policies.ts'
import { createPresentations, type Presentations } from './presentations.ts'
import {
  backgroundClockOf,
  fingerprintOf,
  hasOpen,
  lacksLock,
  LOCK_MISSING_AFTER_MS,
  portsOf,
  START,
  storeNow,
  worldMs,
  type Slot,
  type Surroundings,
} from './process-ports.ts'
import type { ControlOptions, Host, Process, ProcessControl } from './processes.ts'
import { createRules, type Rules } from './rules.ts'
import { SHORT_NUMBERS } from './short-numbers.ts'
import { createTimeline, type Timeline } from './timeline.ts'

/** What a world is like before anything happens in it. */
export interface Setting {
  readonly policy: ModelledPolicy
  readonly behaviour: Behaviour
  readonly lifetimeSeconds: number
  /** On which host each process runs. */
  readonly hosts: readonly number[]
  readonly showsLocks: boolean
  /** The numbers that users have, or the same ones in a fifth of the time. */
  readonly numbers: 'real' | 'short'
}

export interface WorldOptions {
  readonly setting: Setting
  readonly draw: Draw
  readonly faults: ArmedFaults
  /** Who decides when a call takes effect, and where a process stops. */
  control(given: Pick<ControlOptions, 'timeline' | 'isAway' | 'forget' | 'died'>): ProcessControl
  /** Whether what happens is told. */
  readonly tells: boolean
}

/** One process, and what runs in it. */
export interface Life {
  readonly process: Process
  readonly manager: Manager
  readonly custody: Custody
}

export interface World {
  readonly setting: Setting
  readonly numbers: Numbers
  readonly timeline: Timeline
  readonly control: ProcessControl
  readonly server: AuthorizationServer
  readonly presentations: Presentations
  readonly rules: Rules
  readonly memory: Memory
  readonly hosts: readonly Host[]
  /** Everybody who was ever started, and is not buried. */
  readonly processes: readonly Process[]
  /** Who runs now, by its number; null: it is dead and not back yet. */
  readonly lives: readonly (Life | null)[]
  /** By how much the clock of the store was set. */
  readonly storeClock: { step: number }
  readonly storeState: StoreState
  /** When a sign-in was replaced or deleted here, by its name. */
  readonly endedSignIns: ReadonlyMap<string, number>
  /** Sentences; empty: everything held. */
  readonly broken: string[]
  readonly story: readonly string[]
  tell(line: string): void
  /** Everybody's next background round may find something. */
  news(): void
  lifeOf(index: number): Life | null
  /** A new sign-in at the server, as what is imported. */
  signInInput(): { readonly signIn: SignIn; readonly input: SignInInput }
  /** Tells how it ends; a defect breaks the world. */
  act(what: string, done: Promise<unknown>): void
  newSessions(): void
  comesBack(process: Process): void
  /** The connection of this world; undefined: it was deleted, or is not there yet. */
  rowNow(): ConnectionRow | undefined
  currentSignIn(): SignIn | null
  /** Looks for what was lost, and ends every process. */
  end(): { readonly loss: Loss | null }
}

export interface StoreState {
  awayUntil: number
  session: number
  clockSlackMs: number
  /** When it was away, or forgot something, the last time; -1: never. */
  troubleAt: number
  forgotAt: number
}

type SignInInput = Pick<
  Parameters<Custody['import']>[0],
  'refreshToken' | 'accessToken' | 'expiresAt' | 'scope' | 'sessionId'
>

const HAPPENINGS_MOST = 60_000
/** Also where nothing is to be found. */
const ROUND_EVERY_MOST_MS = 60_000

/** Starts every process of the setting. */
export function createWorld({ setting, draw, faults, tells, ...options }: WorldOptions): World {
  const { policy } = setting
  const numbers = setting.numbers === 'real' ? NUMBERS : SHORT_NUMBERS
  const memory = createMemory()
  const hosts: Host[] = [0, 1].map((index) => ({ index, wallStep: 0, monoStep: 0, lostUntil: 0 }))
  const lives: (Life | null)[] = []
  const processes: Process[] = []
  const buried = new Set<Process>()
  const slots = new Set<Slot>()
  const storeClock = { step: 0 }
  const story: string[] = []
  const broken: string[] = []
  const forgotten = new Set<string>()
  /** When a sign-in was replaced or deleted here, by its name. */
  const endedSignIns = new Map<string, number>()
  const storeState: StoreState = { awayUntil: 0, session: 0, clockSlackMs: 0, troubleAt: -1, forgotAt: -1 }
  /** Writes, newest last, so that a store can forget them. */
  const writes: { readonly uid: Uid; readonly before: ConnectionRow | undefined }[] = []
  let owners = 0

  const tell = (line: string): void => {
    if (tells) story.push(`${(timeline.now() / 1000).toFixed(3).padStart(9)}  ${line}`)
  }
  const news = (): void => {
    for (const process of processes) process.mayFind = true
  }

  const isDue = (): boolean => {
    const now = storeNow({ timeline, storeClock }).wall
    for (const { dueAt } of memory.rows.values()) if (dueAt !== null && dueAt <= now) return true
    return false
  }
  /** What others wrote has not reached what it remembers, by whatever way. */
  const remembersOlder = (process: Process): boolean => {
    const remembered = lives.find((life) => life?.process === process)?.manager.cache.usedAmong('unknown') ?? []
    return remembered.some(([uid, revision]) => (memory.rows.get(uid)?.revision ?? 0) > revision)
  }
  /** Somebody is gone who is not buried, as far as it can see. */
  const mourns = (process: Process): boolean =>
    processes.some((other) => !buried.has(other) && other.host === process.host && other.diedAt !== null) ||
    processes.some((other) => other !== process && lacksLock(other, around) && hasOpen(other, around))

  // ---- the parts ----

  const timeline = createTimeline({
    happeningsMost: HAPPENINGS_MOST,
    wakesAt(of, dueAt) {
      const process = of as Process
      if (process.hasNews || process.mayFind || storeState.awayUntil > timeline.now()) return dueAt
      let due = dueAt + ROUND_EVERY_MOST_MS
      for (const row of memory.rows.values())
        if (row.dueAt !== null) due = Math.min(due, worldMs(row.dueAt) - storeClock.step + 1)
      return Math.max(dueAt, due)
    },
    findsNothing(of) {
      const process = of as Process
      if (!process.mayFind || process.hasNews || storeState.awayUntil > timeline.now()) return false
      if (isDue() || remembersOlder(process) || mourns(process)) return false
      process.mayFind = false
      return true
    },
    look() {
      if (rules.violations.length === 0) return
      for (const violation of rules.violations.splice(0)) {
        tell(`BROKEN: ${violation}`)
        broken.push(violation)
      }
    },
  })
  const control = options.control({
    timeline,
    isAway: (process) => storeState.awayUntil > timeline.now() || process.cutOffUntil > timeline.now(),
    forget: (many) => forget(many),
    died(process, backAfterMs) {
      tell(`${process.owner} is killed`)
      process.lockMissingSince = timeline.now()
      timeline.rounds.delete(process)
      news()
      if (setting.showsLocks) timeline.after(LOCK_MISSING_AFTER_MS, news)
      const index = lives.findIndex((life) => life?.process === process)
      if (index === -1) return
      lives[index] = null
      const backMs = Math.max(backAfterMs ?? 1000, process.host.lostUntil - timeline.now())
      timeline.after(backMs, () => start(index, process.host))
    },
  })
  const server = createAuthorizationServer(setting.behaviour, setting.lifetimeSeconds)
  const presentations = createPresentations({
    timeline,
    draw,
    faults,
    control,
    server,
    rowOf: (uid) => memory.rows.get(uid) ?? null,
    left(one) {
      tell(`${one.by.owner} presents ${one.refreshToken}${one.fault === null ? '' : ` (${one.fault})`}`)
      rules.left(one)
      losses.leaves(one)
    },
    reaches: (one) => losses.reaches(one),
  })
  const rules = createRules({
    reuse: policy.reuse,
    numbers,
    storeNow: () => storeNow({ timeline, storeClock }).at,
    clockSlackMs: () => storeState.clockSlackMs,
    presented: presentations.all,
  })
  const losses = createLosses({
    server,
    numbers: policyOf({ reuse: policy.reuse }, 'refresh_token', numbers),
    now: timeline.now,
    presented: presentations.all,
    slots,
    processes,
    rowsOf: () => memory.rows.values(),
    everStored: rules.everStored,
    forgotten,
    isOperators: rules.isOperators,
    isIntended: rules.isIntended,
    graceMs: policy.reuse.kind === 'grace' && 'seconds' in policy.reuse ? policy.reuse.seconds * 1000 : null,
    listensOn: policy.reuse.kind === 'strict' || policy.reuse.kind === 'unknown',
    clockSlackMs: () => storeState.clockSlackMs,
    forgotAt: () => storeState.forgotAt,
    storeAwaySince: (at) => storeState.troubleAt >= at,
  })
  const set = memory.rows.set.bind(memory.rows)
  memory.rows.set = (uid, row) => {
    const before = memory.rows.get(uid)
    writes.push({ uid, before })
    rules.wrote(before, row)
    news()
    if (before !== undefined && (row.grant !== before.grant || row.state.status === 'deleting')) {
      const ended = signInOf(before)?.name
      if (ended !== undefined && !endedSignIns.has(ended)) endedSignIns.set(ended, timeline.now())
    }
    if (before?.state.status !== row.state.status) {
      const reason = row.state.status === 'needs_user' ? `: ${row.state.reason}` : ''
      tell(`the row of ${row.id} is ${row.state.status}${reason} (fence ${row.fence}, generation ${row.generation})`)
      if (row.state.status === 'needs_user') losses.gaveUp(row)
    }
    return set(uid, row)
  }
  const provider = {
    ...NAMELESS,
    id: 'p' as Provider['id'],
    reuse: policy.reuse,
    accessTokenLifetimeMs: fromSeconds(setting.lifetimeSeconds),
  }
  memory.providers.set(provider.id, provider)
  memory.clients.set(CLIENT.id, { client: CLIENT, secret: null })
  const around: Surroundings = {
    timeline,
    draw,
    control,
    memory,
    numbers,
    showsLocks: setting.showsLocks,
    server,
    presentations,
    processes,
    buried,
    slots,
    storeClock,
    uuid(process) {
      process.uuids += 1
      const number = process.uuids.toString(16).padStart(8, '0')
      const mixed = Math.floor(draw.fraction() * 2 ** 16).toString(16)
      return `${process.number.toString(16).padStart(8, '0')}-0000-4000-8000-${mixed.padStart(4, '0')}${number}`
    },
    kept: rules.kept,
    told(event, by) {
      if (event.type === 'in_doubt' || event.type === 'replayed' || event.type === 'needs_user')
        tell(`${by.owner} tells ${event.type}`)
    },
  }

  const start = (index: number, host: Host): void => {
    const number = (owners += 1)
    const process: Process = {
      number,
      uuids: 0,
      owner: `${'ABC'[index] ?? 'X'}${number}` as OwnerId,
      host,
      startedAt: timeline.now(),
      diedAt: null,
      frozenSince: null,
      wellSince: timeline.now(),
      awayFrom: null,
      inbox: { timers: [], arrived: [], ticks: [] },
      thawing: null,
      cutOffUntil: 0,
      lockMissingSince: null,
      diskFullUntil: 0,
      session: `${number}.${storeState.session}`,
      hasNews: true,
      mayFind: true,
    }
    processes.push(process)
    const ports = portsOf(process, around)
    const manager = createManager(ports, { owner: process.owner, numbers, cacheBytes: 100_000 })
    const custody = createConnections(ports, manager, () => false)
    lives[index] = { process, manager, custody }
    tell(`${process.owner} starts on host ${host.index}`)
    // As at a real start: slots are replayed before anything is presented.
    void manager.watches
      .buryTheDead()
      .catch(() => undefined)
      .then(() => {
        const background = backgroundClockOf(process, around)
        startScheduler({ ...ports, clock: background }, manager, custody.finishDeletion)
      })
  }
  const lifeOf = (index: number): Life | null => lives[index % setting.hosts.length] ?? null

  const signInInput: World['signInInput'] = () => {
    const token = server.signIn()
    const first = server.present(token.value, null, timeline.now())
    const body = first.body as { access_token: string; refresh_token?: string }
    return {
      signIn: token.of,
      input: {
        refreshToken: body.refresh_token ?? token.value,
        accessToken: body.access_token,
        expiresAt: START + timeline.now() + setting.lifetimeSeconds * 1000,
        scope: 'a b',
        sessionId: token.of.name,
      },
    }
  }
  const act: World['act'] = (what, done) => {
    done.then(
      () => tell(`${what}: done`),
      (error: unknown) => {
        tell(`${what}: ${error instanceof TokenError ? error.code : String(error)}`)
        if (!(error instanceof TokenError)) broken.push(`${what} met a defect: ${String(error)}`)
      },
    )
  }
  const comesBack = (process: Process): void => {
    if (process.diedAt !== null || process.cutOffUntil > timeline.now()) return
    process.lockMissingSince = null
    process.session = `${process.session}+`
    process.wellSince = timeline.now()
    news()
  }
  const newSessions = (): void => {
    storeState.session += 1
    storeState.troubleAt = Math.max(timeline.now(), storeState.awayUntil)
    for (const process of processes) process.session = `${process.owner}.${storeState.session}`
    news()
  }
  const forget = (many: number): void => {
    tell(`the store forgets its last ${many} writes`)
    for (const { uid, before } of writes.splice(-many).toReversed()) {
      const row = memory.rows.get(uid)
      for (const token of [row?.refreshToken, row?.successor?.grant.refreshToken])
        if (token != null && token.fingerprint !== before?.refreshToken?.fingerprint) forgotten.add(token.fingerprint)
      if (before === undefined) memory.rows.delete(uid)
      else set(uid, before)
      rules.forgot(before, uid)
    }
    endedSignIns.clear()
    storeState.forgotAt = timeline.now()
    newSessions()
  }
  const rowNow = (): ConnectionRow | undefined =>
    [...memory.rows.values()].find((row) => row.id === 'x' && row.state.status !== 'erased')
  const currentSignIn = (): SignIn | null => {
    const row = rowNow()
    return row === undefined ? null : signInOf(row)
  }
  function signInOf(row: ConnectionRow): SignIn | null {
    const fingerprint = row.refreshToken?.fingerprint ?? ''
    return server.find(fingerprint.slice(fingerprintOf('').length))?.of ?? null
  }

  setting.hosts.forEach((index, each) => start(each, hosts[index] ?? { index, wallStep: 0, monoStep: 0, lostUntil: 0 }))
  return {
    setting,
    numbers,
    timeline,
    control,
    server,
    presentations,
    rules,
    memory,
    hosts,
    processes,
    lives,
    storeClock,
    storeState,
    endedSignIns,
    broken,
    story,
    tell,
    news,
    lifeOf,
    signInInput,
    act,
    newSessions,
    comesBack,
    rowNow,
    currentSignIn,
    end() {
      const row = rowNow()
      const signIn = currentSignIn()
      const loss = row === undefined || signIn === null ? null : losses.lossOf(row, signIn)
      if (loss !== null && isAvoidable(loss))
        broken.push(`a sign-in was lost although its refresh token was at hand: ${loss}`)
      for (const { carries, by, answer, refreshToken } of presentations.all) {
        if (answer !== 'arrived' || carries === null || by.diedAt !== null || carries.of !== signIn) continue
        // An answer to an older ancestor is history.
        const answers = fingerprintOf(refreshToken)
        if (answers !== row?.refreshToken?.fingerprint && answers !== row?.parent) continue
        const isKept = rules.everStored.has(fingerprintOf(carries.value))
        if (!isKept && row.state.status !== 'deleting' && server.lives(carries, timeline.now()))
          broken.push(`${carries.value} was granted, heard by ${by.owner}, and is kept nowhere`)
      }
      for (const process of processes) process.diedAt ??= timeline.now()
      return { loss }
    },
  }
}
