/** A row in each state of `PROTOCOL.md` section 8: every one went through the rules. */
import assert from 'node:assert/strict'
import { born, deleting, erased } from '../src/acts.ts'
import { accept, commit, type Concluded, type Writing } from '../src/commit.ts'
import type { At, ConnectionRow, SealedGrant } from '../src/connection.ts'
import type { End } from '../src/grant.ts'
import type { AttemptId, ClientId, ConnectionId, Fingerprint, OwnerId } from '../src/ids.ts'
import type { ProviderId, Revision, Serial, Uid } from '../src/ids.ts'
import { acquire, type Lease } from '../src/lease.ts'
import { NUMBERS, policyOf, type Terms } from '../src/policy.ts'
import type { Evidence, Kept } from '../src/ports.ts'
import type { Sealed } from '../src/secret.ts'
import {
  CLIENT_DEFAULTS,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  type ReusePolicy,
} from '../src/provider.ts'
import { schedule } from '../src/schedule.ts'
import { ms, type Moment, type MonoMs, type UnixMs } from '../src/time.ts'
import type { VariantKey } from '../src/variant.ts'

export const START = 1_700_000_000_000
export const HOUR = 3_600_000
export const ME = 'me' as OwnerId
export const OTHER = 'other' as OwnerId

/** A new sign-in that says neither. */
export const NOBODY = { subject: null, sessionId: null }

export const momentAt = (elapsed: number): Moment => ({
  boot: 'boot',
  at: elapsed as MonoMs,
  wall: (START + elapsed) as UnixMs,
})
export const writing = (elapsed: number, owner = ME): Writing => ({ owner, now: momentAt(elapsed), draw: 0 })

export function termsOf(reuse: ReusePolicy, revision = 1): Terms {
  const provider = {
    id: 'p' as ProviderId,
    revision: revision as Revision,
    preset: null,
    issuer: null,
    tokenEndpoint: null,
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
    refreshTokenIdleMs: ms(24 * HOUR),
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
  } as const
  const client = {
    id: 'c' as ClientId,
    revision: 1 as Revision,
    provider: provider.id,
    clientId: 'c',
    tokenEndpointAuthMethod: 'none',
    ...CLIENT_DEFAULTS,
  } as const
  return { provider, client, policy: policyOf(provider, 'refresh_token', NUMBERS) }
}
export const STRICT = termsOf({ kind: 'strict' })

export const granted = (refreshToken: string | null, accessToken: string | null, elapsed: number): SealedGrant => ({
  variant: '' as VariantKey,
  refreshToken:
    refreshToken === null
      ? null
      : {
          sealed: new Uint8Array() as Sealed,
          serial: refreshToken as Serial,
          fingerprint: refreshToken as Fingerprint,
          receivedAt: momentAt(elapsed).wall,
          endsAt: (START + 1_000 * HOUR) as UnixMs,
          lifetimeMs: null,
        },
  accessToken:
    accessToken === null
      ? null
      : {
          variant: '' as VariantKey,
          sealed: new Uint8Array() as Sealed,
          serial: accessToken as Serial,
          fingerprint: accessToken as Fingerprint,
          tokenType: 'Bearer',
          scope: null,
          lifetimeMs: ms(HOUR),
          assumed: false,
          sentAt: momentAt(elapsed).wall,
          expiresAt: (momentAt(elapsed).wall + HOUR) as UnixMs,
        },
  scope: null,
})

export const newRow = (): ConnectionRow =>
  born(
    {
      uid: '00000000-0000-4000-8000-000000000000' as Uid,
      id: 'a' as ConnectionId,
      client: 'c' as ClientId,
      grantType: 'refresh_token',
      grantRequest: null,
      subject: null,
      sessionId: 'session 1',
      labels: {},
      granted: granted('rt1', 'at1', 0),
    },
    STRICT,
    writing(0),
  )

const atOf = (row: ConnectionRow): At =>
  ({ uid: row.uid, grant: row.grant, generation: row.generation, fence: row.fence }) as At

/** Acquires as soon as it is allowed, within a week, or fails the test. */
export function present(row: ConnectionRow, elapsed: number, owner = ME, terms = STRICT): Situation {
  const now = momentAt(elapsed)
  const allowed = schedule(row, terms, owner, now, true)
  if (allowed.kind === 'never') throw new Error(`never: ${allowed.because}`)
  const when = allowed.kind === 'now' ? elapsed : Math.max(elapsed, allowed.at - START)
  const decision = acquire(row, terms, requestOf(row, allowed.why, owner, when), momentAt(when))
  if (decision.kind !== 'acquired') throw new Error(`not acquired: ${decision.kind}`)
  return { row: decision.row, lease: decision.lease, elapsed: when }
}

export const requestOf = (row: ConnectionRow, why: Lease['why'], owner: OwnerId, elapsed: number) => ({
  at: atOf(row),
  why,
  attempt: `attempt ${row.fence + 1}` as AttemptId,
  owner,
  host: 'host',
  session: 'session',
  showsLock: true,
  usedAt: null,
  t0: { wall: momentAt(elapsed).wall, mono: momentAt(elapsed).at },
})

export const REJECTED: End = { kind: 'rejected', word: 'invalid_grant' }
export const ENDS: readonly Exclude<End, { kind: 'granted' }>[] = [
  REJECTED,
  { kind: 'unavailable', because: 'busy', status: 503, retryAfterMs: null },
  { kind: 'not_sent', because: 'refused' },
  { kind: 'misconfigured', reason: 'client', word: 'invalid_client' },
  { kind: 'misconfigured', reason: 'asked', word: 'invalid_scope' },
  { kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null },
]
export const DEAD = { kind: 'dead', owner: ME, release: () => undefined } as unknown as Evidence
export const silentFor = (lease: Lease): Evidence => ({
  kind: 'lease_over',
  fence: lease.fence,
  heartbeat: lease.heartbeat,
  watchedMs: lease.leaseMs,
})

/** A row in a state, the last attempt that led there, and how much time has passed. */
export interface Situation {
  readonly row: ConnectionRow
  readonly lease: Lease
  readonly elapsed: number
}

/** Each state is reached as it is in life: every row here went through the rules. */
function situations(row: ConnectionRow, elapsedBefore: number): Record<string, Situation> {
  const end = ({ row, lease, elapsed }: Situation, how: End): Situation => ({
    row: commit(row, STRICT, lease, how, writing(elapsed)).row,
    lease,
    elapsed,
  })
  const [rejected, , , misconfigured] = ENDS
  const doubt = ENDS.at(-1)
  if (rejected === undefined || misconfigured === undefined || doubt === undefined) throw new Error('an end is missing')
  const again = ({ row, elapsed }: Situation): Situation => present(row, elapsed)

  const presenting = present(row, elapsedBefore)
  const ready = end(presenting, { kind: 'not_sent', because: 'refused' })
  const inDoubt = end(presenting, doubt)
  const suspect = end(presenting, rejected)
  const twice = end(again(suspect), rejected)
  const presentingLast = again(twice)
  const inDoubtAgain = again(inDoubt)
  return {
    ready,
    presenting,
    'presenting from in_doubt': inDoubtAgain,
    'presenting from suspect': presentingLast,
    'presenting from blocked': again(end(presenting, misconfigured)),
    in_doubt: inDoubt,
    suspect,
    blocked: end(presenting, misconfigured),
    'blocked from in_doubt': end(inDoubtAgain, misconfigured),
    needs_user: end(presentingLast, rejected),
    deleting: { ...ready, row: deleting(ready.row, STRICT, writing(ready.elapsed)) },
    'deleting, attempt open': { ...presenting, row: deleting(presenting.row, STRICT, writing(elapsedBefore)) },
    erased: {
      ...presenting,
      row: erased(deleting(presenting.row, STRICT, writing(elapsedBefore)), STRICT, writing(elapsedBefore)),
    },
  }
}

export const ALL = situations(newRow(), 0)
export const situation = (name: string): Situation => ALL[name] ?? assert.fail(`no situation ${name}`)
export const kept = ({ row, lease }: Situation, refreshToken: string, accessToken: string, elapsed = 0): Kept => ({
  uid: row.uid,
  grant: lease.grant,
  answers: lease.answers,
  fence: lease.fence,
  attempt: lease.attempt,
  granted: granted(refreshToken, accessToken, elapsed),
})
/** Two presentations of `rt1` were answered: the later one is current, and the other is still on its way. */
function answeredTwice(): { row: ConnectionRow; elapsed: number; late: Kept } {
  const doubt = ENDS.at(-1) ?? assert.fail('an end is missing')
  const first = present(newRow(), 0)
  const inDoubt = commit(first.row, STRICT, first.lease, doubt, writing(0)).row
  const second = present(inDoubt, first.elapsed)
  const later = accept(second.row, STRICT, kept(second, 'rt2', 'at2', second.elapsed), writing(second.elapsed)).row
  return { row: later, elapsed: second.elapsed, late: kept(first, 'rt2 of the earlier', 'at2 of the earlier') }
}
const TWICE = answeredTwice()
/** The same states with a parent that was answered twice, and the answer that came too late. */
export const WITH_PARENT = situations(TWICE.row, TWICE.elapsed)
export const LATE = TWICE.late

export const told = ({ kind, row }: Concluded): string => `${kind}, ${row.state.status}`
