/**
 * A world in virtual time: real core over a store made of the pure functions, and a token endpoint that rotates.
 *
 * Nothing here waits for a real clock: `pass` runs every alarm up to a moment, in order, and lets all that follows from
 * one settle before the next.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import {
  accept,
  acquire,
  allowedNow,
  born,
  claimMs,
  commit,
  createConnections,
  createManager,
  deleting,
  erased,
  HELD_BACK,
  lend,
  ms,
  NO_KEYS,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  NUMBERS,
  openAttempt,
  policyOf,
  presentedRefreshToken,
  reconnected,
  refused,
  renew,
  Secret,
  signedOut,
  takeOver,
  TokenError,
  viewOf,
  type Alarm,
  type Answer,
  type Client,
  type Clock,
  type ConnectionRow,
  type ConnectionStore,
  type CommitResult,
  type HandOut,
  type Kept,
  type Line,
  type Manager,
  type Moment,
  type MonoMs,
  type NotSent,
  type Notices,
  type Now,
  type OwnerId,
  type Place,
  type Ports,
  type Presentation,
  type ProofOfDeath,
  type Provider,
  type Revision,
  type Room,
  type Sealed,
  type Sealer,
  type Spilled,
  type Terms,
  type TokenkeepEvent,
  type Uid,
  type UnixMs,
  type View,
} from '@tokenkeep/core'

export const S = 1_000
export const MIN = 60 * S
export const START = 1_790_000_000_000

// ---- the world -----------------------------------------------------------------------------------------------------

/** What becomes of one presentation. Nothing said: rotated, and answered after 10 ms. */
export interface Script {
  readonly afterMs?: number
  /** The server comes to it so much later, whatever became of the connection. */
  readonly queuedMs?: number
  /** An answer instead of new tokens; the refresh token is not spent. */
  readonly answer?: {
    readonly status: number
    readonly body: object
    readonly retryAfter?: string
    /** The nonce that proofs are to name. */
    readonly dpopNonce?: string
    /** Its end did not come. */
    readonly cut?: true
  }
  /** Members that the good answer has besides, or, if undefined, has not. */
  readonly with?: object
  /** `before` or `after` the rotation the connection ends. */
  readonly reset?: 'before' | 'after'
}
export interface Presented {
  readonly at: number
  readonly refreshToken: string
  readonly scope: string | null
  readonly open: number
  /** It is answered, and not spent. */
  readonly refused: boolean
  /** The row as it was when the request left. */
  readonly row: ConnectionRow
}
export interface Process {
  readonly owner: OwnerId
  readonly ports: Ports
  readonly manager: Manager
  readonly custody: ReturnType<typeof createConnections>
}

export function createWorld(provider: Partial<Provider> = {}, registered: Partial<Client> = {}) {
  let at = 0
  let ids = 0
  let alarms: { readonly at: number; ring: () => void }[] = []
  const rows = new Map<string, ConnectionRow>()
  const slots = new Map<Kept, OwnerId>()
  const events: TokenkeepEvent[] = []
  const presented: Presented[] = []
  const revoked: string[] = []
  const scripts: Script[] = []
  const dead = new Set<OwnerId>()
  /** Who holds a lock in the store, and who is seen to have lost it. */
  const locked = new Set<OwnerId>()
  const missing = new Set<OwnerId>()
  /** Each access token that the server made, and the scope that it was asked for; null: none. */
  const issued = new Map<string, string | null>()
  /** What a process has to get through before it goes on: never, when it was killed; later, when it is frozen. */
  const gates = new Map<OwnerId, Promise<void>>()
  // Each says whether a verb of the store, the spill, the cipher or the endpoint fails now, notices are lost, or name nothing.
  const fails = new Set<
    | 'read'
    | 'client'
    | 'acquire'
    | 'renew'
    | 'commit'
    | 'changes'
    | 'takeOver'
    | 'due'
    | 'keep'
    | 'room'
    | 'sealer'
    | 'connect'
    | 'present'
    | 'notices'
    | 'names'
  >()
  let connectMs = 0
  let session = 's'
  /** When each connection to the endpoint was tried, also in vain. */
  const dialled: number[] = []
  const dialledTo: (string | null)[] = []
  let roomsTaken = 0
  let reads = 0
  let open = 0
  let rotations = 0
  const server = {
    current: 'rt-0',
    before: '',
    rotatedAt: 0,
    graceMs: 0,
    dead: false,
    expiresIn: 3_600,
    /** For many connections: every refresh token is good, and answered as this says where no script does. */
    every: null as ((row: ConnectionRow) => Script) | null,
  }

  /** By how much the wall clock was set. */
  let step = 0
  const wall = (): UnixMs => (START + at + step) as UnixMs
  const now = (): Now => ({ wall: wall(), mono: at as MonoMs })
  const moment = (): Moment => ({ boot: 'b', at: at as MonoMs, wall: wall() })
  const clock: Clock = {
    now,
    tick: () => clock.alarm(ms(50)).rung,
    alarm(afterMs): Alarm {
      let ring: () => void = () => undefined
      const rung = new Promise<void>((resolve) => (ring = resolve))
      const entry = { at: at + Math.max(0, afterMs), ring }
      alarms.push(entry)
      return { rung, cancel: () => void (alarms = alarms.filter((each) => each !== entry)) }
    },
  }
  /** What each process heard of the others' writes, until it takes it. */
  const ears = new Set<{ readonly owner: OwnerId; readonly heard: Set<Uid>; ring: () => void }>()
  const noticesFor = (owner: OwnerId): Notices => ({
    listen() {
      const ear = { owner, heard: new Set<Uid>(), ring: (): void => undefined }
      ears.add(ear)
      return {
        bell(): Alarm {
          const rung = new Promise<void>((resolve) => (ear.ring = resolve))
          if (ear.heard.size > 0) ear.ring()
          return { rung, cancel: () => (ear.ring = () => undefined) }
        },
        take() {
          const taken = [...ear.heard]
          ear.heard.clear()
          return fails.has('names') && taken.length > 0 ? 'unknown' : taken
        },
        close: () => void ears.delete(ear),
      }
    },
  })
  /** A notice may be lost, and then nobody knows that it was. */
  const notify = (by: OwnerId, uid: Uid): void => {
    if (fails.has('notices')) return
    for (const ear of ears) {
      if (ear.owner === by) continue
      ear.heard.add(uid)
      ear.ring()
    }
  }
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) await setImmediate()
  }
  const pass = async (forMs: number): Promise<void> => {
    const until = at + forMs
    for (;;) {
      await settle()
      const [next] = alarms.sort((a, b) => a.at - b.at)
      if (next === undefined || next.at > until) break
      at = Math.max(at, next.at)
      alarms.shift()
      next.ring()
    }
    at = until
    await settle()
  }

  const theProvider = {
    id: 'p',
    revision: 1,
    preset: null,
    issuer: null,
    tokenEndpoint: 'https://id.example.org/token',
    revocationEndpoint: null,
    introspectionEndpoint: null,
    authorizationEndpoint: null,
    pushedAuthorizationRequestEndpoint: null,
    deviceAuthorizationEndpoint: null,
    jwksUri: null,
    userinfoEndpoint: null,
    reuse: { kind: 'strict' },
    narrowing: 'token_only',
    refreshKillsAccessToken: false,
    accessTokenLifetimeMs: null,
    refreshTokenIdleMs: null,
    refreshEndpoint: null,
    tokenEndpointAuthMethod: 'client_secret_basic',
    refreshTokenAbsoluteMs: null,
    introspectEveryMs: null,
    eventAudience: null,
    requestsPerMinute: null,
    concurrency: null,
    words: NO_WORDS,
    request: STANDARD_REQUEST,
    answer: STANDARD_ANSWER,
    authorization: STANDARD_AUTHORIZATION,
    apiBaseUrls: [],
    allowPrivateNetwork: false,
    ...provider,
  } as Provider
  let client = {
    id: 'c',
    revision: 1 as Revision,
    provider: 'p',
    clientId: 'c',
    tokenEndpointAuthMethod: 'none',
    ...registered,
  } as Client
  let terms: Terms = { provider: theProvider, client, policy: policyOf(theProvider, 'refresh_token') }

  const failing = (what: Parameters<typeof fails.has>[0]): void => {
    if (fails.has(what)) throw new TokenError(what === 'sealer' ? 'key_missing' : 'store_unavailable', `no ${what}`)
  }
  const sealer: Sealer = {
    seal: (secret: Secret<string>, place: Place) =>
      new TextEncoder().encode(JSON.stringify([place, secret.reveal()])) as Uint8Array as Sealed,
    fingerprint: (secret) => `fp-${secret.reveal()}` as ReturnType<Sealer['fingerprint']>,
  }
  const open_ = <Kind extends string>(kind: Kind, sealed: Sealed, place: Place): Secret<Kind> | 'tampered' => {
    const [madeFor, value] = JSON.parse(new TextDecoder().decode(sealed)) as [Place, string]
    return JSON.stringify(madeFor) === JSON.stringify(place) ? new Secret(kind, value) : 'tampered'
  }
  const cipher: Ports['cipher'] = { sealer: async () => (failing('sealer'), sealer), open: open_ }
  const viewed = (row: ConnectionRow): View => viewOf(row, terms, cipher, { store: moment(), local: now() })
  const living = (id: string): ConnectionRow | undefined => [...rows.values()].find((row) => row.id === id)

  function storeFor(owner: OwnerId): ConnectionStore {
    const writing = () => ({ owner, now: moment(), draw: 0.5 })
    const row = (uid: string): ConnectionRow => rows.get(uid) ?? assert.fail(`no row ${uid}`)
    const write = (written: ConnectionRow): View => {
      rows.set(written.uid, written)
      notify(owner, written.uid)
      return viewed(written)
    }
    const concluded = ({ kind, row: after }: ReturnType<typeof commit>): CommitResult => {
      const view = write(after)
      return { kind, view: after.state.status === 'erased' ? null : view, terms }
    }
    return {
      async read(id) {
        failing('read')
        assert.ok((reads += 1) < 50_000, 'somebody reads without end')
        const found = living(id)
        if (found === undefined) return { kind: 'gone', because: 'unknown' }
        const { status } = found.state
        return status === 'deleting' || status === 'erased' ? { kind: 'gone', because: status } : viewed(found)
      },
      list: async ({ status, sessionId, limit, after = '' }) =>
        [...rows.values()]
          .filter(({ id, state }) => id > after && (status === undefined || state.status === status))
          .filter((each) => sessionId === undefined || each.sessionId === sessionId)
          .sort((one, other) => (one.id < other.id ? -1 : 1))
          .slice(0, limit)
          .map(viewed),
      label: () => assert.fail('nobody asks for it'),
      page: () => assert.fail('nobody asks for it'),
      overview: () => assert.fail('nobody asks for it'),
      create: async (draft) => write(born(draft, terms, writing())),
      async acquire(seen, why, attempt, _room, usedAt) {
        failing('acquire')
        const request = {
          at: seen,
          why,
          attempt,
          owner,
          host: 'h',
          session,
          showsLock: locked.has(owner),
          usedAt,
          t0: now(),
        }
        const decision = acquire(row(seen.uid), terms, request, moment())
        if (decision.kind !== 'acquired') return decision
        write(decision.row)
        const refreshToken = presentedRefreshToken(decision.row)
        assert.ok(refreshToken)
        const place = { owner: seen.uid, purpose: 'rt', serial: refreshToken.serial }
        const opened = open_('refresh_token', refreshToken.sealed, place)
        if (typeof opened === 'string') return { kind: 'unreadable', because: opened }
        const ticket = lend({ kind: 'refresh_token', refreshToken: opened }, () => session)
        return { kind: 'acquired', lease: decision.lease, ticket }
      },
      async renew(lease) {
        failing('renew')
        const renewed = renew(row(lease.uid), terms, lease, now(), moment())
        if (renewed === 'lost') return 'lost'
        write(renewed.row)
        return renewed.lease
      },
      commit: async (lease, end) => (
        failing('commit'),
        concluded(commit(row(lease.uid), terms, lease, end, writing()))
      ),
      replay: async (entry) => (failing('commit'), concluded(accept(row(entry.uid), terms, entry, writing()))),
      async takeOver(seen, evidence) {
        failing('takeOver')
        const after = takeOver(row(seen.uid), terms, evidence, owner, 0.5, moment())
        return after === 'moved' ? { kind: 'moved' } : { kind: 'in_doubt', view: write(after) }
      },
      replaceGrant: async (seen, granted, who) => write(reconnected(row(seen.uid), terms, granted, who, writing())),
      async signOut(seen, event) {
        const before = row(seen.uid)
        const after = signedOut(before, terms, event, writing())
        if (after === 'not_ours') return { kind: 'not_ours' }
        return { kind: after === before ? 'known' : 'marked', view: write(after) }
      },
      presentNow: async (seen) => write(allowedNow(row(seen.uid), terms, writing())),
      async reject(seen, accessToken) {
        const after = refused(row(seen.uid), terms, accessToken, writing())
        return { current: after.current, view: write(after.row) }
      },
      async beginDelete(seen) {
        const view = write(deleting(row(seen.uid), terms, writing()))
        const { uid } = view.row
        const { refreshToken } = row(uid)
        const place: Place | null = refreshToken && { owner: uid, purpose: 'rt', serial: refreshToken.serial }
        const opened = place && refreshToken && open_('refresh_token', refreshToken.sealed, place)
        const toRevoke = opened === null || typeof opened === 'string' ? [] : [opened]
        return { kind: 'deleting', uid, view, toRevoke, open: openAttempt(view.row, moment()) }
      },
      async finishDelete({ uid, view }) {
        if (row(uid).refreshToken?.fingerprint !== view.refreshToken?.fingerprint) return 'changed'
        write(erased(row(uid), terms, writing()))
        return 'erased'
      },
      async due({ limit, except }) {
        failing('due')
        const claimed = [...rows.values()]
          .filter(({ dueAt }) => dueAt !== null && dueAt <= wall())
          .filter((each) => !HELD_BACK.includes(each.urgency) || !except.includes(each.provider))
          .sort((a, b) => a.urgency - b.urgency || (a.dueAt ?? 0) - (b.dueAt ?? 0))
          .slice(0, limit)
        return claimed.map((each) =>
          write({ ...each, dueAt: (wall() + claimMs(each, terms.policy, moment())) as UnixMs }),
        )
      },
      async changes(uids) {
        failing('changes')
        return uids.flatMap(([uid, revision]) => (row(uid).revision !== revision ? [viewed(row(uid))] : []))
      },
      openAttempts: async (of) =>
        [...rows.values()].filter((each) => openAttempt(each, moment())?.owner === of).map(viewed),
      openElsewhere: async () =>
        [...rows.values()].flatMap(({ uid, fence, state }) =>
          state.status === 'presenting' && state.attempt.owner !== owner
            ? [{ uid, fence, heartbeat: state.attempt.heartbeat }]
            : [],
        ),
      history: async () => [],
      incarnation: async () => ({ installation: 'i', place: null, epoch: 1, branch: null, hold: null }),
      adopt: async (incarnation) => ({ incarnation, inDoubt: 0 }),
    }
  }

  /** Strict unless there is a grace: a spent refresh token ends the sign-in. */
  const answerOf = (script: Script, refreshToken: string, scope: string | null): { status: number; body: object } => {
    if (script.answer !== undefined) return script.answer
    if (server.every !== null) {
      rotations += 1
      const pair = { access_token: `at-${rotations}`, refresh_token: `rt-${rotations}`, expires_in: server.expiresIn }
      return { status: 200, body: { ...pair, token_type: 'Bearer', scope: scope ?? 'a b', ...script.with } }
    }
    const inGrace = refreshToken === server.before && at <= server.rotatedAt + server.graceMs
    if (server.dead || (refreshToken !== server.current && !inGrace)) {
      server.dead = true
      return { status: 400, body: { error: 'invalid_grant' } }
    }
    rotations += 1
    if (!inGrace) Object.assign(server, { before: refreshToken, rotatedAt: at })
    server.current = `rt-${rotations}`
    issued.set(`at-${rotations}`, scope)
    const tokens = {
      access_token: `at-${rotations}`,
      refresh_token: server.current,
      expires_in: server.expiresIn,
      token_type: 'Bearer',
    }
    return { status: 200, body: { ...tokens, scope: scope ?? 'a b', ...script.with } }
  }
  const present: Ports['endpoint']['present'] = (_line, lease, ticket, form): Presentation => {
    if (fails.has('present')) throw new Error('a defect')
    const lent = ticket.take(lease, now())
    if (lent === 'over')
      return { ever: Promise.resolve({ kind: 'not_sent', because: 'send_limit' }), abandon: () => undefined }
    const refreshToken = lent.kind === 'refresh_token' ? lent.refreshToken.reveal() : ''
    open += 1
    const row = rows.get(lease.uid) ?? assert.fail('an attempt of no row')
    const script = scripts.shift() ?? server.every?.(row) ?? {}
    presented.push({ at, refreshToken, scope: form.scope, open, row, refused: script.answer !== undefined })
    const sentAt = now()
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const reset = script.reset
    const answered = (): ReturnType<typeof answerOf> | null =>
      reset === 'before' ? null : answerOf(script, refreshToken, form.scope)
    let answer = script.queuedMs === undefined ? answered() : null
    if (script.queuedMs !== undefined) void clock.alarm(ms(script.queuedMs)).rung.then(() => (answer = answered()))
    void clock.alarm(ms(script.afterMs ?? 10)).rung.then(() => {
      if (reset !== undefined || answer === null) return resolve({ kind: 'no_answer', because: 'reset', sentAt })
      const body = new Secret('answer_body', JSON.stringify(answer.body))
      const { retryAfter = null, dpopNonce, cut } = script.answer ?? {}
      const said = { status: answer.status, retryAfter, date: null, body, complete: cut !== true, sentAt }
      resolve({ kind: 'response', ...said, ...(dpopNonce === undefined ? {} : { dpopNonce }) })
    })
    void promise.then(() => (open -= 1))
    return { ever: promise, abandon: () => resolve({ kind: 'no_answer', because: 'abandoned', sentAt }) }
  }

  const start = (name: string): Process => {
    const owner = name as OwnerId
    const proofOf = (of: OwnerId): ProofOfDeath =>
      ({ kind: 'dead', owner: of, release: () => undefined }) as unknown as ProofOfDeath
    const through = <Value>(promise: Promise<Value>): Promise<Value> =>
      promise.then(async (value) => {
        await gates.get(owner)
        return value
      })
    const gated = ({ rung, cancel }: Alarm): Alarm => ({ rung: through(rung), cancel })
    const ownClock: Clock = {
      now,
      tick: () => through(clock.tick()),
      alarm: (afterMs) => gated(clock.alarm(afterMs)),
    }
    const ports: Ports = {
      store: storeFor(owner),
      registry: {
        provider: async () => theProvider,
        providers: async () => [theProvider],
        putProvider: async () => theProvider,
        client: async () => (failing('client'), { ...client, clientSecret: null, keys: NO_KEYS }),
        clients: async () => [client],
        putClient: async () => client,
        clientKeys: async () => [],
        changeClientKeys: async () => [],
      },
      dpopKeys: {
        make: async () => ({ key: new Secret('dpop_key', 'a private key'), jkt: 'its thumbprint' }),
        read: async () => ({ wrong: 'is read nowhere here' }),
      },
      endpoint: {
        awaitSource: async () => undefined,
        async connect({ tokenEndpoint }): Promise<Line | NotSent> {
          dialled.push(at)
          dialledTo.push(tokenEndpoint)
          if (connectMs > 0) await ownClock.alarm(ms(connectMs)).rung
          return fails.has('connect') ? { kind: 'not_sent', because: 'refused' } : ({ close: () => undefined } as Line)
        },
        present(...of) {
          const { ever, abandon } = present(...of)
          return { ever: through(ever), abandon }
        },
        revoke: async (_provider, _client, token) => {
          revoked.push(token.reveal())
          return 'revoked'
        },
        introspect: async () => 'unsupported',
      },
      spill: {
        async reserve() {
          if (fails.has('room')) return { kind: 'no_room', because: 'disk' }
          roomsTaken += 1
          let given = false
          const release = (): void => {
            if (!given) roomsTaken -= 1
            given = true
          }
          return { sealer, release } satisfies Room
        },
        async keep(_room, kept) {
          failing('keep')
          slots.set(kept, owner)
          return kept as Spilled
        },
        clear: async (entry) => void slots.delete(entry),
        async *pending({ owner: of }) {
          for (const [kept, by] of slots) if (by === of) yield kept as Spilled
        },
      },
      liveness: {
        judge: async (of) =>
          dead.has(of) ? proofOf(of) : missing.has(of) ? { kind: 'lock_missing', owner: of } : 'unknown',
        others: async () => [...dead, ...missing],
      },
      notices: {
        listen() {
          const listener = noticesFor(owner).listen()
          return { ...listener, bell: (everyMs) => gated(listener.bell(everyMs)) }
        },
      },
      cipher,
      clock: ownClock,
      random: { uuid: () => `00000000-0000-4000-8000-${String((ids += 1)).padStart(12, '0')}`, fraction: () => 0.5 },
      events: { tell: (event) => void events.push(event) },
    }
    const manager = createManager(ports, { owner, numbers: NUMBERS, cacheBytes: 1_000_000 })
    return { owner, ports, manager, custody: createConnections(ports, manager, () => false) }
  }
  return {
    pass,
    start,
    at: () => at,
    row: () => living('x') ?? assert.fail('no connection x'),
    /** Another session from now on: an intent of the one before may be gone. */
    restartStore: () => void (session += 's'),
    /** The store loses what it acknowledged since: the row as it was. */
    lose: (row: ConnectionRow) => void rows.set(row.uid, row),
    connectIn: (afterMs: number) => void (connectMs = afterMs),
    /** Sets the wall clock, which every process and the store read, forward or back. */
    setClock: (byMs: number) => void (step += byMs),
    reads: () => reads,
    roomsTaken: () => roomsTaken,
    events,
    presented,
    dialled,
    dialledTo,
    /** The operator says where tokens come from now. */
    changeTokenEndpoint(tokenEndpoint: string) {
      const provider = { ...terms.provider, tokenEndpoint, revision: (terms.provider.revision + 1) as Revision }
      terms = { ...terms, provider }
    },
    /** The operator mends the client. */
    changeClient() {
      client = { ...client, revision: (client.revision + 1) as Revision }
      terms = { ...terms, client }
    },
    issued,
    scripts,
    server,
    slots,
    dead,
    locked,
    revoked,
    fails,
    /** Gone in this very instant, and provably so. */
    kill({ owner }: Process) {
      gates.set(owner, new Promise(() => undefined))
      dead.add(owner)
    },
    /** Gone in this very instant, on another host: its lock is seen to be missing, if it had one. */
    loseHost({ owner }: Process) {
      gates.set(owner, new Promise(() => undefined))
      missing.add(owner)
    },
    /** Stands still until the returned function wakes it: its clocks go on, and nothing of it runs. */
    freeze({ owner }: Process): () => void {
      const { promise, resolve } = Promise.withResolvers<void>()
      gates.set(owner, promise)
      return () => {
        gates.delete(owner)
        resolve()
      }
    },
  }
}
export type World = ReturnType<typeof createWorld>

/** A process with connection `x`, whose access token has `livesMs` left. */
export async function withX(world: World, livesMs = -1, name = 'A'): Promise<Process> {
  const process = world.start(name)
  await process.custody.import({
    id: 'x',
    client: 'c',
    refreshToken: 'rt-0',
    accessToken: 'at-0',
    expiresAt: START + livesMs,
    scope: 'a b',
  })
  return process
}

/** What became of a request by now. */
export type Fate = { token?: string; code?: string; error?: unknown }
export const follow = (request: Promise<HandOut>): Fate => {
  const fate: Fate = {}
  request.then(
    ({ accessToken }) => (fate.token = accessToken),
    (error: unknown) => {
      fate.error = error
      fate.code = error instanceof TokenError ? error.code : String(error)
    },
  )
  return fate
}
