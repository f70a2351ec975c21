/** A provider, a client, keys, and a time that stands still until a test moves it: what every store test begins with. */
import { randomUUID } from 'node:crypto'
import {
  CLIENT_DEFAULTS,
  FULL,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  NUMBERS,
  Secret,
  ms,
  type Acquired,
  type At,
  type AttemptId,
  type Cipher,
  type ClientId,
  type Clock,
  type ConnectionId,
  type Draft,
  type End,
  type Evidence,
  type Fingerprint,
  type GrantType,
  type Lease,
  type Moment,
  type MonoMs,
  type Numbers,
  type OwnerId,
  type Presented,
  type ProofOfDeath,
  type Provider,
  type ProviderId,
  type Random,
  type ReusePolicy,
  type Room,
  type SealedGrant,
  type Sealer,
  type Serial,
  type Uid,
  type UnixMs,
  type VariantKey,
  type View,
  type Why,
} from '@tokenkeep/core'
import { createAesGcmCipher } from '../../src/cipher-aes-gcm.ts'
import { createSystemClock } from '../../src/clock-system.ts'
import { fingerprintKeyOf, newMasterKey, type Keyring, type MasterKey } from '../../src/keyring.ts'
import { createSystemRandom } from '../../src/random-system.ts'
import type { OpenStore, StoreParts } from '../../src/store-context.ts'

export const newKeyring = (): Keyring => keyringOf(newMasterKey('first'))

/** A keyring of one key, which another process can make as well. */
export function keyringOf(first: MasterKey): Keyring {
  return { source: 'a test', current: first, keys: [first], fingerprintKey: fingerprintKeyOf(first) }
}

/** Store time and process time, moved together. */
export interface TestTime {
  moment(): Moment
  readonly clock: Clock
  pass(elapsedMs: number): void
}

const START = Date.UTC(2026, 0, 15, 12)

export function createTime(): TestTime {
  let elapsed = 0
  const system = createSystemClock()
  return {
    moment: () => ({ boot: 'one boot', at: (1_000_000 + elapsed) as MonoMs, wall: (START + elapsed) as UnixMs }),
    clock: {
      now: () => ({ wall: (START + elapsed) as UnixMs, mono: elapsed as MonoMs }),
      tick: () => system.tick(),
      alarm: (afterMs) => system.alarm(afterMs),
    },
    pass: (elapsedMs) => {
      elapsed += elapsedMs
    },
  }
}

/** One database, however many stores open it. */
export interface Backend {
  readonly installation: string
  readonly keys: Keyring
  open(parts: StoreParts, bootNow: () => Moment): Promise<OpenStore>
  /** What an attacker who can write the database would do. */
  swapRefreshTokens(one: Uid, other: Uid): Promise<void>
  end(): Promise<void>
}
export type MakeBackend = () => Promise<Backend>

/** A store as one manager has it, with its owner. */
export interface Manager extends OpenStore {
  readonly owner: OwnerId
}

export interface World {
  readonly backend: Backend
  readonly time: TestTime
  readonly cipher: Cipher
  readonly sealer: Sealer
  readonly numbers: Numbers
  /** The first manager's, for the tests that need only one. */
  readonly one: Manager
  manager(parts?: Partial<StoreParts>): Promise<Manager>
  draft(id: string, given?: DraftGiven): Draft
  /** Creates a connection and reads it. */
  connect(id: string, given?: DraftGiven): Promise<View>
  sealed(uid: Uid, given: TokensGiven): SealedGrant
  granted(of: { uid: Uid }, given: TokensGiven): End
  end(): Promise<void>
}

export interface TokensGiven {
  readonly refreshToken?: string | null
  readonly accessToken?: string | null
  readonly lifetimeMs?: number
  readonly endsAt?: number
  readonly variant?: string
  readonly scope?: string
  /** What its tokens are bound to, of a sign-in. */
  readonly dpopKey?: string
}
export interface DraftGiven extends TokensGiven {
  readonly client?: string
  readonly grantType?: GrantType
  readonly labels?: Readonly<Record<string, string>>
  readonly uid?: Uid
}

export const HOUR_MS = 3_600_000
/** A new sign-in that says neither. */
export const NOBODY = { subject: null, sessionId: null }
const UNKEPT: Room = { sealer: {} as Sealer, release: () => undefined }

export function provider(id: string, reuse: ReusePolicy): Omit<Provider, 'revision'> {
  return {
    id: id as ProviderId,
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
    reuse,
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
  }
}

/** Providers `strict`, `reusable` and `grace` (30 s), with a client of the same name each. */
export async function createWorld(make: MakeBackend): Promise<World> {
  const backend = await make()
  const time = createTime()
  const cipher = createAesGcmCipher({ installation: backend.installation, keys: backend.keys })
  const sealer = await cipher.sealer()
  const opened: OpenStore[] = []
  const random: Random = createSystemRandom()

  const manager = async (parts: Partial<StoreParts> = {}): Promise<Manager> => {
    const owner = randomUUID() as OwnerId
    const all: StoreParts = {
      owner,
      host: 'a host',
      process: 'a program (1)',
      cipher,
      clock: time.clock,
      random,
      numbers: NUMBERS,
      ...parts,
    }
    const store = await backend.open(all, time.moment)
    opened.push(store)
    return { ...store, owner: all.owner }
  }
  const one = await manager()
  for (const [id, reuse] of [
    ['strict', { kind: 'strict' }],
    ['reusable', { kind: 'reusable' }],
    ['grace', { kind: 'grace', seconds: 30, winner: 'any' }],
  ] as const) {
    await one.registry.putProvider(provider(id, reuse))
    await one.registry.putClient({
      id: id as ClientId,
      provider: id as ProviderId,
      clientId: `${id}-app`,
      tokenEndpointAuthMethod: 'client_secret_post',
      ...CLIENT_DEFAULTS,
      clientSecret: new Secret('client_secret', 'a client secret'),
      tlsKey: null,
      signingKey: null,
    })
  }

  const sealed = (uid: Uid, given: TokensGiven): SealedGrant => {
    const { wall } = time.moment()
    const variant = (given.variant ?? FULL.key) as VariantKey
    const seal = (kind: 'refresh_token' | 'access_token' | 'dpop_key', value: string, purpose: string) => {
      const secret = new Secret(kind, value)
      const serial = randomUUID() as Serial
      return {
        sealed: sealer.seal(secret, { owner: uid, purpose, serial }),
        serial,
        fingerprint: sealer.fingerprint(secret),
      }
    }
    const dpopKey = (value: string) => {
      const { fingerprint: _none, ...kept } = seal('dpop_key', value, 'dpop-key')
      return { ...kept, jkt: `thumbprint of ${value}` }
    }
    const lifetimeMs = ms(given.lifetimeMs ?? HOUR_MS)
    return {
      variant,
      refreshToken:
        given.refreshToken == null
          ? null
          : {
              ...seal('refresh_token', given.refreshToken, 'rt'),
              receivedAt: wall,
              endsAt: given.endsAt === undefined ? null : (given.endsAt as UnixMs),
              lifetimeMs: null,
            },
      accessToken:
        given.accessToken == null
          ? null
          : {
              variant,
              ...seal('access_token', given.accessToken, `at:${variant}`),
              tokenType: 'Bearer',
              scope: given.scope ?? null,
              lifetimeMs,
              assumed: false,
              sentAt: wall,
              expiresAt: (wall + lifetimeMs) as UnixMs,
            },
      scope: given.scope ?? null,
      ...(given.dpopKey === undefined ? {} : { dpopKey: dpopKey(given.dpopKey) }),
    }
  }

  const draft = (id: string, given: DraftGiven = {}): Draft => {
    const uid = given.uid ?? (randomUUID() as Uid)
    const { refreshToken = `rt of ${id}`, accessToken = `at of ${id}` } = given
    return {
      uid,
      id: id as ConnectionId,
      client: (given.client ?? 'strict') as ClientId,
      grantType: given.grantType ?? 'refresh_token',
      grantRequest: null,
      subject: null,
      sessionId: null,
      labels: given.labels ?? {},
      granted: sealed(uid, { ...given, refreshToken, accessToken }),
    }
  }

  return {
    backend,
    time,
    cipher,
    sealer,
    numbers: NUMBERS,
    one,
    manager,
    draft,
    connect: async (id, given) => {
      const created = await one.store.create(draft(id, given))
      if ('kind' in created) throw new Error(`${id} was not created: ${created.kind}`)
      return created
    },
    sealed,
    granted: ({ uid }, given) => ({ kind: 'granted', granted: sealed(uid, given) }),
    end: async () => {
      for (const store of opened) await store.close()
      await backend.end()
    },
  }
}

// ---- acts that many tests make -------------------------------------------------------------------------------------

export const newAttempt = (): AttemptId => randomUUID() as AttemptId

export const tryAcquire = (
  { store }: Pick<OpenStore, 'store'>,
  at: At,
  why: Why = 'fresh',
  attempt: AttemptId = newAttempt(),
) => store.acquire(at, why, attempt, UNKEPT, null)

/** Acquires, or fails the test. */
export async function mustAcquire(by: Pick<OpenStore, 'store'>, at: At, why?: Why): Promise<Acquired> {
  const acquired = await tryAcquire(by, at, why)
  if (acquired.kind !== 'acquired') throw new Error(`not acquired: ${acquired.kind}`)
  return acquired
}

export async function mustRead({ store }: Pick<OpenStore, 'store'>, id: string): Promise<View> {
  const view = await store.read(id as ConnectionId)
  if ('kind' in view) throw new Error(`${id} is gone: ${view.because}`)
  return view
}

export function presented(acquired: Acquired, time: TestTime): string {
  const taken: Presented | 'over' = acquired.ticket.take(acquired.lease, time.clock.now())
  if (taken === 'over') return 'over'
  return taken.kind === 'refresh_token' ? taken.refreshToken.reveal() : taken.kind
}

/** What a watcher proves that saw this attempt without a sign of life for `watchedMs`. */
export const silent = ({ fence, heartbeat }: Pick<Lease, 'fence' | 'heartbeat'>, watchedMs: number): Evidence => ({
  kind: 'lease_over',
  fence,
  heartbeat,
  watchedMs: ms(watchedMs),
})

/** As a liveness port would make it. */
export const dead = (owner: OwnerId): ProofOfDeath =>
  ({ kind: 'dead', owner, release: () => undefined }) as unknown as ProofOfDeath

/** Acquires and lets its lease run out, so that another manager makes it in doubt. */
export async function leaveInDoubt(world: World, id: string, why?: Why): Promise<Acquired> {
  const before = await mustRead(world.one, id)
  const acquired = await mustAcquire(world.one, before.at, why)
  world.time.pass(acquired.lease.leaseMs)
  const taken = await world.one.store.takeOver(before.at, silent(acquired.lease, acquired.lease.leaseMs))
  if (taken.kind !== 'in_doubt') throw new Error('not taken over')
  return acquired
}

export const accessTokensOf = (view: View | null): string[] =>
  (view?.accessTokens ?? []).map(({ token }) => token.reveal()).sort()

export const fingerprintOf = (world: World, kind: 'refresh_token' | 'access_token', value: string): Fingerprint =>
  world.sealer.fingerprint(new Secret(kind, value))
