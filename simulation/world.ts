/** One world: it plays a plan, then peace, and says what was broken and what was lost. */
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
  type HandOut,
  type Manager,
  type OwnerId,
  type Provider,
  type Uid,
} from '@tokenkeep/core'
import { createMemory } from '../packages/node/src/store-memory.ts'
import { createArmedFaults } from './armed-faults.ts'
import { createAuthorizationServer, type SignIn } from './authorization-server.ts'
import { createDraw } from './draw.ts'
import { isAvoidable, createLosses, type Loss } from './losses.ts'
import { CLIENT, NAMELESS } from './modelled-provider.ts'
import { isServerFault, type Happening, type HappeningKind, type Plan } from './plan.ts'
import { createPresentations } from './presentations.ts'
import {
  backgroundClockOf,
  fingerprintOf,
  portsOf,
  START,
  storeNow,
  worldMs,
  type Slot,
  type Surroundings,
} from './process-ports.ts'
import { createProcessControl, goesAway, type Host, type Process } from './processes.ts'
import { createRules } from './rules.ts'
import { SHORT_NUMBERS } from './short-numbers.ts'
import { createTimeline } from './timeline.ts'

export interface Verdict {
  /** Sentences; empty: everything held. */
  readonly broken: readonly string[]
  readonly losses: readonly Loss[]
  readonly happened: readonly HappeningKind[]
  readonly presentations: number
  readonly steps: number
  /** What happened, in order, for whoever reads the story. */
  readonly story: readonly string[]
}

const HAPPENINGS_MOST = 60_000
/** After the last fault: nobody waits longer than a lease, patience, an access token and the longest back-off. */
const PEACE_ROUNDS = 40
/** Clocks are compared once a second, and a hand-out takes its time. */
const HAND_OUT_LATE_MS = 200
/** A process remembers for a second what others deleted or replaced, and two where its round takes long. */
const REMEMBERED_MOST_MS = 8000
/** A caller that read just before is told what was so then. */
const LIVES_STILL_MS = 5000
/** What is never said while an access token lives. */
const BEATEN: readonly string[] = ['in_doubt', 'suspect', 'blocked', 'unavailable', 'needs_user']
const CALLS_MOST_MS = 10_000
const ROUND_EVERY_MOST_MS = 20_000

interface Life {
  readonly process: Process
  readonly manager: Manager
  readonly custody: Custody
}

/** What became of one request for a token. */
interface Asked {
  readonly by: Process
  readonly scope: string | null
  readonly at: number
  token: HandOut | null
  error: unknown
}

/**
 * @param left what of the plan is left out
 * @param tells whether the verdict has a story
 */
export async function play(plan: Plan, left: ReadonlySet<number> = new Set(), tells = false): Promise<Verdict> {
  const { policy } = plan
  const draw = createDraw(plan.seed ^ 0x5bd1e995)
  const numbers = plan.numbers === 'real' ? NUMBERS : SHORT_NUMBERS
  const memory = createMemory()
  const hosts: Host[] = [0, 1].map((index) => ({ index, wallStep: 0, monoStep: 0, lostUntil: 0 }))
  const lives: (Life | null)[] = []
  const processes: Process[] = []
  const buried = new Set<Process>()
  const slots = new Set<Slot>()
  const storeClock = { step: 0 }
  const happened: HappeningKind[] = []
  const story: string[] = []
  const broken: string[] = []
  const asked: Asked[] = []
  const forgotten = new Set<string>()
  /** When a sign-in was replaced or deleted here, by its name. */
  const endedSignIns = new Map<string, number>()
  const storeState = { awayUntil: 0, session: 0, clockSlackMs: 0, troubleAt: -1, forgotAt: -1 }
  /** Writes, newest last, so that a store can forget them. */
  const writes: { readonly uid: Uid; readonly before: ConnectionRow | undefined }[] = []
  let ids = 0
  let owners = 0

  const count = (kind: HappeningKind): void => void happened.push(kind)
  const tell = (line: string): void => {
    if (tells) story.push(`${(timeline.now() / 1000).toFixed(3).padStart(9)}  ${line}`)
  }
  const news = (): void => {
    for (const process of processes) process.hasNews = true
  }

  // ---- the parts ----

  const timeline = createTimeline({
    happeningsMost: HAPPENINGS_MOST,
    wakesAt(of, dueAt) {
      const process = of as Process
      if (process.hasNews || storeState.awayUntil > timeline.now()) return dueAt
      let due = dueAt + ROUND_EVERY_MOST_MS
      for (const row of memory.rows.values())
        if (row.dueAt !== null) due = Math.min(due, worldMs(row.dueAt) - storeClock.step + 1)
      return Math.max(dueAt, due)
    },
    look() {
      if (rules.violations.length === 0) return
      for (const violation of rules.violations.splice(0)) {
        tell(`BROKEN: ${violation}`)
        broken.push(violation)
      }
    },
  })
  const faults = createArmedFaults(count)
  const control = createProcessControl({
    timeline,
    draw,
    faults,
    callMsMost: plan.callMsMost,
    isAway: (process) => storeState.awayUntil > timeline.now() || process.cutOffUntil > timeline.now(),
    forget: (many) => forget(many),
    died(process, backAfterMs) {
      tell(`${process.owner} is killed`)
      process.lockMissingSince = timeline.now()
      timeline.rounds.delete(process)
      news()
      const index = lives.findIndex((life) => life?.process === process)
      if (index === -1) return
      lives[index] = null
      const backMs = Math.max(backAfterMs ?? 1000, process.host.lostUntil - timeline.now())
      timeline.after(backMs, () => start(index, process.host))
    },
  })
  const server = createAuthorizationServer(plan.behaviour, plan.lifetimeSeconds)
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
    accessTokenLifetimeMs: fromSeconds(plan.lifetimeSeconds),
  }
  memory.providers.set(provider.id, provider)
  memory.clients.set(CLIENT.id, { client: CLIENT, secret: null })
  const around: Surroundings = {
    timeline,
    draw,
    control,
    memory,
    numbers,
    showsLocks: plan.showsLocks,
    server,
    presentations,
    processes,
    buried,
    slots,
    storeClock,
    uuid: () => {
      const number = (ids += 1).toString(16).padStart(12, '0')
      const mixed = Math.floor(draw.fraction() * 2 ** 16).toString(16)
      return `${number.slice(4)}-0000-4000-8000-${mixed.padStart(4, '0')}${number.slice(4)}`
    },
    kept: rules.kept,
    told(event, by) {
      if (event.type === 'in_doubt' || event.type === 'replayed' || event.type === 'needs_user')
        tell(`${by.owner} tells ${event.type}`)
    },
  }

  const start = (index: number, host: Host): void => {
    const process: Process = {
      owner: `${'ABC'[index] ?? 'X'}${(owners += 1)}` as OwnerId,
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
      session: `${owners}.${storeState.session}`,
      hasNews: true,
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
  const lifeOf = (index: number): Life | null => lives[index % plan.hosts.length] ?? null

  // ---- acts ----

  let reported = 0
  const signInInput = () => {
    const token = server.signIn()
    const first = server.present(token.value, null, timeline.now())
    const body = first.body as { access_token: string; refresh_token?: string }
    return {
      signIn: token.of,
      input: {
        refreshToken: body.refresh_token ?? token.value,
        accessToken: body.access_token,
        expiresAt: START + timeline.now() + plan.lifetimeSeconds * 1000,
        scope: 'a b',
        sessionId: token.of.name,
      },
    }
  }
  const act = (what: string, done: Promise<unknown>): void => {
    done.then(
      () => tell(`${what}: done`),
      (error: unknown) => {
        tell(`${what}: ${error instanceof TokenError ? error.code : String(error)}`)
        if (!(error instanceof TokenError)) broken.push(`${what} met a defect: ${String(error)}`)
      },
    )
  }
  const ask = (life: Life, scope: string | null): Asked => {
    const one: Asked = { by: life.process, scope, at: timeline.now(), token: null, error: null }
    asked.push(one)
    life.manager.token('x', scope === null ? {} : { scope }).then(
      (token) => {
        one.token = token
        handedOut(one, token)
      },
      (error: unknown) => {
        one.error = error
        refused(one, error)
      },
    )
    return one
  }
  const handedOut = (one: Asked, { accessToken }: HandOut): void => {
    const known = server.accessTokens.get(accessToken)
    if (known === undefined) return void broken.push(`a caller got ${accessToken}, which no server made`)
    const { scope, of, issuedAt } = known
    const now = timeline.now()
    // One that stood still meanwhile answers by what it had read before.
    const stoodStill = one.by.wellSince > one.at
    if (!stoodStill && now >= issuedAt + plan.lifetimeSeconds * 1000 + storeState.clockSlackMs + HAND_OUT_LATE_MS)
      broken.push(`${accessToken} was handed out after its end`)
    const endedAt = endedSignIns.get(of.name)
    const since = Math.max(endedAt ?? now, one.by.wellSince, storeState.troubleAt)
    if (
      endedAt !== undefined &&
      one.by.frozenSince === null &&
      now - since > REMEMBERED_MOST_MS + storeState.clockSlackMs
    )
      broken.push(`${accessToken} was handed out ${now - endedAt} ms after its sign-in ended here`)
    if (scope !== one.scope) broken.push(`a caller that asked for ${one.scope} got a token for ${scope}`)
    if (!rules.everStored.has(fingerprintOf(accessToken)))
      broken.push(`${accessToken} was handed out before it was durable`)
  }
  const refused = (one: Asked, error: unknown): void => {
    if (!(error instanceof TokenError)) return void broken.push(`a caller met a defect: ${String(error)}`)
    const row = rowNow()
    const stoodStill = one.by.wellSince > one.at
    const living =
      !stoodStill && one.scope === null && BEATEN.includes(error.code) && row !== undefined && row.signedOutAt === null
    const until = START + timeline.now() + storeState.clockSlackMs + LIVES_STILL_MS
    const better = row?.accessTokens.find(
      (each) => each.variant === '' && each.refusedAt === null && each.expiresAt > until,
    )
    // Whoever waits for the refresh of a sign-in that was replaced meanwhile is not woken (docs/open.md).
    const isReplaced = row !== undefined && worldMs(row.signedInAt) - storeClock.step >= one.at
    if (
      living &&
      !isReplaced &&
      row.state.status !== 'deleting' &&
      better !== undefined &&
      storedFor(row) > LIVES_STILL_MS
    )
      broken.push(`a caller of ${one.by.owner} is told ${error.code} although an access token lives`)
    tell(`a caller of ${one.by.owner} is told ${error.code}${error.reason === null ? '' : `: ${error.reason}`}`)
  }

  /** How long the access tokens of the row have been there for everybody to read. */
  const storedFor = (row: ConnectionRow): number =>
    timeline.now() - worldMs(row.lastGrant?.at ?? row.signedInAt) - storeClock.step

  const happen = (happening: Happening): void => {
    if (isServerFault(happening)) return faults.armServer(happening)
    const { kind } = happening
    switch (happening.kind) {
      case 'ask': {
        const life = lifeOf(happening.process)
        if (life === null || life.process.frozenSince !== null) return
        count(kind)
        for (let callers = happening.callers; callers > 0; callers -= 1) ask(life, happening.scope)
        return
      }
      case 'report_401': {
        const life = lifeOf(happening.process)
        const token = asked.findLast((each) => each.token !== null)?.token
        if (life === null || token == null || life.process.frozenSince !== null) return
        count(kind)
        for (let reports = happening.reports; reports > 0; reports -= 1) {
          reported += 1
          act(`report ${reported} of a 401`, life.custody.rejected('x', token.accessToken))
        }
        return
      }
      case 'reconnect':
      case 'import': {
        const life = lifeOf(happening.process)
        if (life === null || life.process.frozenSince !== null) return
        count(kind)
        const { signIn, input } = signInInput()
        const begun =
          happening.kind === 'reconnect'
            ? life.custody.reconnect('x', input)
            : life.custody.import({ id: 'x', client: 'c', ...input })
        act(`${happening.kind} of sign-in ${signIn.name}`, begun)
        return
      }
      case 'delete':
      case 'logout':
      case 'resolve': {
        const life = lifeOf(happening.process)
        if (life === null || life.process.frozenSince !== null) return
        count(kind)
        const { custody } = life
        const issuedAt = START + timeline.now()
        const sessionId = currentSignIn()?.name ?? '1'
        act(
          happening.kind,
          happening.kind === 'delete'
            ? custody.delete('x')
            : happening.kind === 'logout'
              ? custody.logout({ provider: 'p', sessionId, issuedAt })
              : custody.resolve('x', 'present'),
        )
        return
      }
      case 'kill':
      case 'freeze':
      case 'store_error':
      case 'lost_acknowledgement':
      case 'slow_call':
      case 'store_forgets':
        faults.arm(happening)
        return
      case 'kill_at_once':
      case 'freeze_at_once':
      case 'cut_off':
      case 'disk_full': {
        const process = lifeOf(happening.process)?.process
        if (process === undefined) return
        count(kind)
        strike(process, happening)
        return
      }
      case 'host_lost': {
        count(kind)
        const host = hosts[happening.host]
        if (host === undefined) return
        tell(`host ${host.index} is lost`)
        host.lostUntil = timeline.now() + happening.backAfterMs
        for (const process of processes) if (process.host === host) control.kill(process)
        return
      }
      case 'store_away':
        count(kind)
        tell(`the store is away for ${happening.forMs} ms`)
        storeState.awayUntil = timeline.now() + happening.forMs
        newSessions()
        return
      case 'wall_step':
      case 'mono_step': {
        const host = hosts[happening.host]
        if (host === undefined) return
        count(kind)
        tell(`host ${host.index}: ${kind} by ${happening.byMs} ms`)
        if (happening.kind === 'wall_step') host.wallStep += happening.byMs
        else host.monoStep += happening.byMs
        storeState.clockSlackMs += Math.abs(happening.byMs)
        news()
        return
      }
      case 'store_clock_step':
        count(kind)
        tell(`the clock of the store steps by ${happening.byMs} ms`)
        storeClock.step += happening.byMs
        storeState.clockSlackMs += Math.abs(happening.byMs)
        news()
        return
    }
  }
  const strike = (
    process: Process,
    happening: Extract<Happening, { kind: 'kill_at_once' | 'freeze_at_once' | 'cut_off' | 'disk_full' }>,
  ): void => {
    tell(`${process.owner}: ${happening.kind}`)
    switch (happening.kind) {
      case 'kill_at_once':
        return control.kill(process)
      case 'freeze_at_once':
        return control.freeze(process, happening.forMs)
      case 'disk_full':
        process.diskFullUntil = timeline.now() + happening.forMs
        return
      case 'cut_off':
        goesAway(process, timeline.now())
        process.cutOffUntil = timeline.now() + happening.forMs
        process.lockMissingSince ??= timeline.now()
        timeline.after(happening.forMs, () => comesBack(process))
    }
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

  // ---- the story ----

  plan.hosts.forEach((index, each) => start(each, hosts[index] ?? { index, wallStep: 0, monoStep: 0, lostUntil: 0 }))
  await timeline.advance(1)
  const first = signInInput()
  act('the first import', lifeOf(0)?.custody.import({ id: 'x', client: 'c', ...first.input }) ?? Promise.resolve())
  await timeline.advance(200)
  plan.planned.forEach(({ at, happening }, index) => {
    if (!left.has(index)) timeline.after(Math.max(0, at - timeline.now()), () => happen(happening))
  })
  try {
    await timeline.advance(plan.endsAt)
    await peace()
  } catch (error) {
    broken.push(error instanceof Error ? error.message : 'something that is no error was thrown')
  }
  const steps = timeline.happened()
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
  return {
    broken,
    losses: loss === null ? [] : [loss],
    happened,
    presentations: presentations.all.length,
    steps,
    story,
  }

  /** No faults any more: everybody gets a token, or a plain word, and every connection settles. */
  async function peace(): Promise<void> {
    tell('peace')
    faults.disarm()
    storeState.awayUntil = 0
    for (const host of hosts) host.lostUntil = 0
    for (const process of processes) {
      process.diskFullUntil = 0
      if (process.cutOffUntil > timeline.now()) {
        process.cutOffUntil = 0
        comesBack(process)
      }
      control.thaw(process)
    }
    news()
    let last: Asked[] = []
    for (let round = 0; round < PEACE_ROUNDS; round += 1) {
      const everybody = lives.filter((life) => life !== null)
      last = everybody.map((life) => ask(life, null))
      await timeline.advance(timeline.now() + numbers.callerDeadlineMs + 1000)
      // A caller's deadline, and what a call of the store can take at its beginning and its end.
      const toldBefore = timeline.now() - numbers.callerDeadlineMs - CALLS_MOST_MS
      for (const one of asked)
        if (one.by.diedAt === null && one.token === null && one.error === null && one.at < toldBefore)
          broken.push(`a caller of ${one.by.owner} waits since ${(one.at / 1000).toFixed(1)} s and is told nothing`)
      if (broken.length > 0) return
      if (everybody.length === plan.hosts.length && isSettled(last)) return
      await timeline.advance(timeline.now() + 5000)
    }
    const told = last.map(({ error }) => (error instanceof TokenError ? error.code : 'a token'))
    broken.push(
      `it did not settle: callers were told ${told.join(', ')}, the row is ${rowNow()?.state.status ?? 'gone'}`,
    )
  }

  function isSettled(last: readonly Asked[]): boolean {
    const status = rowNow()?.state.status
    const settled = status === undefined || status === 'ready' || status === 'needs_user'
    return (
      settled &&
      last.every(
        ({ token, error }) =>
          token !== null ||
          (error instanceof TokenError && (error.code === 'needs_user' || error.code === 'unknown_connection')),
      )
    )
  }
}
