/**
 * The manager in virtual time: real core over a store made of the pure functions, and a token endpoint that rotates.
 *
 * Nothing here waits for a real clock: `pass` runs every alarm up to a moment, in order, and lets all that follows from
 * one settle before the next.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import {
  accept,
  acquire,
  born,
  commit,
  createConnections,
  createManager,
  deleting,
  erased,
  lend,
  ms,
  NO_WORDS,
  NUMBERS,
  openAttempt,
  policyOf,
  reconnected,
  refused,
  renew,
  Secret,
  startScheduler,
  takeOver,
  TokenError,
  viewOf,
  type Alarm,
  type Answer,
  type AttemptId,
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
  type UnixMs,
  type View,
} from '@tokenkeep/core'

const S = 1_000
const MIN = 60 * S
const START = 1_790_000_000_000

// ---- the world -----------------------------------------------------------------------------------------------------

/** What becomes of one presentation. Nothing said: rotated, and answered after 10 ms. */
interface Script {
  readonly afterMs?: number
  /** An answer instead of new tokens; the refresh token is not spent. */
  readonly answer?: { readonly status: number; readonly body: object; readonly retryAfter?: string }
  /** Members that the good answer has besides, or, if undefined, has not. */
  readonly with?: object
  /** `before` or `after` the rotation the connection ends. */
  readonly reset?: 'before' | 'after'
}
interface Presented {
  readonly at: number
  readonly refreshToken: string
  readonly scope: string | null
  readonly open: number
}
interface Process {
  readonly owner: OwnerId
  readonly ports: Ports
  readonly manager: Manager
  readonly custody: ReturnType<typeof createConnections>
}

function createWorld(provider: Partial<Provider> = {}) {
  let at = 0
  let ids = 0
  let alarms: { readonly at: number; ring: () => void }[] = []
  const rows = new Map<string, ConnectionRow>()
  const slots = new Map<Kept, OwnerId>()
  const events: TokenkeepEvent[] = []
  const presented: Presented[] = []
  const scripts: Script[] = []
  const dead = new Set<OwnerId>()
  // Each says whether a verb of the store, the spill, the cipher or the endpoint fails now.
  const fails = new Set<'read' | 'acquire' | 'renew' | 'commit' | 'changes' | 'keep' | 'sealer' | 'connect'>()
  let connectMs = 0
  let reads = 0
  let open = 0
  let rotations = 0
  const server = { current: 'rt-0', before: '', rotatedAt: 0, graceMs: 0, dead: false }

  const now = (): Now => ({ wall: (START + at) as UnixMs, mono: at as MonoMs })
  const moment = (): Moment => ({ boot: 'b', at: at as MonoMs, wall: (START + at) as UnixMs })
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
    reuse: { kind: 'strict' },
    narrowing: 'token_only',
    refreshKillsAccessToken: false,
    accessTokenLifetimeMs: null,
    refreshTokenIdleMs: null,
    words: NO_WORDS,
    apiBaseUrls: [],
    allowPrivateNetwork: false,
    ...provider,
  } as Provider
  const client = {
    id: 'c',
    revision: 1 as Revision,
    provider: 'p',
    clientId: 'c',
    tokenEndpointAuthMethod: 'none',
  } as Client
  const terms: Terms = { provider: theProvider, client, policy: policyOf(theProvider, 'refresh_token') }

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
    const write = (written: ConnectionRow): View => viewed(rows.set(written.uid, written).get(written.uid) ?? written)
    const concluded = ({ kind, row: after }: ReturnType<typeof commit>): CommitResult => ({ kind, view: write(after) })
    return {
      async read(id) {
        failing('read')
        assert.ok((reads += 1) < 50_000, 'somebody reads without end')
        const found = living(id)
        if (found === undefined) return { kind: 'gone', because: 'unknown' }
        const { status } = found.state
        return status === 'deleting' || status === 'erased' ? { kind: 'gone', because: status } : viewed(found)
      },
      list: async () => [...rows.values()].map(viewed),
      create: async (draft) => write(born(draft, terms, writing())),
      async acquire(seen, why, attempt, _room, usedAt) {
        failing('acquire')
        const request = { at: seen, why, attempt, owner, host: 'h', session: 's', usedAt, t0: now() }
        const decision = acquire(row(seen.uid), terms, request, moment())
        if (decision.kind !== 'acquired') return decision
        write(decision.row)
        const { refreshToken } = decision.row
        assert.ok(refreshToken)
        const place = { owner: seen.uid, purpose: 'rt', serial: refreshToken.serial }
        const opened = open_('refresh_token', refreshToken.sealed, place)
        if (typeof opened === 'string') return { kind: 'unreadable', because: opened }
        const ticket = lend({ kind: 'refresh_token', refreshToken: opened }, () => 's')
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
        const after = takeOver(row(seen.uid), terms, evidence, owner, 0.5, moment())
        return after === 'moved' ? { kind: 'moved' } : { kind: 'in_doubt', view: write(after) }
      },
      replaceGrant: async (seen, granted, subject) =>
        write(reconnected(row(seen.uid), terms, granted, subject, writing())),
      async reject(seen, accessToken) {
        const after = refused(row(seen.uid), terms, accessToken, writing())
        return { current: after.current, view: write(after.row) }
      },
      async beginDelete(seen) {
        const view = write(deleting(row(seen.uid), terms, writing()))
        return { kind: 'deleting', uid: seen.uid, view, toRevoke: [], open: openAttempt(view.row, moment()) }
      },
      finishDelete: async ({ uid }) => void write(erased(row(uid), terms, writing())),
      async due({ limit }) {
        const claimed = [...rows.values()].filter(({ dueAt }) => dueAt !== null && dueAt <= START + at).slice(0, limit)
        return claimed.map((each) => write({ ...each, dueAt: (START + at + 30 * S) as UnixMs }))
      },
      async changes(uids) {
        failing('changes')
        return uids.flatMap(([uid, revision]) => (row(uid).revision > revision ? [viewed(row(uid))] : []))
      },
      openAttempts: async (of) =>
        [...rows.values()].filter((each) => openAttempt(each, moment())?.owner === of).map(viewed),
      history: async () => [],
    }
  }

  /** Strict unless there is a grace: a spent refresh token ends the sign-in. */
  const answerOf = (script: Script, refreshToken: string, scope: string | null): { status: number; body: object } => {
    if (script.answer !== undefined) return script.answer
    const inGrace = refreshToken === server.before && at <= server.rotatedAt + server.graceMs
    if (server.dead || (refreshToken !== server.current && !inGrace)) {
      server.dead = true
      return { status: 400, body: { error: 'invalid_grant' } }
    }
    rotations += 1
    if (!inGrace) Object.assign(server, { before: refreshToken, rotatedAt: at })
    server.current = `rt-${rotations}`
    const tokens = {
      access_token: `at-${rotations}`,
      refresh_token: server.current,
      expires_in: 3_600,
      token_type: 'Bearer',
    }
    return { status: 200, body: { ...tokens, scope: scope ?? 'a b', ...script.with } }
  }
  const present: Ports['endpoint']['present'] = (_line, lease, ticket, form): Presentation => {
    const lent = ticket.take(lease, now())
    if (lent === 'over')
      return { ever: Promise.resolve({ kind: 'not_sent', because: 'send_limit' }), abandon: () => undefined }
    const refreshToken = lent.kind === 'refresh_token' ? lent.refreshToken.reveal() : ''
    open += 1
    presented.push({ at, refreshToken, scope: form.scope, open })
    const script = scripts.shift() ?? {}
    const sentAt = now()
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const reset = script.reset
    const answer = reset === 'before' ? null : answerOf(script, refreshToken, form.scope)
    void clock.alarm(ms(script.afterMs ?? 10)).rung.then(() => {
      if (reset !== undefined || answer === null) return resolve({ kind: 'no_answer', because: 'reset', sentAt })
      const body = new Secret('answer_body', JSON.stringify(answer.body))
      const retryAfter = script.answer?.retryAfter ?? null
      resolve({ kind: 'response', status: answer.status, retryAfter, date: null, body, complete: true, sentAt })
    })
    void promise.then(() => (open -= 1))
    return { ever: promise, abandon: () => resolve({ kind: 'no_answer', because: 'abandoned', sentAt }) }
  }

  const start = (name: string): Process => {
    const owner = name as OwnerId
    const proofOf = (of: OwnerId): ProofOfDeath =>
      ({ kind: 'dead', owner: of, release: () => undefined }) as unknown as ProofOfDeath
    const ports: Ports = {
      store: storeFor(owner),
      registry: {
        provider: async () => theProvider,
        providers: async () => [theProvider],
        putProvider: async () => theProvider,
        client: async () => ({ ...client, clientSecret: null }),
        clients: async () => [client],
        putClient: async () => client,
      },
      endpoint: {
        async connect(): Promise<Line | NotSent> {
          if (connectMs > 0) await clock.alarm(ms(connectMs)).rung
          return fails.has('connect') ? { kind: 'not_sent', because: 'refused' } : ({ close: () => undefined } as Line)
        },
        present,
        revoke: async () => 'revoked',
        introspect: async () => 'unsupported',
      },
      spill: {
        reserve: async () => ({ sealer, release: () => undefined }) satisfies Room,
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
        judge: async (of) => (dead.has(of) ? proofOf(of) : 'unknown'),
        others: async () => [...dead],
      },
      cipher,
      clock,
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
    connectIn: (afterMs: number) => void (connectMs = afterMs),
    reads: () => reads,
    events,
    presented,
    scripts,
    server,
    slots,
    dead,
    fails,
  }
}
type World = ReturnType<typeof createWorld>

/** A process with connection `x`, whose access token has `livesMs` left. */
async function withX(world: World, livesMs = -1, name = 'A'): Promise<Process> {
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
type Fate = { token?: string; code?: string; error?: unknown }
const follow = (request: Promise<HandOut>): Fate => {
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

// ---- sharing -------------------------------------------------------------------------------------------------------

test('a thousand simultaneous requests on an expired token are one presentation and one token', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  const fates = Array.from({ length: 1_000 }, () => follow(manager.token('x')))
  await world.pass(100)
  assert.deepEqual(new Set(fates.map(({ token }) => token)), new Set(['at-1']))
  assert.equal(world.presented.length, 1)
})

test('different variants come one after another, and nobody receives the token of another one', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  const asked = [undefined, 'a', 'b'].flatMap((scope) => Array.from({ length: 20 }, () => scope))
  const requests = asked.map((scope) => manager.token('x', scope === undefined ? {} : { scope }))
  await world.pass(3 * S)
  const got = (await Promise.all(requests)).map(({ accessToken, scope }) => `${scope}: ${accessToken}`)
  assert.equal(new Set(got).size, 3)
  got.forEach((each, index) => assert.ok(each.startsWith(`${asked[index] ?? 'a b'}: `)))
  assert.deepEqual(
    world.presented.map(({ open }) => open),
    [1, 1, 1],
  )
  assert.equal(world.server.dead, false)
})

test("a caller's limit ends its waiting, not the refresh", async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ afterMs: 3 * S })
  const impatient = follow(manager.token('x', { waitMs: 100 }))
  await world.pass(200)
  assert.equal(impatient.code, 'unavailable')
  await world.pass(3 * S)
  const next = follow(manager.token('x'))
  await world.pass(0)
  assert.deepEqual([next.token, world.presented.length], ['at-1', 1])
})

// ---- a living token ------------------------------------------------------------------------------------------------

/** A token with 15 of its 40 seconds left, and a caller who wants 18: a refresh is due, and the old one still lives. */
async function wantMore(before: (world: World, process: Process) => Promise<void> | void): Promise<[World, Fate]> {
  const world = createWorld()
  const process = await withX(world, 40 * S)
  await world.pass(25 * S)
  await before(world, process)
  return [world, follow(process.manager.token('x', { minTtlMs: 18 * S }))]
}

test('a living token is handed out while its refresh is slow: after half of what is left of it', async () => {
  const [world, fate] = await wantMore(({ scripts }) => void scripts.push({ afterMs: 14 * S }))
  await world.pass(7 * S)
  assert.deepEqual(fate, {})
  await world.pass(S)
  assert.equal(fate.token, 'at-0')
  await world.pass(10 * S)
  assert.equal(world.row().generation, 2)
})

for (const answer of [
  { status: 503, body: {} },
  { status: 400, body: { error: 'invalid_grant' } },
  { status: 401, body: { error: 'invalid_client' } },
  { status: 429, body: {}, retryAfter: '60' },
]) {
  test(`a living token is handed out when its refresh fails with ${answer.status}`, async () => {
    const [world, fate] = await wantMore(({ scripts }) => void scripts.push({ answer }))
    await world.pass(S)
    assert.deepEqual([fate.token, world.presented.length], ['at-0', 1])
  })
}

test('a living token is handed out while no sealing key can be had, and nothing is sent', async () => {
  const [world, fate] = await wantMore(({ fails }) => void fails.add('sealer'))
  await world.pass(S)
  assert.deepEqual([fate.token, fate.code, world.presented.length], ['at-0', undefined, 0])
})

test('a living token is handed out when the store has just gone away, however long ago it was read', async () => {
  const world = createWorld()
  const { manager } = await withX(world, 60 * MIN)
  follow(manager.token('x'))
  await world.pass(55 * MIN)
  world.fails.add('read')
  const fate = follow(manager.token('x'))
  await world.pass(0)
  assert.deepEqual([fate.token, fate.code], ['at-0', undefined])
})

test('a living token is handed out when the store goes away while another process refreshes', async () => {
  const [world, fate] = await wantMore(async (of) => {
    await acquireBy(of, of.start('B'))
    of.fails.add('changes')
  })
  await world.pass(8 * S)
  assert.deepEqual([fate.token, fate.code], ['at-0', undefined])
})

// ---- what the server says ------------------------------------------------------------------------------------------

test('a 503 three times on an expired token is waited for, and the caller succeeds', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push(...[1, 2, 3].map(() => ({ answer: { status: 503, body: {} } })))
  const fate = follow(manager.token('x'))
  await world.pass(20 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 4])
})

test('Retry-After is obeyed, and one beyond the limit of a caller is answered at once', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 429, body: {}, retryAfter: '60' } })
  const fate = follow(manager.token('x'))
  await world.pass(100)
  assert.equal(fate.code, 'unavailable')
  assert.ok(fate.error instanceof TokenError && Math.abs((fate.error.retryAt ?? 0) - START - MIN) < S)
  const patient = follow(manager.token('x', { waitMs: 2 * MIN }))
  await world.pass(MIN - S)
  assert.equal(world.presented.length, 1)
  await world.pass(2 * S)
  assert.equal(patient.token, 'at-1')
})

test('a refusal is confirmed 15 s and 60 s after it, and only the third one is believed', async () => {
  const world = createWorld()
  const { manager, ports, custody } = await withX(world)
  const scheduler = startScheduler(ports, manager, custody.finishDeletion)
  world.scripts.push(...[1, 2, 3].map(() => ({ answer: { status: 400, body: { error: 'invalid_grant' } } })))
  const fate = follow(manager.token('x', { waitMs: 5 * S }))
  await world.pass(100)
  assert.equal(fate.code, 'suspect')
  await world.pass(2 * MIN)
  const [first = 0, second = 0, third = 0] = world.presented.map(({ at }) => at)
  assert.ok(second - first >= 15 * S && second - first < 17 * S && third - first >= 60 * S && third - first < 62 * S)
  const last = follow(manager.token('x'))
  await world.pass(0)
  assert.ok(last.error instanceof TokenError)
  assert.deepEqual([last.error.code, last.error.reason, world.presented.length], ['needs_user', 'revoked', 3])
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

test('a spurious refusal costs a caller 15 s and nobody a sign-in', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 400, body: { error: 'invalid_grant' } } })
  const fate = follow(manager.token('x'))
  await world.pass(16 * S)
  assert.equal(fate.token, 'at-1')
})

test('an answer lost after the rotation is recovered inside the grace window', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 10, winner: 'any' } })
  world.server.graceMs = 10 * S
  const { manager } = await withX(world)
  world.scripts.push({ reset: 'after' })
  const fate = follow(manager.token('x'))
  await world.pass(7_500)
  assert.deepEqual([fate.token, world.presented.map(({ refreshToken }) => refreshToken)], ['at-2', ['rt-0', 'rt-0']])
  assert.equal(world.server.dead, false)
})

test('a wrong client is the fault of the operator, and the error names what to mend', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 401, body: { error: 'invalid_client' } } })
  const fate = follow(manager.token('x', { waitMs: 5 * S }))
  await world.pass(S)
  assert.ok(fate.error instanceof TokenError)
  assert.deepEqual([fate.error.code, fate.error.blocked], ['blocked', 'client'])
})

test('a provider that sends no access tokens is not stormed', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push(...Array.from({ length: 300 }, () => ({ with: { access_token: undefined } })))
  follow(manager.token('x'))
  await world.pass(20 * S)
  assert.ok(world.presented.length <= 21, `${world.presented.length} presentations in 20 s`)
})

test('an API that refuses a token and the one that replaced it forces no further refresh for 5 minutes', async () => {
  const world = createWorld()
  const { manager, custody } = await withX(world, 3_600 * S)
  const refuse = async (token: string): Promise<number> => {
    await custody.rejected('x', token)
    follow(manager.token('x'))
    await world.pass(20 * S)
    return world.presented.length
  }
  assert.equal(await refuse('at-0'), 1)
  assert.equal(await refuse('at-1'), 1)
  await world.pass(5 * MIN)
  assert.equal(await refuse('at-1'), 2)
})

// ---- the store, the slots, the lease -------------------------------------------------------------------------------

test('an answer that the store does not take is handed out from its slot, and committed when it does', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('commit')
  const fate = follow(manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.token, world.slots.size, world.row().state.status], ['at-1', 1, 'presenting'])
  world.fails.delete('commit')
  await world.pass(30 * S)
  assert.deepEqual([world.slots.size, world.row().state.status, world.row().generation], [0, 'ready', 2])
  assert.equal(world.presented.length, 1)
})

test('an answer that is durable nowhere is handed out to nobody until it is', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('commit').add('keep')
  const fate = follow(manager.token('x'))
  await world.pass(3 * S)
  assert.equal(fate.token, undefined)
  world.fails.delete('commit')
  await world.pass(10 * S)
  assert.deepEqual([fate.token, world.row().generation], ['at-1', 2])
})

test('a refusal that the store does not take at first is committed a moment later, not taken for a doubt', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 400, body: { error: 'invalid_grant' } } })
  world.fails.add('commit')
  follow(manager.token('x'))
  await world.pass(300)
  assert.equal(world.row().state.status, 'presenting')
  world.fails.delete('commit')
  await world.pass(S)
  assert.equal(world.row().state.status, 'suspect')
})

test('slots of a dead owner are replayed before anybody doubts its attempt', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.fails.add('commit')
  follow(a.manager.token('x'))
  await world.pass(3 * S)
  world.dead.add(a.owner)
  world.fails.delete('commit')
  const fate = follow(world.start('B').manager.token('x'))
  await world.pass(50)
  assert.deepEqual([fate.token, world.presented.length, world.slots.size], ['at-1', 1, 0])
  assert.deepEqual(
    world.events.filter(({ type }) => type === 'in_doubt' || type === 'replayed').map(({ type }) => type),
    ['replayed'],
  )
})

test('a lease that was lost meanwhile costs the answer nothing: it is committed by its ancestry', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.fails.add('renew')
  world.scripts.push({ afterMs: 45 * S })
  const first = follow(a.manager.token('x', { waitMs: 100 * S }))
  await world.pass(20)
  const other = follow(world.start('B').manager.token('x', { waitMs: 100 * S }))
  await world.pass(31 * S)
  assert.equal(world.row().state.status, 'in_doubt')
  await world.pass(15 * S)
  assert.deepEqual([first.token, other.token, world.presented.length], ['at-1', 'at-1', 1])
  assert.deepEqual([world.row().state.status, world.row().generation], ['ready', 2])
})

test('past the send limit nothing is sent, unless the lease can be renewed', async () => {
  for (const renewable of [true, false]) {
    const world = createWorld()
    const { manager } = await withX(world)
    if (!renewable) world.fails.add('renew')
    world.connectIn(16 * S)
    follow(manager.token('x'))
    await world.pass(16 * S + 20)
    assert.equal(world.presented.length, renewable ? 1 : 0)
    assert.equal(world.row().refreshToken?.presentations, 0)
  }
})

async function acquireBy(world: World, process: Process): Promise<void> {
  const { store, cipher, spill } = process.ports
  const view = await store.read('x' as Parameters<typeof store.read>[0])
  const room = await spill.reserve(await cipher.sealer())
  assert.ok(!('kind' in view) && !('kind' in room))
  const acquired = await store.acquire(view.at, 'fresh', `raw-${world.at()}` as AttemptId, room, null)
  assert.equal(acquired.kind, 'acquired')
}

test('a silent owner is watched for one whole lease, and waited for with patience, before anybody presents', async () => {
  const world = createWorld()
  const b = await withX(world, -1, 'B')
  await acquireBy(world, world.start('A'))
  await world.pass(20 * S)
  const fate = follow(b.manager.token('x', { waitMs: 3 * MIN }))
  // Over by the store's clock at 30 s, but B has seen it for 10 s only.
  await world.pass(29_900)
  assert.equal(world.row().state.status, 'presenting')
  await world.pass(400)
  assert.equal(world.row().state.status, 'in_doubt')
  await world.pass(90 * S - world.at() - 1)
  assert.equal(world.presented.length, 0)
  await world.pass(2 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
})

test('what nobody asks for is not kept fresh for ever', async () => {
  const world = createWorld()
  const { manager, ports, custody } = await withX(world)
  world.scripts.push(...Array.from({ length: 500 }, () => ({ with: { expires_in: 60 } })))
  const scheduler = startScheduler(ports, manager, custody.finishDeletion)
  follow(manager.token('x'))
  await world.pass(5 * MIN)
  assert.ok(world.presented.length > 3)
  await world.pass(10 * MIN)
  const before = world.presented.length
  await world.pass(20 * MIN)
  assert.equal(world.presented.length, before)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

// ---- closing -------------------------------------------------------------------------------------------------------

test('closing waits for the refresh on its way and begins no other', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ afterMs: 3 * S })
  const fate = follow(manager.token('x'))
  await world.pass(100)
  let closed = false
  void manager.close(ms(12 * S)).then(() => (closed = true))
  await world.pass(2 * S)
  assert.equal(closed, false)
  await world.pass(S)
  assert.deepEqual([closed, fate.token, world.row().generation], [true, 'at-1', 2])
  const late = follow(manager.token('x'))
  await world.pass(0)
  assert.equal(late.code, 'closed')
})

test('a caller that still waits when it is closed presents nothing any more', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 429, body: {}, retryAfter: '2' } })
  const fate = follow(manager.token('x'))
  await world.pass(500)
  void manager.close(ms(12 * S))
  await world.pass(30 * S)
  assert.deepEqual([world.presented.length, fate.code], [1, 'closed'])
})

test('a caller that watches another process when it is closed does not spin', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  await acquireBy(world, world.start('B'))
  const fate = follow(manager.token('x'))
  await world.pass(500)
  const before = world.reads()
  void manager.close(ms(12 * S))
  await world.pass(S)
  assert.ok(world.reads() - before < 10, `${world.reads() - before} reads`)
  assert.equal(fate.code, 'closed')
})

test('closing waits for an answer that is durable nowhere yet', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('commit').add('keep')
  follow(manager.token('x'))
  await world.pass(S)
  let closed = false
  void manager.close(ms(12 * S)).then(() => (closed = true))
  await world.pass(2 * S)
  assert.equal(closed, false)
  world.fails.delete('commit')
  await world.pass(9 * S)
  assert.deepEqual([closed, world.row().generation], [true, 2])
})
