/** Generated sets of claims for each of the two readers, as if all had been signed; the rest come over HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import process from 'node:process'
import fc from 'fast-check'
import type { UnixMs } from '@tokenkeep/core'
import { readLogoutToken } from '../src/logout-token.ts'
import { readSecurityEvent } from '../src/security-event.ts'
import { CREDENTIAL_CHANGE, LOGOUT, SESSION_REVOKED } from './fixtures/event-issuer.ts'

/** The whole of it takes minutes: CONTRIBUTING says how. */
const SHARE = process.env['TOKENKEEP_GENERATED'] === 'whole' ? 1 : 1 / 5
const RUNS = SHARE * 90_000
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const ISSUER = 'https://id.example.org'
const NOW = 1_800_000_000_000 as UnixMs
const ALICE = 'alice'

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('', '\0', 'x'.repeat(300), '\ud800', null, 0, -1, Infinity, NaN, [], {}, '__proto__'),
)
const rarely = <Value>(usual: fc.Arbitrary<Value>, weight = 6): fc.Arbitrary<unknown> =>
  fc.oneof({ arbitrary: usual, weight }, { arbitrary: odd, weight: 1 })
const some = (members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(members, { requiredKeys: [] })
/** A text that a connection could have. */
const couldBe = (text: string): boolean => text !== '' && text.length <= 200 && !/\p{C}/u.test(text)

const logoutClaims = some({
  events: rarely(
    fc.oneof(
      some({ [LOGOUT]: rarely(fc.constant({})), revoke_offline_access: rarely(fc.boolean()) }),
      fc.constant({ [LOGOUT]: {} }),
    ),
    12,
  ),
  sid: rarely(fc.constantFrom('session-1', 'x')),
  sub: rarely(fc.constantFrom(ALICE, 'bob')),
  nonce: odd,
})

test('generated sets of claims of a logout token: no crash, and nobody is meant who is not named', (t) => {
  t.diagnostic(`SEED=${seed}`)
  let meant = 0
  const type = fc.oneof(fc.constantFrom('logout+jwt', 'jwt', null), fc.string())
  fc.assert(
    fc.property(logoutClaims, type, (claims, typ) => {
      const says = readLogoutToken(claims, typ)
      if (typeof says === 'string') return
      assert.ok(!('nonce' in claims) && (typ === null || typ === 'jwt' || typ === 'logout+jwt'))
      assert.ok(typeof (claims['events'] as Record<string, unknown>)[LOGOUT] === 'object')
      if (says.of === null) return
      meant += 1
      const named = 'sessionId' in says.of ? says.of.sessionId : says.of.subject
      assert.equal(named, 'sessionId' in says.of ? claims['sid'] : claims['sub'])
      assert.ok(couldBe(named))
      if ('subject' in says.of) assert.ok(!claims['sid'], 'a session that is named is meant alone')
      if (says.revokesOfflineAccess)
        assert.equal((claims['events'] as Record<string, unknown>)['revoke_offline_access'], true)
    }),
    { numRuns: RUNS, seed, endOnFailure: true },
  )
  t.diagnostic(`${meant} of ${RUNS} meant somebody`)
  assert.ok(meant > RUNS / 50)
})

const opaque = some({ format: rarely(fc.constant('opaque')), id: rarely(fc.constantFrom('session-1', ALICE)) })
const user = some({
  format: rarely(fc.constantFrom('iss_sub', 'opaque')),
  subject_type: rarely(fc.constantFrom('iss-sub')),
  iss: rarely(fc.constantFrom(ISSUER, 'https://elsewhere.example')),
  sub: rarely(fc.constantFrom(ALICE, 'bob')),
  id: rarely(fc.constant(ALICE)),
})
const complex = some({
  format: rarely(fc.constant('complex')),
  user: rarely(user),
  session: rarely(opaque),
  device: odd,
  tenant: odd,
})
const identifier = rarely(fc.oneof(opaque, user, complex), 12)
const event = rarely(some({ subject: identifier, event_timestamp: rarely(fc.constantFrom(NOW, NOW / 1000)) }), 12)
const eventClaims = some({
  events: rarely(some({ [SESSION_REVOKED]: event, [CREDENTIAL_CHANGE]: event, other: odd }), 12),
  sub_id: identifier,
  toe: rarely(fc.constantFrom(NOW / 1000)),
  sub: odd,
})

test('generated sets of claims of a security event: no crash, nobody is meant who is not named, and nothing is later than its iat', (t) => {
  t.diagnostic(`SEED=${seed}`)
  let meant = 0
  fc.assert(
    fc.property(eventClaims, fc.constantFrom(ISSUER, null), (claims, issuer) => {
      const means = readSecurityEvent(claims, issuer, NOW)
      if (means === 'claims') return
      const text = JSON.stringify(claims)
      for (const each of means) {
        meant += 1
        const named = each.kind === 'verify' ? each.subject : Object.values(each.of)[0]
        assert.ok(typeof named === 'string' && couldBe(named) && text.includes(JSON.stringify(named)), text)
        assert.ok(each.at > 1e11 && each.at <= NOW, text)
      }
    }),
    { numRuns: RUNS, seed, endOnFailure: true },
  )
  t.diagnostic(`${meant} meanings in ${RUNS}`)
  assert.ok(meant > RUNS / 50)
})
