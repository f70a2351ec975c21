/** Answers that lost to a later one: the rows "granted, parent" and (5), (6) of `PROTOCOL.md` section 8, and ADR 0011. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleting, reconnected } from '../src/acts.ts'
import { accept, commit } from '../src/commit.ts'
import type { ConnectionRow } from '../src/connection.ts'
import type { End } from '../src/grant.ts'
import type { AttemptId } from '../src/ids.ts'
import { maySend, renew } from '../src/lease.ts'
import { SIBLINGS_MOST, type Terms } from '../src/policy.ts'
import { schedule } from '../src/schedule.ts'
import { takeOver } from '../src/takeover.ts'
import {
  DEAD,
  ENDS,
  HOUR,
  LATE,
  ME,
  OTHER,
  REJECTED,
  STRICT,
  WITH_PARENT,
  granted,
  kept,
  momentAt,
  present,
  silentFor,
  termsOf,
  told,
  NOBODY,
  writing,
  type Situation,
} from './transitions-world.ts'

const ANY = termsOf({ kind: 'grace', seconds: 30, winner: 'any' })
const SIBLING = LATE.granted.refreshToken?.fingerprint
const DOUBT = ENDS.at(-1) as End

const situation = (name: string): Situation => WITH_PARENT[name] ?? assert.fail(`no situation ${name}`)
/** The late answer to the parent has come. */
const withSibling = (name: string): Situation => {
  const of = situation(name)
  return { ...of, row: accept(of.row, STRICT, LATE, writing(of.elapsed)).row }
}
const next = ({ row, elapsed }: Situation, terms: Terms = STRICT) => schedule(row, terms, ME, momentAt(elapsed), true)
const ended = (of: Situation, end: End, terms: Terms = STRICT): Situation => ({
  ...of,
  row: commit(of.row, terms, of.lease, end, writing(of.elapsed)).row,
})
const stateOf = ({ state }: ConnectionRow): string =>
  state.status === 'needs_user' ? `needs_user: ${state.reason}` : state.status

test('granted to the parent: kept in every state that lives, and revoked where nobody will use it', () => {
  const expected = {
    ready: 'sibling, ready, rt2',
    presenting: 'sibling, presenting, rt2',
    'presenting from in_doubt': 'sibling, presenting, rt2',
    'presenting from suspect': 'sibling, presenting, rt2',
    'presenting from blocked': 'sibling, presenting, rt2',
    in_doubt: 'sibling, in_doubt, rt2',
    suspect: 'sibling, suspect, rt2',
    blocked: 'sibling, blocked, rt2',
    'blocked from in_doubt': 'sibling, blocked, rt2',
    needs_user: 'sibling, needs_user, rt2',
    deleting: 'revoke, deleting, rt2',
    'deleting, attempt open': 'revoke, deleting, rt2',
    erased: 'revoke, erased, none',
  }
  const found = Object.entries(WITH_PARENT).map(([name, { row, elapsed }]) => {
    const concluded = accept(row, STRICT, LATE, writing(elapsed))
    return [name, `${told(concluded)}, ${concluded.row.refreshToken?.fingerprint ?? 'none'}`]
  })
  assert.deepEqual(Object.fromEntries(found), expected)
})

test('an answer to the parent of a later fence replaces a pair that was never presented, which is the sibling then', () => {
  const { row, elapsed } = situation('ready')
  const currentFence = row.lastGrant?.fence ?? assert.fail('nothing was granted')
  const never = { ...row, refreshToken: row.refreshToken && { ...row.refreshToken, presentations: 0 } }
  const concluded = accept(never, STRICT, { ...LATE, fence: currentFence }, writing(elapsed))
  assert.equal(told(concluded), 'sibling, ready', 'the fence of the current pair is not later than its own')
  const later = { ...LATE, fence: (currentFence + 1) as typeof currentFence }
  const replaced = accept(never, STRICT, later, writing(elapsed))
  assert.equal(told(replaced), 'committed, ready')
  assert.equal(replaced.row.refreshToken?.fingerprint, SIBLING)
  assert.deepEqual(
    replaced.row.siblings.map(({ refreshToken }) => refreshToken.fingerprint),
    ['rt2'],
  )
})

test('an earlier answer that waits as successor is kept as sibling when the later attempt is granted itself', () => {
  const of = situation('presenting from in_doubt')
  const { state } = of.row
  assert.ok(state.status === 'presenting')
  const earlier = { ...kept(of, 'rt3 of the earlier', 'at3'), fence: (of.lease.fence - 1) as typeof of.lease.fence }
  const held = accept(of.row, STRICT, { ...earlier, attempt: 'earlier' as AttemptId }, writing(of.elapsed))
  assert.equal(held.kind, 'successor')
  const { row } = accept(held.row, STRICT, kept(of, 'rt3', 'at3'), writing(of.elapsed))
  assert.equal(row.refreshToken?.fingerprint, 'rt3')
  assert.deepEqual(
    row.siblings.map(({ refreshToken, answers }) => [refreshToken.fingerprint, answers]),
    [['rt3 of the earlier', 'rt2']],
  )
})

test('while an earlier answer waits as successor a renewed lease sends nothing: what it presents is spent', () => {
  const of = situation('presenting from in_doubt')
  const earlier = { ...kept(of, 'rt3 of the earlier', 'at3'), fence: (of.lease.fence - 1) as typeof of.lease.fence }
  const held = accept(of.row, STRICT, { ...earlier, attempt: 'earlier' as AttemptId }, writing(of.elapsed))
  const t0 = { wall: momentAt(of.elapsed).wall, mono: momentAt(of.elapsed).at }
  const renewed = [of.row, held.row].map((row) => renew(row, STRICT, of.lease, t0, momentAt(of.elapsed)))
  assert.deepEqual(
    renewed.map((each) => each !== 'lost' && maySend(each.lease, t0)),
    [true, false],
  )
})

test('the same late answer again changes nothing, also after it was refused', () => {
  const of = withSibling('needs_user')
  assert.equal(accept(of.row, STRICT, LATE, writing(of.elapsed)).kind, 'again')
  const attempt = present(of.row, of.elapsed)
  const refused = ended(attempt, REJECTED)
  assert.equal(accept(refused.row, STRICT, LATE, writing(of.elapsed)).kind, 'again')
})

test('in doubt no sibling is tried', () => {
  const of = withSibling('in_doubt')
  const allowed = next({ ...of, elapsed: of.elapsed + 2 * HOUR })
  assert.deepEqual(allowed, { kind: 'now', why: 'in_doubt' })
})

test('ready, presenting and blocked by the registration: no sibling is tried without a refusal', () => {
  for (const name of ['ready', 'blocked']) {
    const of = withSibling(name)
    assert.equal(next({ ...of, elapsed: of.elapsed + HOUR }).kind, 'now')
    assert.equal((next({ ...of, elapsed: of.elapsed + HOUR }) as { why: string }).why, 'fresh')
  }
})

test('suspect: tried at once where every answer stays valid, and after the confirmations elsewhere', () => {
  const of = withSibling('suspect')
  assert.deepEqual(next(of, ANY), { kind: 'now', why: 'sibling' })
  const newest = termsOf({ kind: 'grace', seconds: 30, winner: 'newest' })
  for (const terms of [STRICT, newest, termsOf({ kind: 'unknown' }), termsOf({ kind: 'counted', n: 3 })]) {
    const allowed = next(of, terms)
    assert.equal(allowed.kind === 'later' && allowed.why, 'confirm')
  }
})

test('the third refusal is believed, and a sibling stands before its user is asked', () => {
  const of = withSibling('presenting from suspect')
  const third = ended(of, REJECTED)
  assert.equal(stateOf(third.row), 'suspect', 'nobody is asked yet')
  assert.deepEqual(next(third), { kind: 'now', why: 'sibling' })
  assert.ok(third.row.dueAt !== null && third.row.dueAt <= momentAt(third.elapsed).wall)
  assert.equal(stateOf(ended(present(third.row, third.elapsed), REJECTED).row), 'needs_user: revoked')
})

test('a refusal in doubt: the siblings, then answer_lost', () => {
  const refused = ended(withSibling('presenting from in_doubt'), REJECTED)
  assert.equal(stateOf(refused.row), 'suspect')
  assert.deepEqual(next(refused), { kind: 'now', why: 'sibling' })
  assert.equal(stateOf(ended(present(refused.row, refused.elapsed), REJECTED).row), 'needs_user: answer_lost')
})

test('the words of a dead family, of a person who is needed, and a refusal after a sign-out are final', () => {
  for (const [word, reason] of [
    ['reused', 'reused'],
    ['interaction_required', 'interaction_required'],
  ] as const) {
    const { row } = ended(withSibling('presenting'), { kind: 'rejected', word })
    assert.equal(stateOf(row), `needs_user: ${reason}`)
    assert.deepEqual([row.dueAt, row.siblings.length], [null, 1], 'kept for its revocation, and not tried')
  }
  const of = withSibling('presenting')
  const { row } = ended({ ...of, row: { ...of.row, signedOutAt: momentAt(of.elapsed) } }, REJECTED)
  assert.deepEqual([stateOf(row), row.dueAt], ['needs_user: signed_out', null])
})

test('a late answer to the parent of a sign-in that was given up is tried from there, and said to nobody twice', () => {
  const of = withSibling('needs_user')
  assert.deepEqual(next(of), { kind: 'now', why: 'sibling' })
  assert.notEqual(of.row.dueAt, null, 'it happens by itself')
  const attempt = present(of.row, of.elapsed)
  assert.equal(attempt.lease.why, 'sibling')
  const refused = ended(attempt, REJECTED).row
  assert.deepEqual([stateOf(refused), refused.dueAt], ['needs_user: revoked', null])
  assert.equal(next({ ...attempt, row: refused }).kind, 'never')
})

test('its presentation is its own: a new fence, its fingerprint, its count; the current token is not counted', () => {
  const of = withSibling('needs_user')
  const { row, lease } = present(of.row, of.elapsed)
  assert.deepEqual([lease.answers, lease.fence], [SIBLING, of.row.fence + 1])
  assert.deepEqual(
    [row.refreshToken?.presentations, row.siblings[0]?.refreshToken.presentations],
    [of.row.refreshToken?.presentations, 1],
  )
  const notSent = commit(row, STRICT, lease, { kind: 'not_sent', because: 'refused' }, writing(of.elapsed)).row
  assert.deepEqual([stateOf(notSent), notSent.siblings[0]?.refreshToken.presentations], ['needs_user: revoked', 0])
  assert.ok(notSent.siblings[0]?.backOff !== null && notSent.dueAt !== null, 'and it is tried again')
})

test('granted: it is the parent of what it brought, and the others are of no use any more', () => {
  for (const name of ['needs_user', 'presenting from suspect', 'presenting from in_doubt']) {
    const before = name === 'needs_user' ? withSibling(name) : ended(withSibling(name), REJECTED)
    const attempt = present(before.row, before.elapsed)
    const { kind, row } = accept(
      attempt.row,
      STRICT,
      kept(attempt, 'rt4', 'at4', attempt.elapsed),
      writing(attempt.elapsed),
    )
    assert.deepEqual([kind, stateOf(row)], ['committed', 'ready'])
    assert.deepEqual([row.refreshToken?.fingerprint, row.parent, row.siblings], ['rt4', SIBLING, []])
    assert.equal(row.generation, before.row.generation + 1)
  }
})

test('granted without a new refresh token: it is current itself, never presented', () => {
  const before = withSibling('needs_user')
  const attempt = present(before.row, before.elapsed)
  const bare = { ...kept(attempt, '', 'at4', attempt.elapsed), granted: granted(null, 'at4', attempt.elapsed) }
  const { row } = accept(attempt.row, STRICT, bare, writing(attempt.elapsed))
  assert.deepEqual([row.refreshToken?.fingerprint, row.refreshToken?.presentations], [SIBLING, 0])
  assert.deepEqual([row.parent, row.generation], ['rt1', before.row.generation + 1])
  assert.equal(accept(row, STRICT, bare, writing(attempt.elapsed)).kind, 'again')
})

test('its refusal does not change the verdict about the current token', () => {
  const before = withSibling('suspect')
  const attempt = present(before.row, before.elapsed, ME, ANY)
  assert.equal(attempt.lease.why, 'sibling')
  const { row } = ended(attempt, REJECTED, ANY)
  assert.deepEqual(row.state, before.row.state)
  assert.deepEqual(next({ ...attempt, row }, ANY).kind, 'later', 'the confirmations go on')
})

for (const [how, end] of [
  ['no answer came', (of: Situation) => ended(of, DOUBT)],
  [
    'its owner died',
    (of: Situation) => {
      const row = takeOver(of.row, STRICT, DEAD, OTHER, 0, momentAt(of.elapsed))
      return { ...of, row: row === 'moved' ? assert.fail('moved') : row }
    },
  ],
  [
    'its owner fell silent',
    (of: Situation) => {
      const elapsed = of.elapsed + of.lease.leaseMs
      const row = takeOver(of.row, STRICT, silentFor(of.lease), OTHER, 0, momentAt(elapsed))
      return { ...of, elapsed, row: row === 'moved' ? assert.fail('moved') : row }
    },
  ],
] as const) {
  test(`a sibling in doubt (${how}) is the current token, in doubt since its own acquire`, () => {
    const before = withSibling('needs_user')
    const attempt = present(before.row, before.elapsed)
    const { row, elapsed } = end(attempt)
    const { state } = row
    assert.ok(state.status === 'in_doubt')
    assert.deepEqual([row.refreshToken?.fingerprint, row.refreshToken?.presentations, row.parent], [SIBLING, 1, 'rt1'])
    assert.deepEqual(state.since, momentAt(attempt.elapsed))
    assert.deepEqual(
      row.siblings.map(({ refreshToken, spent }) => [refreshToken.fingerprint, spent]),
      [['rt2', true]],
      'its own refusal was believed',
    )
    const answer = kept(attempt, 'rt4', 'at4', elapsed)
    const late = accept(row, STRICT, answer, writing(elapsed))
    assert.deepEqual([late.kind, stateOf(late.row), late.row.refreshToken?.fingerprint], ['committed', 'ready', 'rt4'])
    assert.equal(accept(late.row, STRICT, answer, writing(elapsed)).kind, 'again')
    assert.equal(accept(row, STRICT, LATE, writing(elapsed)).kind, 'again', 'the answer that brought it is known')
  })
}

test('a token that was refused once and gives way to a sibling in doubt is tried again before its user is asked', () => {
  const before = withSibling('suspect')
  const inDoubt = ended(present(before.row, before.elapsed, ME, ANY), DOUBT, ANY)
  const refused = ended(present(inDoubt.row, inDoubt.elapsed, ME, ANY), REJECTED, ANY)
  assert.equal(stateOf(refused.row), 'suspect')
  const third = present(refused.row, refused.elapsed, ME, ANY)
  assert.deepEqual([third.lease.why, third.lease.answers], ['sibling', 'rt2'])
  assert.equal(stateOf(ended(third, REJECTED, ANY).row), 'needs_user: answer_lost')
})

test('a late grant to the refused token waits while a sibling is presented, and beats all that it is told but a grant', () => {
  const before = withSibling('needs_user')
  const attempt = present(before.row, before.elapsed)
  const late = kept(before, 'rt3', 'at3')
  const held = accept(attempt.row, STRICT, late, writing(attempt.elapsed))
  assert.equal(told(held), 'successor, presenting')
  for (const end of ENDS) {
    const { row } = commit(held.row, STRICT, attempt.lease, end, writing(attempt.elapsed))
    assert.deepEqual([stateOf(row), row.refreshToken?.fingerprint, row.parent], ['ready', 'rt3', 'rt2'])
  }
  const { row } = accept(held.row, STRICT, kept(attempt, 'rt4', 'at4'), writing(attempt.elapsed))
  assert.equal(row.refreshToken?.fingerprint, 'rt4')
  assert.deepEqual(
    row.siblings.map(({ refreshToken }) => refreshToken.fingerprint),
    ['rt3'],
    'it was granted, so it is kept',
  )
})

test('the current token granted: nothing that lost is needed', () => {
  for (const [refreshToken, generation] of [
    ['rt3', 1],
    ['rt2', 0],
  ] as const) {
    const of = withSibling('presenting')
    const { row } = accept(of.row, STRICT, kept(of, refreshToken, 'at3'), writing(of.elapsed))
    assert.deepEqual([row.siblings, row.generation], [[], of.row.generation + generation])
  }
})

test('reconnect and erasing leave none; deleting keeps them to be revoked', () => {
  const { row, elapsed } = withSibling('ready')
  assert.deepEqual(reconnected(row, STRICT, granted('rt9', 'at9', elapsed), NOBODY, writing(elapsed)).siblings, [])
  assert.equal(deleting(row, STRICT, writing(elapsed)).siblings.length, 1)
})

test('the newest of those that can still be tried are kept, and no more than a few', () => {
  const before = withSibling('needs_user')
  const { elapsed } = before
  let { row } = ended(present(before.row, elapsed), REJECTED)
  for (let nth = 0; nth < SIBLINGS_MOST + 1; nth += 1) {
    const one = { ...LATE, attempt: `late ${nth}` as AttemptId, fence: -nth as typeof LATE.fence }
    row = accept(row, STRICT, { ...one, granted: granted(`late ${nth}`, null, 0) }, writing(elapsed)).row
  }
  assert.deepEqual(
    row.siblings.map(({ refreshToken }) => refreshToken.fingerprint),
    ['late 0', 'late 1', 'late 2'],
  )
})

test('a lease on a sibling is renewed like any other', () => {
  const before = withSibling('needs_user')
  const { row, lease, elapsed } = present(before.row, before.elapsed)
  const t0 = { wall: momentAt(elapsed).wall, mono: momentAt(elapsed).at }
  const renewed = renew(row, STRICT, lease, t0, momentAt(elapsed + 1000))
  assert.ok(renewed !== 'lost')
  assert.equal(renewed.lease.answers, SIBLING)
})
