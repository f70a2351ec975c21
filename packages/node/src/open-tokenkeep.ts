/** Puts the parts together: the one place where real adapters are chosen. */
import { existsSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, resolve } from 'node:path'
import process from 'node:process'
import {
  closedError,
  createConnections,
  createIntrospections,
  createManager,
  NUMBERS,
  parseConnectionId,
  policyOf,
  startScheduler,
  TokenError,
  type Clock,
  type ConnectionId,
  type DurationMs,
  type EventSink,
  type Moment,
  type Now,
  type Numbers,
  type OwnerId,
  type Ports,
  type ProviderId,
  type Random,
} from '@tokenkeep/core'
import { LIBRARY, readActor, recipientOf } from './actor.ts'
import { createBootClock } from './boot.ts'
import { createCallers, type CallerRows } from './callers.ts'
import { createAesGcmCipher } from './cipher-aes-gcm.ts'
import { createGlance, createSystemClock } from './clock-system.ts'
import { createEvents } from './events.ts'
import { keepPruning } from './event-pruning.ts'
import type { EventRows } from './event-rows.ts'
import { tellEvents } from './event-telling.ts'
import { prepareDataFolder, prepareFolder } from './data-folder.ts'
import { createConnectSessions, type ConnectSessionRows } from './connect-sessions.ts'
import { createAuditLog, type AuditLog } from './audit.ts'
import { audited } from './audited.ts'
import { createApiProofs } from './api-proofs.ts'
import { dpopKeysOnDemand } from './dpop-keys-on-demand.ts'
import { createFetchFor } from './fetch-for.ts'
import { forwardOnDemand } from './forward-on-demand.ts'
import { createSignInKeeper } from './keep-sign-in.ts'
import { keysFor } from './keys-for.ts'
import { masterKeys, type MasterKeys } from './master-keys.ts'
import { nameOf } from './input-members.ts'
import { keepLife, type Life } from './life.ts'
import { onDemand } from './on-demand.ts'
import type { OpenedDatabase, OpeningParts } from './opened-database.ts'
import { keepMinutes, type Minutes } from './keep-minutes.ts'
import { createHandOuts, createRefreshes } from './minute-reading.ts'
import type { MinuteRows } from './minute-rows.ts'
import { createLiveness, isAnyoneAlive, withOwnerLocks } from './liveness.ts'
import { createMarkers, markerFolders } from './markers.ts'
import { createClients } from './clients.ts'
import { keepErasingKeys } from './erase-client-keys.ts'
import { knownPresets } from './known-presets.ts'
import type { ProviderAccess } from './provider-access.ts'
import { readProviderInput } from './provider-input.ts'
import type { ReceivedEventRows } from './received-events.ts'
import { createSystemRandom } from './random-system.ts'
import { createSourceTokens, type SourceTokens } from './source-tokens.ts'
import { createSpill } from './spill-slots.ts'
import { backUpSqlite } from './sqlite-backup.ts'
import { sqliteAudit } from './sqlite-audit.ts'
import { sqliteCallers } from './sqlite-callers.ts'
import { sqliteConnectSessions } from './sqlite-connect-sessions.ts'
import { sqlitePageSessions } from './sqlite-page-sessions.ts'
import { createPageSessions, type PageSessionRows } from './page-sessions.ts'
import { inspectSqlite, openSqliteDatabase } from './sqlite-database.ts'
import { sqliteMinutes } from './sqlite-minutes.ts'
import { sqliteReceivedEvents } from './sqlite-received-events.ts'
import { createSqliteStore } from './store-sqlite.ts'
import { tokenEndpointOnDemand } from './token-endpoint-on-demand.ts'
import type { Coordination, OpenOptions, Tokenkeep } from './tokenkeep.ts'

/** The clocks of this host. A test brings others and lets hours pass. */
export interface Clocks {
  readonly clock: Clock
  /** For work that nobody waits for: it does not keep the process alive. */
  readonly background: Clock
  /** Store time. */
  readonly bootNow: () => Moment
  /** For hand-outs from memory; `clock.now` where absent. */
  readonly glance?: () => Now
}

const CACHE_BYTES = 32 * 1024 * 1024

/** With the clocks of this host; what users call stands in `open.ts`. */
export function openOnThisHost(options: OpenOptions): Promise<Tokenkeep> {
  const boot = createBootClock()
  return openWithClocks(options, {
    clock: createSystemClock(),
    background: createSystemClock({ alarms: 'background' }),
    bootNow: () => boot.now(),
    glance: createGlance(),
  })
}

/** The same with clocks of one's own. */
export async function openWithClocks(options: OpenOptions, clocks: Clocks): Promise<Tokenkeep> {
  const { clock, background, glance } = clocks
  const random = createSystemRandom()
  const owner = random.uuid() as OwnerId
  const numbers = numbersFrom(options?.numbers)
  const parts = { owner, host: hostname(), process: programName(), clock, random, numbers }
  const {
    open,
    callers,
    receivedEvents,
    connectSessions,
    minutes: minuteRows,
    audit: auditRows,
    pageSessions,
    cipher,
    keys,
    state,
    boot,
    life: lived,
    markers,
    locks,
    coordination,
  } = await openDatabase(options, {
    ...parts,
    bootNow: clocks.bootNow,
    background,
  })
  const opened: { close(): void | Promise<void> }[] = [open]
  try {
    const { store, registry, notices, incarnation: rows, committed } = open
    const life = keepLife({ store, rows, committed, markers, opened: lived, background, random })
    opened.push(life)
    const files = await createLiveness({ folder: state, owner, boot })
    opened.push(files)
    const spill = createSpill({ folder: state, owner })
    opened.push(spill)
    const minutes = keepMinutes({ rows: minuteRows, clock, background })
    opened.push({ close: () => minutes.stop() })
    const audit = createAuditLog({ rows: auditRows, clock })
    opened.push({ close: () => audit.settled() })
    const access = onDemand(async () => {
      const { createProviderAccess } = await import('./provider-access.ts')
      return createProviderAccess({ clock })
    })
    const sources = createSourceTokens(clock)
    const ports: Ports = {
      store,
      registry,
      cipher,
      dpopKeys: dpopKeysOnDemand,
      liveness: locks === undefined ? files : withOwnerLocks(files, locks),
      spill,
      notices,
      clock,
      random,
      endpoint: tokenEndpointOnDemand(access, sources.token),
      events: sinkTo(options.onEvent, [minutes.heard, tellEvents({ rows: open.events, clock: background })]),
    }
    const { installation } = lived
    const manyHosts = options.postgres !== undefined
    const { secrets } = open
    const forKeys = masterKeys({ installation, keys, manyHosts, cipher, secrets, state, liveness: files })
    const records = { minuteRows, minutes, audit, events: open.events }
    const held = { callers, receivedEvents, connectSessions, pageSessions, ...records }
    const assembly = { owner, numbers, options, background, glance, opened, life, access, sources, ...held }
    return await assemble(ports, { ...assembly, masterKeys: forKeys, coordination })
  } catch (error) {
    for (const part of opened.toReversed()) await part.close()
    throw error
  }
}

function openDatabase(options: OpenOptions, parts: OpeningParts): Promise<OpenedDatabase> {
  const { path, postgres } = options ?? {}
  if (path !== undefined && postgres !== undefined) {
    throw new TokenError(
      'invalid_input',
      'openTokenkeep takes { path } or { postgres }, not both: one of them has the tokens',
    )
  }
  if (postgres !== undefined) return openPostgres(options, postgres, parts)
  if (typeof path !== 'string' || path === '') {
    throw new TokenError(
      'invalid_input',
      'openTokenkeep needs { path }: the SQLite file, for example "./tokens.db"; or { postgres }: the URL of a database',
    )
  }
  return openSqlite(options, resolve(path), parts)
}

async function openSqlite(options: OpenOptions, path: string, given: OpeningParts): Promise<OpenedDatabase> {
  const { bootNow, background, ...parts } = given
  const { clock, random, numbers } = parts
  const state = `${path}.state`
  const kinds = { allowNetworkFileSystem: options.allowNetworkFileSystem ?? false }
  if (options.create === false) refuseMissing(path)
  const folder = await prepareDataFolder(path, kinds)
  // Made anew it lies beside the database; one that is there can be a mount or a link to anywhere.
  if (existsSync(state)) await prepareFolder(state, kinds)
  const seen = await inspectSqlite({ path, clock, random })
  if (seen === null) await refuseSecond(path, { clock, random })
  const keys = await keysFor(options, folder, seen, process.env)
  const markers = createMarkers({ folders: markerFolders(options, state), database: path })
  const marked = seen === null ? [] : markers.read(seen.installation)
  const database = await openSqliteDatabase({
    path,
    keys,
    seen,
    markers: marked,
    clock,
    random,
    bootNow,
    leaseMs: numbers.leaseMs,
  })
  const cipher = createAesGcmCipher({ installation: database.installation, keys })
  return {
    open: createSqliteStore({ ...parts, cipher, database, bootNow, background }),
    callers: sqliteCallers(database),
    receivedEvents: sqliteReceivedEvents(database),
    connectSessions: sqliteConnectSessions(database),
    minutes: sqliteMinutes(database),
    audit: sqliteAudit(database),
    pageSessions: sqlitePageSessions(database),
    cipher,
    keys,
    state,
    life: database,
    // Files of this host say both, and nobody else has this one open.
    coordination: () => ({ hearsCommits: true, seesLocks: true, behindPooler: false }),
    markers,
    boot: bootNow().boot,
  }
}

/** An empty file counts as none: opening it would make a database of it. */
function refuseMissing(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0) return
  throw new TokenError('folder_unusable', `there is no Tokenkeep database at ${path}, and none is to be made`)
}

/** Loads the driver, which whoever keeps tokens in a file does not need. */
async function openPostgres(options: OpenOptions, url: string, parts: OpeningParts): Promise<OpenedDatabase> {
  const { openPostgresParts } = await import('./open-postgres.ts')
  return openPostgresParts({
    ...parts,
    url,
    stateFolder: options.stateFolder,
    create: options.create ?? true,
    allowNetworkFileSystem: options.allowNetworkFileSystem ?? false,
    keysFor: (folder, existing) => keysFor(options, folder, existing, process.env),
    markerFolders: (state) => markerFolders(options, state),
  })
}

/**
 * Where there is no database but somebody has one open, it was moved or deleted under that process: a new one beside it
 * would be a second keeper.
 *
 * @throws TokenError `folder_unusable`
 */
async function refuseSecond(path: string, time: { readonly clock: Clock; readonly random: Random }): Promise<void> {
  if (!(await isAnyoneAlive(`${path}.state`))) return
  // Of two that start first together one has made it meanwhile: it makes the database before it shows that it lives.
  if ((await inspectSqlite({ path, ...time })) !== null) return
  throw new TokenError(
    'folder_unusable',
    `there is no database ${path}, but a process that is alive has it open: it was moved or deleted while in use. ` +
      'Put that very file back, or end that process first; what it did since then is in the file that is gone.',
  )
}

interface Assembly {
  readonly owner: OwnerId
  readonly numbers: Numbers
  readonly options: OpenOptions
  readonly background: Clock
  readonly glance: Clocks['glance'] | undefined
  readonly callers: CallerRows
  readonly receivedEvents: ReceivedEventRows
  readonly connectSessions: ConnectSessionRows
  readonly minuteRows: MinuteRows
  readonly minutes: Minutes
  readonly events: EventRows
  readonly audit: AuditLog
  readonly pageSessions: PageSessionRows
  readonly access: () => Promise<ProviderAccess>
  readonly sources: SourceTokens
  readonly life: Life
  readonly masterKeys: MasterKeys
  readonly coordination: () => Coordination
  /** Closed in the reverse order. */
  readonly opened: readonly { close(): void | Promise<void> }[]
}

async function assemble(ports: Ports, assembly: Assembly): Promise<Tokenkeep> {
  const { owner, numbers, options, background, glance, opened, life, minutes, minuteRows, audit } = assembly
  const { registry, clock, store } = ports
  let closing: Promise<void> | null = null
  const cacheBytes = options.cacheBytes ?? CACHE_BYTES
  const onHandOut = minutes.handedTo(recipientOf(LIBRARY))
  const manager = createManager(ports, { owner, numbers, cacheBytes, glance, onHandOut })
  minutes.before(manager.tellHandOuts)
  // Handed to no caller: what is exchanged for it is, by its own connection.
  assembly.sources.from((id) => manager.tokenFor(() => undefined, id))
  const { finishDeletion, rejected, introspect, boundKey, ...connections } = createConnections(
    ports,
    manager,
    () => closing !== null,
  )
  // Whoever died here before may have left an answer: it is replayed before anything is presented.
  await manager.watches.buryTheDead()
  const introspections = createIntrospections(ports, manager, introspect)
  const scheduler = startScheduler(
    { ...ports, clock: background },
    manager,
    options.background === false ? null : finishDeletion,
    introspections,
  )
  const intake = onDemand(async () => {
    const { createRevocationIntake } = await import('./revocation-intake.ts')
    return createRevocationIntake({
      access: await assembly.access(),
      registry,
      store: manager.store,
      rows: assembly.receivedEvents,
      logout: connections.logout,
      verifySoon: (id) => introspections.soon(id),
    })
  })
  const erasing = options.background === false ? null : keepErasingKeys({ registry, clock: background })
  const pruning = options.background === false ? null : keepPruning({ rows: assembly.events, clock: background })

  const close = async (): Promise<void> => {
    erasing?.stop()
    pruning?.stop()
    introspections.stop()
    await scheduler.stop()
    // A person may have said yes, and the answer is on its way.
    await (await devices.made())?.close()
    forwards.close()
    const closeParts = async (): Promise<void> => {
      for (const part of opened.toReversed()) await part.close()
    }
    const ended = await manager.close((numbers.grantDeadlineMs + numbers.commitDeadlineMs) as DurationMs)
    if (ended === 'landed') return closeParts()
    // A server that is still at work may send the only living refresh token. Until its answer is kept, this owner lives.
    void manager.flights
      .landed()
      .then(closeParts)
      .catch(() => undefined)
  }
  const connectionOf = async (id: string) => {
    const { uid, provider: name } = await connections.get(id)
    const provider = await registry.provider(name as ProviderId)
    if (provider === null) throw unknownProvider(name)
    return { uid, provider }
  }
  const providerOf = async (id: string) => (await connectionOf(id)).provider
  const proofs = createApiProofs({ proofs: async () => (await assembly.access()).proofs, boundKey })
  const use = { token: manager.token, rejected, proofs }
  const forwards = forwardOnDemand({ ...use, connection: connectionOf, clock })
  const keeper = createSignInKeeper({
    registry,
    // An answer that comes while this closes is kept all the same: it cannot be had again.
    connections: createConnections(ports, manager, () => false),
    connectionId,
  })
  const shownJwts = onDemand(async () => {
    const { createShownJwts } = await import('./shown-jwt.ts')
    return createShownJwts(await assembly.access())
  })
  const devices = onDemand(async () => {
    const { createDeviceSignIns } = await import('./device-sign-ins.ts')
    const access = await assembly.access()
    const { cipher, dpopKeys } = ports
    return createDeviceSignIns({ access, registry, keeper, cipher, dpopKeys, clock, connectionId })
  })
  /** The ways to a token, each of which ends in this one. */
  const handingOut = (token: Tokenkeep['token']): Pick<Tokenkeep, 'token' | 'fetchFor' | 'forward'> => ({
    token,
    fetchFor: (id) => createFetchFor({ ...use, token, provider: providerOf })(connectionId(id)),
    forward: (id, request) => forwards.forward(connectionId(id), request, token),
  })
  const reading = { rows: minuteRows, clock, connectionId, flush: minutes.flush }
  const callers = createCallers({ rows: assembly.callers, clock, connectionId, shownJwts })
  /** Acts leave no line here. */
  const whole: Tokenkeep = {
    audit: audit.of(LIBRARY),
    providers: {
      // Only who adds a provider needs what is known about them.
      put: async (input, condition) => registry.putProvider(readProviderInput(input, await knownPresets()), condition),
      get: async (id) => (await registry.provider(nameOf<ProviderId>('provider', id))) ?? raise(unknownProvider(id)),
      list: () => registry.providers(),
    },
    clients: createClients({ registry, clock }),
    connections,
    ...callers,
    pageSessions: createPageSessions({ rows: assembly.pageSessions, apiKey: callers.apiKeys.get, clock }),
    connectSessions: createConnectSessions({
      rows: assembly.connectSessions,
      registry,
      keeper,
      cipher: ports.cipher,
      dpopKeys: ports.dpopKeys,
      clock,
      random: ports.random,
      signIns: onDemand(async () => {
        const { createSignIns } = await import('./sign-in.ts')
        return createSignIns(await assembly.access())
      }),
      connectionId,
    }),
    deviceSignIns: {
      begin: async (input) => {
        if (closing !== null) throw closedError()
        return (await devices()).begin(input)
      },
    },
    events: createEvents({ rows: assembly.events, clock }),
    rejected,
    introspect,
    receiveLogoutToken: async (provider, token) => (await intake()).logoutToken(provider, token),
    receiveSecurityEvent: async (provider, token) => (await intake()).securityEvent(provider, token),
    incarnation: () => store.incarnation(),
    coordination: assembly.coordination,
    adopt: () => life.adopt(),
    masterKeys: assembly.masterKeys,
    backUp: async (file) => {
      if (options.path === undefined) throw new TokenError('invalid_input', 'the data are in Postgres: use pg_dump')
      await backUpSqlite({ path: resolve(options.path), to: file, now: clock.now().wall })
    },
    handOuts: createHandOuts(reading),
    refreshes: createRefreshes(reading),
    ...handingOut(manager.token),
    by(given) {
      const actor = readActor(given)
      const counting = minutes.handedTo(recipientOf(actor))
      return {
        ...whole,
        ...audited(whole, audit, actor),
        audit: audit.of(actor),
        ...handingOut((id, asked) => manager.tokenFor(counting, id, asked)),
      }
    },
    stopRefreshing() {
      introspections.stop()
      manager.stopRefreshing()
      // What other processes delete or sign in again has to be noticed as long as anything is handed out.
      scheduler.onlyWatch()
    },
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => whole.close(),
  }
  return { ...whole, ...audited(whole, audit, LIBRARY) }
}

/** What an operator calls this process: the program that was started, and its process id. */
function programName(): string {
  const started = process.argv[1]
  const program = started === undefined ? process.title : basename(started).replace(/\.(?:[cm]?js|ts)$/, '')
  return `${program} (pid ${process.pid})`
}

function numbersFrom(given: OpenOptions['numbers']): Numbers {
  const numbers: Numbers = { ...NUMBERS, ...given }
  try {
    // The two that derive most: all others have their relations in common with one of them.
    policyOf({ reuse: { kind: 'unknown' } }, 'refresh_token', numbers)
    policyOf({ reuse: { kind: 'grace', seconds: 3, winner: 'any' } }, 'refresh_token', numbers)
  } catch (error) {
    throw new TokenError('invalid_input', `numbers: ${error instanceof Error ? error.message : 'they do not fit'}`)
  }
  return numbers
}

/** What a listener throws is its own trouble: it must not reach the refresh that told it. */
const sinkTo = (listener: OpenOptions['onEvent'], ours: readonly EventSink['tell'][]): EventSink => ({
  tell(event) {
    for (const tell of ours) tell(event)
    try {
      listener?.(event)
    } catch {
      // Said above.
    }
  },
})

function connectionId(given: unknown): ConnectionId {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  return parsed.id
}

const unknownProvider = (id: string): TokenError =>
  new TokenError(
    'unknown_provider',
    `there is no provider "${id}". Make it with \`providers.put\` (CLI: \`tokenkeep provider add\`).`,
    { subject: id },
  )

function raise(error: TokenError): never {
  throw error
}
