/** What a request for an access token leads to (`PROTOCOL.md` sections 4.1, 10 and 11): offsets are milliseconds from now. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { At, Attempt, InDoubt, OpenedAccessToken, Ready, State, Suspect, View } from '../src/connection.ts'
import { decide, patienceWith, variantFor, type Asked, type Decision } from '../src/decide.ts'
import type { AttemptId, ConnectionId, Fence, Fingerprint, OwnerId, ProviderId, Revision, Uid } from '../src/ids.ts'
import { policyOf } from '../src/policy.ts'
import type { Provider } from '../src/provider.ts'
import { Secret } from '../src/secret.ts'
import { later, laterMoment, ms, type Moment, type MonoMs, type UnixMs } from '../src/time.ts'
import { FULL, parseVariant, type Variant } from '../src/variant.ts'

const S = 1_000
const MIN = 60 * S
const H = 60 * MIN
const ME = 'me' as OwnerId
// Its jitter is 0: the ahead window of an hour's token begins exactly 6 minutes before its end.
const UID = '00000000-0000-4000-8000-000000000000' as Uid
const NOW: Moment = { boot: 'a', at: 500_000_000 as MonoMs, wall: 1_790_000_000_000 as UnixMs }
const at = (offset: number): UnixMs => later(NOW.wall, ms(offset))

const variantOf = (scope: string): Variant => {
  const parsed = parseVariant(scope, undefined)
  return 'variant' in parsed ? parsed.variant : assert.fail(parsed.wrong)
}
const NARROW = variantOf('narrow')

interface Living {
  readonly life?: number
  readonly refused?: boolean
  readonly variant?: Variant
  readonly fence?: number
  /** The end, from now. */
  readonly ends: number
}
const token = ({ ends, life = H, refused = false, variant = FULL, fence = 1 }: Living): OpenedAccessToken => ({
  variant: variant.key,
  fingerprint: 'f' as Fingerprint,
  tokenType: 'Bearer',
  scope: null,
  lifetimeMs: ms(life),
  assumed: false,
  sentAt: at(ends - life),
  expiresAt: at(ends),
  fence: fence as Fence,
  refusedAt: refused ? at(-S) : null,
  token: new Secret('access_token', variant.key === '' ? 'full' : 'narrow'),
})

interface Given {
  readonly state?: State
  readonly tokens?: readonly Living[]
  readonly provider?: Partial<Provider>
  readonly grantType?: View['row']['grantType']
  readonly refreshToken?: null
  readonly signedOut?: boolean
  readonly lastGrant?: number
}
const READY: Ready = { status: 'ready', backOff: null }
const view = (given: Given): View => {
  const reuse = given.provider?.reuse ?? { kind: 'strict' }
  const grantType = given.grantType ?? 'refresh_token'
  return {
    at: { uid: UID } as At,
    row: {
      uid: UID,
      id: 'x' as ConnectionId,
      provider: 'p' as ProviderId,
      grantType,
      scope: 'narrow wide',
      state: given.state ?? READY,
      presentNow: null,
      signedOutAt: given.signedOut === true ? NOW : null,
      usedAt: null,
      lastGrant: given.lastGrant === undefined ? null : { at: at(given.lastGrant), attempt: null, fence: 1 as Fence },
    } as View['row'],
    refreshToken:
      given.refreshToken === null
        ? null
        : { fingerprint: 'r' as Fingerprint, receivedAt: at(-H), endsAt: null, lifetimeMs: null, presentations: 1 },
    dpopKey: null,
    hasSuccessor: false,
    siblings: [],
    accessTokens: (given.tokens ?? []).map(token),
    terms: {
      provider: {
        revision: 1 as Revision,
        narrowing: 'unknown',
        refreshKillsAccessToken: false,
        ...given.provider,
      } as Provider,
      client: { revision: 1 as Revision } as View['terms']['client'],
      policy: policyOf({ reuse }, grantType),
    },
    unreadable: null,
    hold: null,
    readAt: { store: NOW, local: { wall: NOW.wall, mono: NOW.at } },
  }
}

/** A decision in one short line. */
const brief = (decision: Decision): string => {
  switch (decision.action) {
    case 'hand_out':
      return `hand_out ${decision.token.token.reveal()}${decision.ahead === null ? '' : ` ahead ${decision.ahead}`}`
    case 'refresh':
      return `refresh ${decision.why}${decision.meanwhile === null ? '' : ' meanwhile'}`
    case 'watch':
      return `watch${decision.meanwhile === null ? '' : ' meanwhile'}`
    case 'wait':
      return `wait +${decision.until - NOW.wall} ${decision.refusal.code}`
    case 'refuse':
      return `refuse ${decision.refusal.code === 'needs_user' ? decision.refusal.reason : decision.refusal.code}`
  }
}
const decided = (given: Given, asked: Partial<Asked> & { ttl?: number } = {}): string =>
  brief(
    decide(
      view(given),
      {
        variant: FULL,
        minTtlMs: asked.ttl === undefined ? null : ms(asked.ttl),
        sawFence: null,
        olderByMs: ms(0),
        ...asked,
      },
      ME,
      NOW,
    ),
  )

const DOUBT: InDoubt = {
  status: 'in_doubt',
  since: laterMoment(NOW, ms(-S)),
  promptRetry: null,
  silentSince: null,
  backOff: null,
}
const SUSPECT: Suspect = { status: 'suspect', firstRefusedAt: NOW, refusals: 1, believed: null, backOff: null }
const attempt = { id: 'a' as AttemptId, owner: 'other' as OwnerId, fence: 2 as Fence } as Attempt
const presenting = (from: Ready | InDoubt | Suspect): State => ({ status: 'presenting', from, attempt })
const backingOff = (until: number): Ready => ({
  status: 'ready',
  backOff: { failures: 1, draw: 0, failedAt: NOW, notBefore: at(until) },
})
const blocked = (from: Ready | InDoubt): State => ({
  status: 'blocked',
  from,
  reason: 'client',
  word: null,
  failures: 1,
  retryAt: at(MIN),
  clientRevision: 1 as Revision,
  providerRevision: 1 as Revision,
})
const needsUser: State = { status: 'needs_user', reason: 'revoked', since: NOW.wall }

const boundaries: readonly [string, Living, number | undefined, string][] = [
  ['well before the window', { ends: 10 * MIN }, undefined, 'hand_out full'],
  ['1 ms before the window', { ends: 6 * MIN + 1 }, undefined, 'hand_out full'],
  ['at the window', { ends: 6 * MIN }, undefined, 'hand_out full ahead fresh'],
  ['inside the window', { ends: MIN }, undefined, 'hand_out full ahead fresh'],
  ['with just the life that is asked for', { ends: 10 * MIN }, 10 * MIN, 'hand_out full'],
  ['with 1 ms less than asked for', { ends: 10 * MIN - 1 }, 10 * MIN, 'refresh fresh meanwhile'],
  ['with half of its life, asked for more than that', { ends: 30 * MIN }, 2 * H, 'hand_out full'],
  ['with 1 ms less than half, asked for more', { ends: 30 * MIN - 1 }, 2 * H, 'refresh fresh meanwhile'],
  ['with 1 ms left, asked for nothing special', { ends: 1 }, 0, 'hand_out full ahead fresh'],
  ['at its end', { ends: 0 }, undefined, 'refresh fresh'],
  ['after its end', { ends: -1 }, 0, 'refresh fresh'],
  ['refused by the API', { ends: H, refused: true }, undefined, 'refresh fresh'],
  ['1 ms before the floor, too short for the caller', { ends: 500, life: 1_499 }, 740, 'hand_out full'],
  ['at the floor, too short for the caller', { ends: 500, life: 1_500 }, 740, 'refresh fresh meanwhile'],
]
for (const [name, living, ttl, expected] of boundaries) {
  test(`a token ${name}: ${expected}`, () =>
    assert.equal(decided({ tokens: [living] }, ttl === undefined ? {} : { ttl }), expected))
}

test('the floor holds a refresh ahead of a token that was just granted', () => {
  assert.equal(decided({ tokens: [{ ends: 750, life: 1_700 }] }, { ttl: 0 }), 'hand_out full')
  assert.equal(decided({ tokens: [{ ends: 750, life: 1_750 }] }, { ttl: 0 }), 'hand_out full ahead fresh')
})

test('the floor does not hold back the refresh of a token that was refused', () => {
  assert.equal(decided({ tokens: [{ ends: H - 1, refused: true }], lastGrant: -1 }), 'refresh fresh')
})

test('a grant that brought no living token is followed by another one only after the floor', () => {
  assert.match(decided({ lastGrant: -1 }), /^wait /)
  assert.match(decided({ lastGrant: -999, tokens: [{ ends: -500, life: 200 }] }), /^wait /)
  assert.equal(decided({ lastGrant: -H }), 'refresh fresh')
})

const states: readonly [string, Given, string][] = [
  ['ready', {}, 'refresh fresh'],
  ['ready, backing off', { state: backingOff(5 * S) }, `wait +${5 * S} unavailable`],
  ['presenting', { state: presenting(READY) }, 'watch'],
  ['presenting, from a doubt', { state: presenting(DOUBT) }, 'watch'],
  ['in doubt, its end now', { state: DOUBT }, 'refresh in_doubt'],
  [
    'in doubt, patient',
    { state: { ...DOUBT, silentSince: { heartbeatAt: NOW, leaseMs: ms(30 * S) } } },
    `wait +${90 * S} in_doubt`,
  ],
  ['suspect', { state: SUSPECT }, `wait +${15 * S} suspect`],
  [
    'suspect, to be confirmed',
    { state: { ...SUSPECT, firstRefusedAt: laterMoment(NOW, ms(-15 * S)) } },
    'refresh confirm',
  ],
  ['blocked', { state: blocked(READY) }, `wait +${MIN} blocked`],
  ['needs_user', { state: needsUser }, 'refuse revoked'],
  ['without a refresh token', { refreshToken: null }, 'refuse no_refresh_token'],
  ['client credentials', { refreshToken: null, grantType: 'client_credentials' }, 'refresh fresh'],
]
for (const [name, given, expected] of states) {
  test(`with no living token, ${name}: ${expected}`, () => {
    assert.equal(decided(given), expected)
    assert.equal(decided({ ...given, tokens: [{ ends: -1 }, { ends: H, refused: true }] }), expected)
  })
  test(`with a living token, ${name}: it beats every error and every wait`, () => {
    assert.equal(decided({ ...given, tokens: [{ ends: 30 * MIN }] }), 'hand_out full')
    const short = decided({ ...given, tokens: [{ ends: MIN }] }, { ttl: 20 * MIN })
    assert.match(short, /^(hand_out full|refresh fresh meanwhile|refresh confirm meanwhile|watch meanwhile)$/)
  })
}

test('a sign-in that is said to be over hands out nothing before a presentation decides', () => {
  const state: State = { ...SUSPECT, refusals: 0 }
  assert.equal(decided({ state, signedOut: true, tokens: [{ ends: H }] }), 'wait +10000 suspect')
  assert.equal(
    decided({ state: presenting({ ...SUSPECT, refusals: 0 }), signedOut: true, tokens: [{ ends: H }] }),
    'watch',
  )
  assert.equal(decided({ state: needsUser, signedOut: true, tokens: [{ ends: H }] }), 'refuse revoked')
})

test('a connection that is being deleted hands out nothing, however long its token lives', () => {
  const state: State = { status: 'deleting', since: NOW.wall, attempt: null }
  assert.match(decided({ state, tokens: [{ ends: H }] }), /^refuse /)
})

test('where a refresh kills the old token, callers wait for a running one, and a doubt serves it', () => {
  const provider = { refreshKillsAccessToken: true }
  const tokens = [{ ends: 30 * MIN }]
  assert.equal(decided({ provider, tokens, state: presenting(READY) }), 'watch')
  assert.equal(decided({ provider, tokens, state: DOUBT }), 'hand_out full')
  assert.equal(decided({ provider, tokens }), 'hand_out full')
  assert.equal(decided({ tokens, state: presenting(READY) }), 'hand_out full')
})

test('a narrower token is refused unless the provider narrows only the one token', () => {
  const asked = { variant: NARROW }
  for (const narrowing of ['sticks', 'unknown'] as const) {
    assert.equal(decided({ provider: { narrowing } }, asked), 'refuse variant_unsupported')
  }
  assert.equal(decided({ provider: { narrowing: 'token_only' } }, asked), 'refresh fresh')
  const killing = { narrowing: 'token_only', refreshKillsAccessToken: true } as const
  assert.equal(decided({ provider: killing }, asked), 'refuse variant_unsupported')
  assert.equal(decided({ grantType: 'client_credentials', refreshToken: null }, asked), 'refresh fresh')
})

test('a variant is never served with the token of another one', () => {
  const provider = { narrowing: 'token_only' } as const
  const tokens = [{ ends: 30 * MIN }, { ends: 20 * MIN, variant: NARROW }]
  assert.equal(decided({ provider, tokens }, { variant: NARROW }), 'hand_out narrow')
  assert.equal(decided({ provider, tokens }), 'hand_out full')
  assert.equal(decided({ provider, tokens }, { variant: variantOf('other') }), 'refresh fresh')
})

test('a narrower token that still lives is handed out, also where no new one could be got', () => {
  const tokens = [{ ends: MIN, variant: NARROW }]
  assert.equal(decided({ tokens }, { variant: NARROW, ttl: 20 * MIN }), 'hand_out narrow')
})

test('an answer committed after the caller began is fresh to it, however short it lives', () => {
  const tokens = [{ ends: 5 * S, fence: 8 }]
  assert.equal(decided({ tokens }, { ttl: MIN, sawFence: 8 as Fence }), 'refresh fresh meanwhile')
  assert.match(decided({ tokens }, { ttl: MIN, sawFence: 7 as Fence }), /^hand_out full/)
})

test('asking for exactly what was granted is asking for nothing narrower', () => {
  assert.equal(variantFor(view({}), variantOf('wide narrow')), FULL)
  assert.equal(variantFor(view({}), NARROW), NARROW)
})

test('a caller with a living token waits for a better one during half of what is left of it', () => {
  assert.equal(patienceWith(token({ ends: 10 * S }), NOW.wall), 5 * S)
  assert.equal(patienceWith(token({ ends: -1 }), NOW.wall), 0)
})
