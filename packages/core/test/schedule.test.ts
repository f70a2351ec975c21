/** When a refresh token may be presented (`PROTOCOL.md` section 6): offsets in the tables are milliseconds from now. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackOff, InDoubt, Ready, State, Suspect } from '../src/connection.ts'
import type { Fence, OwnerId, Revision, Uid } from '../src/ids.ts'
import { policyOf, type Terms } from '../src/policy.ts'
import type { ReusePolicy } from '../src/provider.ts'
import { schedule, windowLeftMs, type Facts, type Schedule } from '../src/schedule.ts'
import { later, laterMoment, ms, type Moment, type MonoMs, type UnixMs } from '../src/time.ts'
import type { VariantKey } from '../src/variant.ts'

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN
const ME = 'me' as OwnerId
const OTHER = 'other' as OwnerId
const NOW: Moment = { boot: 'a', at: 500_000_000 as MonoMs, wall: 1_790_000_000_000 as UnixMs }

const at = (offset: number): UnixMs => later(NOW.wall, ms(offset))
const moment = (offset: number): Moment => laterMoment(NOW, ms(offset))

const termsOf = (reuse: ReusePolicy, grantType: Facts['grantType'] = 'refresh_token'): Terms => ({
  provider: { revision: 1 as Revision } as Terms['provider'],
  client: { revision: 1 as Revision } as Terms['client'],
  policy: policyOf({ reuse }, grantType),
})

interface Given {
  readonly state: State
  /** Ends of the access tokens, one variant each. */
  readonly living?: readonly number[]
  readonly refused?: readonly number[]
  readonly presentations?: number
  /** The refresh token's announced end and life. */
  readonly ends?: { readonly at: number; readonly life: number }
  /** Heard of so long ago; milliseconds. */
  readonly signedOut?: number
  readonly presentNow?: boolean
  readonly grantType?: Facts['grantType']
  readonly without?: 'refresh_token'
}
const facts = (given: Given): Facts => ({
  createdAt: at(-H),
  uid: '00000000-0000-4000-8000-0000ffffffff' as Uid,
  grantType: given.grantType ?? 'refresh_token',
  state: given.state,
  refreshToken:
    given.without === 'refresh_token'
      ? null
      : {
          endsAt: given.ends === undefined ? null : at(given.ends.at),
          lifetimeMs: given.ends === undefined ? null : ms(given.ends.life),
          presentations: given.presentations ?? 1,
          receivedAt: at(-H),
        },
  accessTokens: [...(given.living ?? []), ...(given.refused ?? [])].map((end, index) => ({
    variant: (index === 0 ? '' : `v${index}`) as VariantKey,
    expiresAt: at(end),
    lifetimeMs: ms(H),
    fence: 1 as Fence,
    refusedAt: index < (given.living ?? []).length ? null : at(-1),
  })),
  siblings: [],
  presentNow: given.presentNow === true ? moment(-1) : null,
  signedOutAt: given.signedOut === undefined ? null : moment(-given.signedOut),
  usedAt: null,
  lastGrant: { at: at(-H), attempt: null, fence: 1 as Fence },
})

const ready = (backOff: BackOff | null = null): Ready => ({ status: 'ready', backOff })
const doubt = (rest: Partial<InDoubt> = {}): InDoubt => ({
  status: 'in_doubt',
  since: moment(-1 * S),
  promptRetry: null,
  silentSince: null,
  backOff: null,
  ...rest,
})
const suspect = (refusals: 0 | 1 | 2, firstRefused: number, backOff: BackOff | null = null): Suspect => ({
  status: 'suspect',
  firstRefusedAt: moment(firstRefused),
  refusals,
  believed: null,
  backOff,
})
const backOff = (failures: number, draw: number, failedAt = 0, notBefore: number | null = null): BackOff => ({
  failures,
  draw,
  failedAt: moment(failedAt),
  notBefore: notBefore === null ? null : at(notBefore),
})
/** Fell silent 10 s ago with a lease of 30 s: 30 + 60 - 10. */
const SILENT = { heartbeatAt: moment(-10 * S), leaseMs: ms(30 * S) }
const PATIENT = 80 * S

const STRICT: ReusePolicy = { kind: 'strict' }
const UNKNOWN: ReusePolicy = { kind: 'unknown' }
const REUSABLE: ReusePolicy = { kind: 'reusable' }
const GRACE: ReusePolicy = { kind: 'grace', seconds: 10, winner: 'any' }
const UNTIL_USED: ReusePolicy = { kind: 'grace', until: 'successor_used', winner: 'any' }
const TWICE: ReusePolicy = { kind: 'counted', n: 1 }

interface Asking {
  readonly reuse?: ReusePolicy
  readonly owner?: OwnerId
  readonly waited?: boolean
  readonly now?: Moment
}
/** `now <why>`, `+<ms> <why>` or `never <because>`. */
const when = (given: Given, { reuse = STRICT, owner = ME, waited = true, now = NOW }: Asking = {}): string => {
  const found = schedule(facts(given), termsOf(reuse, given.grantType), owner, now, waited)
  if (found.kind === 'never') return `never ${found.because}`
  return found.kind === 'now' ? `now ${found.why}` : `+${found.at - now.wall} ${found.why}`
}

const inDoubt: readonly [string, ReusePolicy, Given, string][] = [
  ['reusable: at once', REUSABLE, { state: doubt(), living: [H] }, 'now in_doubt'],
  ['reusable after a silent owner: at once', REUSABLE, { state: doubt({ silentSince: SILENT }) }, 'now in_doubt'],
  ['grace inside its window: at once', GRACE, { state: doubt(), living: [H] }, 'now in_doubt'],
  ['grace just before 0.75 n', GRACE, { state: doubt({ since: moment(-7_499) }), living: [H] }, 'now in_doubt'],
  ['grace at 0.75 n: as strict', GRACE, { state: doubt({ since: moment(-7_500) }), living: [H] }, `+${H} in_doubt`],
  [
    'grace past it, silent',
    GRACE,
    { state: doubt({ since: moment(-8 * S), silentSince: SILENT }) },
    `+${PATIENT} in_doubt`,
  ],
  ['grace inside it, silent: no patience', GRACE, { state: doubt({ silentSince: SILENT }) }, 'now in_doubt'],
  [
    'grace until used: at once, also late',
    UNTIL_USED,
    { state: doubt({ since: moment(-H) }), living: [H] },
    'now in_doubt',
  ],
  ['counted, one left', TWICE, { state: doubt(), presentations: 1, living: [H] }, 'now in_doubt'],
  ['counted, none left: as strict', TWICE, { state: doubt(), presentations: 2, living: [H] }, `+${H} in_doubt`],
  [
    'counted, none left, silent',
    TWICE,
    { state: doubt({ silentSince: SILENT }), presentations: 2 },
    `+${PATIENT} in_doubt`,
  ],
  ['strict: at the end of the living token', STRICT, { state: doubt(), living: [H] }, `+${H} in_doubt`],
  [
    'strict: at the end of the longest of all variants',
    STRICT,
    { state: doubt(), living: [MIN, 2 * MIN] },
    `+${2 * MIN} in_doubt`,
  ],
  [
    'strict: a refused token is not waited for',
    STRICT,
    { state: doubt(), living: [MIN], refused: [H] },
    `+${MIN} in_doubt`,
  ],
  ['strict, all refused: at once', STRICT, { state: doubt(), refused: [H] }, 'now in_doubt'],
  ['strict, nothing living: at once', STRICT, { state: doubt(), living: [-1] }, 'now in_doubt'],
  ['strict, a token that ends now', STRICT, { state: doubt(), living: [0] }, 'now in_doubt'],
  [
    'strict, signed out: when the provider is through with that',
    STRICT,
    { state: doubt(), living: [H], signedOut: 0 },
    `+${10 * S} in_doubt`,
  ],
  ['and not at the end of the token', STRICT, { state: doubt(), living: [H], signedOut: 10 * S }, 'now in_doubt'],
  ['strict after a dead owner: its end alone', STRICT, { state: doubt(), living: [MIN] }, `+${MIN} in_doubt`],
  [
    'strict after a silent owner: lease and patience',
    STRICT,
    { state: doubt({ silentSince: SILENT }) },
    `+${PATIENT} in_doubt`,
  ],
  [
    'strict after a silent owner: and its end',
    STRICT,
    { state: doubt({ silentSince: SILENT }), living: [H] },
    `+${H} in_doubt`,
  ],
  [
    'strict: the margin before the end of the refresh token bounds the wait',
    STRICT,
    { state: doubt(), living: [H], ends: { at: 10 * MIN, life: 24 * H } },
    `+${10 * MIN - 30 * S} in_doubt`,
  ],
  [
    'strict: a short-lived refresh token has a short margin',
    STRICT,
    { state: doubt(), living: [H], ends: { at: MIN, life: 80 * S } },
    `+${40 * S} in_doubt`,
  ],
  [
    'strict, inside that margin: at once',
    STRICT,
    { state: doubt(), living: [H], ends: { at: 29 * S, life: 24 * H } },
    'now in_doubt',
  ],
  ['strict, past that end: one last time', STRICT, { state: doubt(), ends: { at: -1, life: 24 * H } }, 'now last'],
  ['unknown without a prompt retry: as strict', UNKNOWN, { state: doubt(), living: [H] }, `+${H} in_doubt`],
  [
    'unknown after a silent owner: as strict',
    UNKNOWN,
    { state: doubt({ silentSince: SILENT }) },
    `+${PATIENT} in_doubt`,
  ],
]
for (const [name, reuse, given, expected] of inDoubt) {
  test(`in doubt, ${name}`, () => assert.equal(when(given, { reuse }), expected))
}

test('a try in doubt backs off under every policy, and from its end on under strict', () => {
  for (const reuse of [REUSABLE, GRACE, UNTIL_USED, TWICE, STRICT, UNKNOWN]) {
    assert.equal(when({ state: doubt({ backOff: backOff(3, 0.5) }) }, { reuse }), '+400 in_doubt', reuse.kind)
    assert.equal(when({ state: doubt({ backOff: backOff(3, 0.5, -400) }) }, { reuse }), 'now in_doubt', reuse.kind)
  }
})

const prompt = (by: OwnerId, from: number, rest: Partial<InDoubt> = {}): InDoubt =>
  doubt({ promptRetry: { by, from: moment(from) }, ...rest })

test('back-off does not wait until a window is closed: one try is made while it can still leave inside', () => {
  const [window, connect] = [7_500, 2_500]
  const late = { state: doubt({ since: moment(0), backOff: backOff(12, 0.9) }), living: [H] }
  assert.equal(when(late, { reuse: GRACE }), `+${window - connect} in_doubt`)
  const told = { state: doubt({ since: moment(0), backOff: backOff(12, 0.9, 0, 6 * S) }), living: [H] }
  assert.equal(when(told, { reuse: GRACE }), `+${6 * S} in_doubt`, 'Retry-After is obeyed')
})

test('the prompt retry belongs to the one who saw the end, 200 ms after it', () => {
  assert.equal(when({ state: prompt(ME, 200), living: [H] }, { reuse: UNKNOWN }), '+200 in_doubt')
  assert.equal(when({ state: prompt(ME, 1), living: [H] }, { reuse: UNKNOWN }), '+1 in_doubt')
  assert.equal(when({ state: prompt(ME, 0), living: [H] }, { reuse: UNKNOWN }), 'now in_doubt')
  assert.equal(when({ state: prompt(ME, 0), living: [H] }, { reuse: UNKNOWN, owner: OTHER }), `+${H} in_doubt`)
})

test('the prompt retry does not wait for the back-off of the attempt that it repeats', () => {
  assert.equal(
    when({ state: prompt(ME, 0, { backOff: backOff(1, 0.999) }), living: [H] }, { reuse: UNKNOWN }),
    'now in_doubt',
  )
})

test('a prompt retry of strict is none', () => {
  assert.equal(when({ state: prompt(ME, 0), living: [H] }), `+${H} in_doubt`)
})

test('Retry-After delays every try, whatever else would allow one, also a window that closes meanwhile', () => {
  const told = backOff(1, 0, 0, 20 * S)
  for (const reuse of [REUSABLE, GRACE, UNTIL_USED, TWICE, STRICT, UNKNOWN]) {
    assert.equal(when({ state: doubt({ backOff: told }) }, { reuse }), `+${20 * S} in_doubt`, reuse.kind)
  }
  assert.equal(when({ state: prompt(ME, 0, { backOff: told }) }, { reuse: UNKNOWN }), `+${20 * S} in_doubt`)
  const ends = { at: 10 * S, life: 24 * H }
  assert.equal(when({ state: doubt({ backOff: told }), ends }), `+${20 * S} in_doubt`)
  assert.equal(when({ state: doubt({ backOff: told }), signedOut: 10 * S }), `+${20 * S} in_doubt`)
  assert.equal(when({ state: suspect(1, -15 * S, told) }), `+${20 * S} confirm`)
  assert.equal(when({ state: ready(told) }), `+${20 * S} fresh`)
  assert.equal(when({ state: ready(told), ends: { at: -1, life: H } }), `+${20 * S} last`)
})

const confirmations: readonly [string, Suspect, string][] = [
  ['after the first refusal: 15 s', suspect(1, 0), `+${15 * S} confirm`],
  ['1 ms before', suspect(1, -14_999), '+1 confirm'],
  ['at 15 s', suspect(1, -15 * S), 'now confirm'],
  ['after the second: 60 s after the first', suspect(2, -15 * S), `+${45 * S} confirm`],
  ['1 ms before', suspect(2, -59_999), '+1 confirm'],
  ['at 60 s', suspect(2, -60 * S), 'now confirm'],
  ['said to be signed out, not refused yet: at once', suspect(0, -1), 'now confirm'],
  ['a confirmation that was not answered backs off', suspect(1, -15 * S, backOff(3, 0.5)), '+400 confirm'],
]
for (const [name, state, expected] of confirmations) {
  test(`suspect, ${name}`, () => assert.equal(when({ state, living: [H] }), expected))
}

test('a suspect is confirmed twice before the known end of its refresh token, apart, and past it presented one last time', () => {
  const ends = { at: 6 * S, life: 24 * H }
  assert.equal(when({ state: suspect(1, 0), ends }), `+${2 * S} confirm`)
  assert.equal(when({ state: suspect(2, 0), ends }), `+${4 * S} confirm`)
  assert.equal(when({ state: suspect(2, -4 * S), ends: { at: 2 * S, life: 24 * H } }), 'now confirm')
  assert.equal(when({ state: suspect(1, 0), ends: { at: 50 * S, life: 24 * H } }), `+${15 * S} confirm`)
  assert.equal(when({ state: suspect(2, 0), ends: { at: 3 * MIN, life: 24 * H } }), `+${MIN} confirm`)
  assert.equal(when({ state: suspect(2, 0), ends: { at: -1, life: 24 * H } }), 'now last')
})

test('ready, it may be presented at once, and with a known end that has passed one last time', () => {
  assert.equal(when({ state: ready(), living: [H] }), 'now fresh')
  assert.equal(when({ state: ready(), ends: { at: 1, life: H } }), 'now fresh')
  assert.equal(when({ state: ready(), ends: { at: 0, life: H } }), 'now last')
})

test('back-off is capped at 30 s while a caller waits, and at 10 min otherwise', () => {
  const state = ready(backOff(40, 0.5))
  assert.equal(when({ state }, { waited: true }), `+${15 * S} fresh`)
  assert.equal(when({ state }, { waited: false }), `+${5 * MIN} fresh`)
})

test('without a refresh token there is nothing to present; client credentials need none', () => {
  assert.equal(when({ state: ready(), without: 'refresh_token' }), 'never no_refresh_token')
  assert.equal(when({ state: ready(), without: 'refresh_token', grantType: 'client_credentials' }), 'now fresh')
})

test('a block is retried at its time or when client or provider changed, never before what it came from allows', () => {
  const blocked = (retry: number, from: Ready | InDoubt, revision = 1): State => ({
    status: 'blocked',
    from,
    reason: 'client',
    word: 'invalid_client',
    failures: 1,
    retryAt: at(retry),
    clientRevision: revision as Revision,
    providerRevision: 1 as Revision,
  })
  assert.equal(when({ state: blocked(MIN, ready()) }), `+${MIN} fresh`)
  assert.equal(when({ state: blocked(0, ready()) }), 'now fresh')
  assert.equal(when({ state: blocked(MIN, ready(), 7) }), 'now fresh')
  assert.equal(when({ state: blocked(MIN, doubt()), living: [H] }), `+${H} in_doubt`)
  assert.equal(when({ state: blocked(MIN, doubt(), 7), living: [H] }), `+${H} in_doubt`)
  assert.equal(when({ state: blocked(H, doubt()), living: [MIN] }), `+${H} in_doubt`)
})

test('across a boot a window counts by the wall clock, and is closed where that clock went back', () => {
  const state = doubt({ since: moment(-5 * S) })
  const booted = (wall: number): Moment => ({ boot: 'b', at: 3 as MonoMs, wall: at(wall) })
  assert.equal(when({ state, living: [H] }, { reuse: GRACE, now: booted(0) }), 'now in_doubt')
  assert.equal(when({ state, living: [H] }, { reuse: GRACE, now: booted(2_500) }), `+${H - 2_500} in_doubt`)
  assert.equal(when({ state, living: [H] }, { reuse: GRACE, now: booted(-5_001) }), `+${H + 5_001} in_doubt`)
  assert.equal(windowLeftMs(state, termsOf(GRACE).policy, booted(-5_001)), 0)
})

test('a wall clock that steps on one boot neither opens a window nor shortens patience', () => {
  const stepped = (by: number): Moment => ({ ...NOW, wall: at(by) })
  const late = doubt({ since: moment(-7_500) })
  assert.equal(when({ state: late, living: [H] }, { reuse: GRACE, now: stepped(-MIN) }), `+${H + MIN} in_doubt`)
  const silent = doubt({ silentSince: SILENT })
  for (const by of [-H, H]) assert.equal(when({ state: silent }, { now: stepped(by) }), `+${PATIENT} in_doubt`)
})

test('a wall clock that steps neither hides nor prolongs a Retry-After', () => {
  const state = ready(backOff(1, 0, 0, 20 * S))
  const lateBy = (passed: number, step: number): Moment => ({ ...moment(passed), wall: at(passed + step) })
  for (const step of [-24 * H, -H, H, 24 * H]) {
    assert.equal(when({ state }, { now: lateBy(0, step) }), `+${20 * S} fresh`, `${step}`)
    assert.equal(when({ state }, { now: lateBy(19 * S, step) }), `+${S} fresh`, `${step}`)
    assert.equal(when({ state }, { now: lateBy(20 * S, step) }), 'now fresh', `${step}`)
  }
})

test('a block that the wall clock was put back under is retried now, not a day later', () => {
  const blocked = (retry: number): State => ({
    status: 'blocked',
    from: ready(),
    reason: 'client',
    word: null,
    failures: 9,
    retryAt: at(retry),
    clientRevision: 1 as Revision,
    providerRevision: 1 as Revision,
  })
  assert.equal(when({ state: blocked(H) }), `+${H} fresh`)
  assert.equal(when({ state: blocked(H + 1) }), 'now fresh')
})

test('the floor after a grant without access token is no longer than a second, also where the wall clock was put back', () => {
  const bare = (granted: number): Facts => ({
    ...facts({ state: ready() }),
    lastGrant: { at: at(granted), attempt: null, fence: 2 as Fence },
  })
  const whenBare = (granted: number): Schedule => schedule(bare(granted), termsOf(STRICT), ME, NOW, true)
  assert.deepEqual(whenBare(0), { kind: 'later', why: 'fresh', at: at(S) })
  assert.deepEqual(whenBare(-S), { kind: 'now', why: 'fresh' })
  assert.deepEqual(whenBare(24 * H), { kind: 'now', why: 'fresh' })
})
