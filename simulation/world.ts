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
  type ProviderId,
  type Uid,
} from '@tokenkeep/core'
import { spacingMs } from '../packages/core/src/pace.ts'
import { createMemory, type Memory } from '../packages/node/src/store-memory.ts'
import type { ArmedFaults } from './armed-faults.ts'
import {
  createAuthorizationServer,
  type AuthorizationServer,
  type IssuedAccessToken,
  type SignIn,
} from './authorization-server.ts'
import type { Draw } from './draw.ts'
import { createLosses, isAvoidable, type Loss, type Losses } from './losses.ts'
import { clientAt, NAMELESS } from './modelled-provider.ts'
import type { Unplanned } from './plan.ts'
import type { Behaviour, ModelledPolicy } from './policies.ts'
import { createPresentations, type Presentations, type Presented } from './presentations.ts'
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
import { createPaceRules } from './pace-rules.ts'
import { createRules, type Rules } from './rules.ts'
import { SELDOM_NUMBERS, SHORT_NUMBERS, SHORT_SELDOM_NUMBERS } from './short-numbers.ts'
import { createTimeline, type Timeline } from './timeline.ts'

const NUMBERS_OF = {
  real: NUMBERS,
  short: SHORT_NUMBERS,
  seldom: SELDOM_NUMBERS,
  short_seldom: SHORT_SELDOM_NUMBERS,
} as const

/** What shares a world with the connection `x` at the provider `p`. */
export interface Beside {
  /** Connections of the same client at the same provider. */
  readonly neighbours: number
  /** A second provider with a connection of its own; null: there is none. */
  readonly second: { readonly policy: ModelledPolicy; readonly behaviour: Behaviour } | null
  /** How many requests the first provider takes from a process. */
  readonly limits: Pick<Provider, 'requestsPerMinute' | 'concurrency'>
}

/** What a world is like before anything happens in it. */
export interface Setting {
  readonly policy: ModelledPolicy
  readonly behaviour: Behaviour
  readonly lifetimeSeconds: number
  /** On which host each process runs. */
  readonly hosts: readonly number[]
  /** When work in the background begins; at the start where absent. */
  readonly background?: 'in_peace'
  readonly showsLocks: boolean
  /** The numbers that users have, the same ones in a fifth of the time, or those with fewer looks at the store. */
  readonly numbers: keyof typeof NUMBERS_OF
  /** Whether the first provider ends access tokens by each refresh. */
  readonly kills?: boolean
  /** How long its refresh tokens live unused, as its answers say; null, or absent: for ever. */
  readonly refreshSeconds?: number | null
  /** How long a nonce of the first provider lasts, which binds each sign-in to a key; null, or absent: it binds none. */
  readonly nonceSeconds?: number | null
  /** Null, or absent: one connection is alone. */
  readonly beside?: Beside | null
}

export interface WorldOptions {
  readonly setting: Setting
  readonly draw: Draw
  readonly faults: ArmedFaults
  /** Who decides when a call takes effect, and where a process stops. */
  control(given: Pick<ControlOptions, 'timeline' | 'isAway' | 'forget' | 'died'>): ProcessControl
  /** Whether what happens is told. */
  readonly tells: boolean
  /** Told of what came about without being planned. */
  cameAbout?(kind: Unplanned): void
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
  /** The one of the provider `p`. */
  readonly server: AuthorizationServer
  readonly presentations: Presentations
  readonly rules: Rules
  readonly memory: Memory
  readonly slots: ReadonlySet<Slot>
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
  /** Fingerprints of tokens that the store had and forgot. */
  readonly forgotten: ReadonlySet<string>
  /** Sentences; empty: everything held. */
  readonly broken: string[]
  /** Notes what was broken since. */
  look(): void
  readonly story: readonly string[]
  tell(line: string): void
  /** Everybody's next background round may find something. */
  news(): void
  lifeOf(index: number): Life | null
  /** The ids of all connections; the first one is `x`. */
  readonly connections: readonly string[]
  providerOf(id: string): ProviderId
  clientOf(id: string): string
  /** Whether the provider of the connection ends access tokens by each refresh. */
  killsAt(id: string): boolean
  cameAbout(kind: Unplanned): void
  /** Which connection the sign-in was made for. */
  idOf(signIn: SignIn): string | undefined
  issuedAccessToken(value: string): IssuedAccessToken | undefined
  /** Until when the server of `p` answers 503. */
  readonly outage: { until: number }
  /** A new sign-in at the server, as what is imported. */
  signInInput(id?: string): { readonly signIn: SignIn; readonly input: SignInInput }
  /** Tells how it ends; a defect breaks the world. */
  act(what: string, done: Promise<unknown>): void
  newSessions(): void
  comesBack(process: Process): void
  /** From here on everybody works in the background, too. */
  beginBackground(): void
  /** The connection, `x` where no id is given; undefined: it was deleted, or is not there yet. */
  rowNow(id?: string): ConnectionRow | undefined
  currentSignIn(id?: string): SignIn | null
  /** Looks for what was lost, and ends every process. `loss`: of `x`. */
  end(): { readonly loss: Loss | null; readonly losses: readonly Loss[] }
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
  | 'refreshToken'
  | 'refreshTokenExpiresAt'
  | 'accessToken'
  | 'tokenType'
  | 'expiresAt'
  | 'scope'
  | 'sessionId'
  | 'dpopKey'
>

const UNLIMITED: Beside['limits'] = { requestsPerMinute: null, concurrency: null }
/** A quarter of the shortest life that is announced. */
const NEAR_ITS_END_MS = 25_000
const HAPPENINGS_MOST = 60_000
/** Also where nothing is to be found. */
const ROUND_EVERY_MOST_MS = 60_000

/** Starts every process of the setting. */
export function createWorld({ setting, draw, faults, tells, ...options }: WorldOptions): World {
  const beside = setting.beside ?? null
  const numbers = NUMBERS_OF[setting.numbers]
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
  /** When the store got a refresh token again that it had forgotten. */
  const givenBack = new Map<string, number>()
  /** When a sign-in was replaced or deleted here, by its name. */
  const endedSignIns = new Map<string, number>()
  const storeState: StoreState = { awayUntil: 0, session: 0, clockSlackMs: 0, troubleAt: -1, forgotAt: -1 }
  /** Writes, newest last, so that a store can forget them. */
  const writes: { readonly uid: Uid; readonly before: ConnectionRow | undefined }[] = []
  let owners = 0
  let hasBackground = setting.background !== 'in_peace'
  /** Whose background has not begun. */
  const idle: (() => void)[] = []

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
  const isClosing = ({ reuse }: Pick<Setting['policy'], 'reuse'>): boolean =>
    reuse.kind === 'grace' && 'seconds' in reuse
  /** Each round looks at what others have open, and whether it was so before. */
  const watchesOthers = ({ owner }: Process): boolean =>
    sites.some(({ policy }) => isClosing(policy)) &&
    [...memory.rows.values()].some(({ state }) => state.status === 'presenting' && state.attempt.owner !== owner)
  /** What others wrote, or the store forgot, has not reached what it remembers, by whatever way. */
  const remembersOlder = (process: Process): boolean => {
    const remembered = lives.find((life) => life?.process === process)?.manager.cache.usedAmong('unknown') ?? []
    return remembered.some(([uid, revision]) => (memory.rows.get(uid)?.revision ?? revision) !== revision)
  }
  /** Somebody is gone who is not buried, as far as it can see. */
  const mourns = (process: Process): boolean =>
    processes.some((other) => !buried.has(other) && other.host === process.host && other.diedAt !== null) ||
    processes.some((other) => other !== process && lacksLock(other, around) && hasOpen(other, around))

  // ---- the parts ----

  const look = (): void => {
    for (const violation of rules.violations.splice(0)) {
      tell(`BROKEN: ${violation}`)
      broken.push(violation)
    }
  }
  const timeline = createTimeline({
    happeningsMost: HAPPENINGS_MOST,
    wakesAt(of, dueAt) {
      const process = of as Process
      if (process.hasNews || process.mayFind || storeState.awayUntil > timeline.now()) return dueAt
      if (watchesOthers(process)) return dueAt
      let due = dueAt + ROUND_EVERY_MOST_MS
      for (const row of memory.rows.values())
        if (row.dueAt !== null) due = Math.min(due, worldMs(row.dueAt) - storeClock.step + 1)
      return Math.max(dueAt, due)
    },
    findsNothing(of) {
      const process = of as Process
      if (!process.mayFind || process.hasNews || storeState.awayUntil > timeline.now()) return false
      if (isDue() || watchesOthers(process) || remembersOlder(process) || mourns(process)) return false
      process.mayFind = false
      return true
    },
    look: () => void (rules.violations.length > 0 && look()),
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
  const siteOf = (
    id: string,
    at: Pick<Setting, 'policy' | 'behaviour' | 'kills' | 'refreshSeconds' | 'nonceSeconds'>,
    prefix: string,
    limits: Beside['limits'],
  ) => ({
    id: id as ProviderId,
    policy: at.policy,
    server: createAuthorizationServer(at.behaviour, setting.lifetimeSeconds, {
      prefix,
      kills: at.kills ?? false,
      refreshSeconds: at.refreshSeconds ?? null,
      nonceSeconds: at.nonceSeconds ?? null,
    }),
    binds: at.nonceSeconds != null,
    kills: at.kills ?? false,
    limits,
  })
  const first = siteOf('p', setting, '', beside?.limits ?? UNLIMITED)
  const sites = [first, ...(beside?.second == null ? [] : [siteOf('q', beside.second, 'q', UNLIMITED)])]
  const siteAt = (provider: ProviderId): typeof first => sites.find(({ id }) => id === provider) ?? first
  const serverAt = (provider: ProviderId): AuthorizationServer => siteAt(provider).server
  const { server } = first
  const outage = { until: 0 }
  const connections = ['x', ...['y', 'w'].slice(0, beside?.neighbours ?? 0), ...(sites.length > 1 ? ['z'] : [])]
  const providerOf = (id: string): ProviderId => (id === 'z' ? ('q' as ProviderId) : first.id)
  const clientOf = (id: string): string => (id === 'z' ? 'd' : 'c')
  /** For which connection each sign-in was made. */
  const madeFor = new Map<SignIn, string>()
  const presentations = createPresentations({
    timeline,
    draw,
    faults,
    control,
    serverAt,
    isOut: (id) => id === first.id && outage.until > timeline.now(),
    rowOf: (uid) => memory.rows.get(uid) ?? null,
    left(one) {
      tell(`${one.by.owner} presents ${one.refreshToken}${one.fault === null ? '' : ` (${one.fault})`}`)
      const endsAt = one.row?.refreshToken?.endsAt
      if (endsAt != null && worldMs(endsAt) - timeline.now() <= NEAR_ITS_END_MS)
        options.cameAbout?.('presented_near_its_end')
      if (one.after !== null) options.cameAbout?.('presented_with_nonce')
      provesAndStands(one)
      rules.left(one)
      paceRules.left(one)
      lossesAt(one.provider).leaves(one)
    },
    reaches: (one) => lossesAt(one.provider).reaches(one),
  })
  const rules = createRules({
    reuseAt: (id) => siteAt(id).policy.reuse,
    numbers,
    storeNow: () => storeNow({ timeline, storeClock }).at,
    clockSlackMs: () => storeState.clockSlackMs,
    presented: presentations.all,
  })
  const paceRules = createPaceRules({
    now: timeline.now,
    numbers,
    presented: presentations.all,
    limitsAt: (id) => siteAt(id).limits,
    connectionsAt: (id) => connections.filter((each) => providerOf(each) === id).length,
    broken: (sentence) => void rules.violations.push(sentence),
  })
  const lossesOf = ({ policy, server, limits }: typeof first): Losses =>
    createLosses({
      server,
      numbers: policyOf({ reuse: policy.reuse }, 'refresh_token', numbers),
      now: timeline.now,
      presented: presentations.all,
      slots,
      processes,
      rowsOf: () => memory.rows.values(),
      everStored: rules.everStored,
      forgotten,
      givenBackAt: (fingerprint) => givenBack.get(fingerprint) ?? -1,
      isOperators: rules.isOperators,
      signOf: rules.signOf,
      storedBy: rules.storedBy,
      isIntended: rules.isIntended,
      lastIntentBefore: rules.lastIntentBefore,
      graceMs: policy.reuse.kind === 'grace' && 'seconds' in policy.reuse ? policy.reuse.seconds * 1000 : null,
      paceMs: limits.requestsPerMinute === null ? 0 : spacingMs(limits.requestsPerMinute),
      isLimited: (id) => siteAt(id).limits.requestsPerMinute !== null || siteAt(id).limits.concurrency !== null,
      listensOn: policy.reuse.kind === 'strict' || policy.reuse.kind === 'unknown',
      clockSlackMs: () => storeState.clockSlackMs,
      forgotAt: () => storeState.forgotAt,
      storeAwaySince: (at) => storeState.troubleAt >= at,
    })
  const lossesBySite = new Map(sites.map((site) => [site.id, lossesOf(site)]))
  const lossesAt = (id: ProviderId): Losses => {
    const losses = lossesBySite.get(id)
    if (losses === undefined) throw new Error(`no provider is called ${id}`)
    return losses
  }
  const set = memory.rows.set.bind(memory.rows)
  memory.rows.set = (uid, row) => {
    const before = memory.rows.get(uid)
    writes.push({ uid, before })
    rules.wrote(before, row)
    const held = row.refreshToken?.fingerprint
    if (held !== undefined && forgotten.has(held) && before?.refreshToken?.fingerprint !== held)
      givenBack.set(held, timeline.now())
    news()
    if (before !== undefined && (row.grant !== before.grant || row.state.status === 'deleting')) {
      const ended = signInOf(before)?.name
      if (ended !== undefined && !endedSignIns.has(ended)) endedSignIns.set(ended, timeline.now())
    }
    if (before?.state.status !== row.state.status) {
      const reason = row.state.status === 'needs_user' ? `: ${row.state.reason}` : ''
      tell(`the row of ${row.id} is ${row.state.status}${reason} (fence ${row.fence}, generation ${row.generation})`)
      if (row.state.status === 'needs_user') lossesAt(row.provider).gaveUp(row)
    }
    return set(uid, row)
  }
  for (const { id, policy, limits, kills, binds } of sites) {
    memory.providers.set(id, {
      ...NAMELESS,
      ...limits,
      id,
      reuse: policy.reuse,
      refreshKillsAccessToken: kills,
      accessTokenLifetimeMs: fromSeconds(setting.lifetimeSeconds),
    })
    const client = clientAt(id === first.id ? 'c' : 'd', id, binds)
    memory.clients.set(client.id, { client, secret: null, keys: [] })
  }
  const around: Surroundings = {
    timeline,
    draw,
    control,
    memory,
    numbers,
    showsLocks: setting.showsLocks,
    serverAt,
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
      if (event.type === 'circuit_opened' || event.type === 'rate_limited') {
        tell(`${by.owner} tells ${event.type}`)
        options.cameAbout?.(event.type)
      }
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
      frozenForMs: 0,
      wellSince: timeline.now(),
      awayFrom: null,
      inbox: { timers: [], arrived: [], ticks: [] },
      thawing: null,
      cutOffUntil: 0,
      cutOffAt: 0,
      lockMissingSince: null,
      diskFullUntil: 0,
      session: `${number}.${storeState.session}`,
      hasNews: true,
      failedAt: -1,
      slowedFrom: null,
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
        const begin = (): void => {
          const background = backgroundClockOf(process, around)
          startScheduler({ ...ports, clock: background }, manager, custody.finishDeletion)
        }
        if (hasBackground) begin()
        else idle.push(begin)
      })
  }
  const lifeOf = (index: number): Life | null => lives[index % setting.hosts.length] ?? null

  const signInInput: World['signInInput'] = (id = 'x') => {
    const server = serverAt(providerOf(id))
    const token = server.signIn(timeline.now())
    madeFor.set(token.of, id)
    const { key } = token.of
    const first = server.present(token.value, null, timeline.now(), { key, nonce: server.nonceAt(timeline.now()) })
    const body = first.body as { access_token: string; refresh_token?: string; token_type: string }
    return {
      signIn: token.of,
      input: {
        refreshToken: body.refresh_token ?? token.value,
        accessToken: body.access_token,
        tokenType: body.token_type,
        dpopKey: key ?? undefined,
        expiresAt: START + timeline.now() + setting.lifetimeSeconds * 1000,
        refreshTokenExpiresAt: first.carries?.endsAt == null ? undefined : START + first.carries.endsAt,
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
      for (const { fingerprint } of row?.accessTokens ?? [])
        if (before?.accessTokens.every((each) => each.fingerprint !== fingerprint) !== false) forgotten.add(fingerprint)
      if (before === undefined) memory.rows.delete(uid)
      else set(uid, before)
      rules.forgot(before, uid)
    }
    endedSignIns.clear()
    storeState.forgotAt = timeline.now()
    newSessions()
  }
  const rowNow = (id = 'x'): ConnectionRow | undefined =>
    [...memory.rows.values()].find((row) => row.id === id && row.state.status !== 'erased')
  const currentSignIn = (id = 'x'): SignIn | null => {
    const row = rowNow(id)
    return row === undefined ? null : signInOf(row)
  }
  function signInOf(row: ConnectionRow): SignIn | null {
    const fingerprint = row.refreshToken?.fingerprint ?? ''
    return serverAt(row.provider).find(fingerprint.slice(fingerprintOf('').length))?.of ?? null
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
    slots,
    hosts,
    processes,
    lives,
    storeClock,
    storeState,
    endedSignIns,
    forgotten,
    broken,
    look,
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
    beginBackground() {
      hasBackground = true
      for (const begin of idle.splice(0)) begin()
    },
    connections,
    killsAt: (id) => siteAt(providerOf(id)).kills,
    cameAbout: (kind) => options.cameAbout?.(kind),
    providerOf,
    clientOf,
    idOf: (signIn) => madeFor.get(signIn),
    issuedAccessToken(value) {
      for (const site of sites) {
        const issued = site.server.accessTokens.get(value)
        if (issued !== undefined) return issued
      }
      return undefined
    },
    outage,
    end() {
      const losses = connections.map(lostOf)
      for (const process of processes) process.diedAt ??= timeline.now()
      return { loss: losses[0] ?? null, losses: losses.filter((loss) => loss !== null) }
    },
  }

  /** With the key of its sign-in; and a second request leaves only where that sign-in stood when the nonce was heard. */
  function provesAndStands({ refreshToken, provider, proof, after }: Presented): void {
    const of = serverAt(provider).find(refreshToken)?.of
    if (of === undefined) return
    if (of.key !== proof.key)
      rules.violations.push(`${refreshToken} was presented with ${proof.key}, and is bound to ${of.key}`)
    const endedAt = endedSignIns.get(of.name) ?? Number.POSITIVE_INFINITY
    if (after !== null && !isClosing(siteAt(provider).policy) && endedAt < (after.arrivedAt ?? 0))
      rules.violations.push(`${refreshToken} left once more although its sign-in had ended here`)
  }

  /** Why the sign-in of the connection is lost; null: it is not. */
  function lostOf(id: string): Loss | null {
    const row = rowNow(id)
    const signIn = currentSignIn(id)
    const loss = row === undefined || signIn === null ? null : lossesAt(row.provider).lossOf(row, signIn)
    if (loss !== null && isAvoidable(loss))
      broken.push(`a sign-in was lost although its refresh token was at hand: ${loss}`)
    for (const { carries, by, answer, refreshToken, attempt, arrivedAt } of presentations.all) {
      // What it was judged by may have been forgotten: a later sign-in, for example.
      if (arrivedAt !== null && arrivedAt <= storeState.forgotAt) continue
      if (answer !== 'arrived' || carries === null || by.diedAt !== null || carries.of !== signIn) continue
      // The store forgot its intent, and with it what it answered: the answer was history when it came.
      if (!rules.isIntended(attempt)) continue
      // An answer to an older ancestor is history.
      const answers = fingerprintOf(refreshToken)
      if (answers !== row?.refreshToken?.fingerprint && answers !== row?.parent) continue
      const isKept = rules.everStored.has(fingerprintOf(carries.value))
      if (!isKept && row.state.status !== 'deleting' && serverAt(row.provider).lives(carries, timeline.now()))
        broken.push(`${carries.value} was granted, heard by ${by.owner}, and is kept nowhere`)
    }
    return loss
  }
}
