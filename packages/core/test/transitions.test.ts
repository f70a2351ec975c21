/** The table of `PROTOCOL.md` section 8, row by row and state by state, as far as a row alone shows it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleting, erased, reconnected, refused } from '../src/acts.ts'
import { accept, commit } from '../src/commit.ts'
import type { ConnectionRow, State, Status } from '../src/connection.ts'
import type { AttemptId, Fence, Fingerprint, GrantNo, Uid } from '../src/ids.ts'
import { acquire } from '../src/lease.ts'
import { schedule } from '../src/schedule.ts'
import { takeOver } from '../src/takeover.ts'
import {
  START,
  HOUR,
  ME,
  OTHER,
  momentAt,
  newRow,
  NOBODY,
  writing,
  termsOf,
  STRICT,
  granted,
  present,
  requestOf,
  REJECTED,
  ENDS,
  DEAD,
  silentFor,
  type Situation,
  ALL,
  situation,
  kept,
  told,
} from './transitions-world.ts'

/** For each situation what becomes of it, as one word or two. */
function table(name: string, expected: Readonly<Record<string, string>>, event: (of: Situation) => string): void {
  test(`${name}: every state has an answer`, () => {
    assert.deepEqual(Object.fromEntries(Object.entries(ALL).map(([state, of]) => [state, event(of)])), expected)
  })
}

const everywhere = (word: string, exceptions: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...Object.fromEntries(Object.keys(ALL).map((state) => [state, word])),
  ...exceptions,
})
const DYING = ['deleting', 'deleting, attempt open', 'erased']
const PRESENTING = Object.keys(ALL).filter((state) => state.startsWith('presenting'))
const whilePresenting = (word: string): Record<string, string> =>
  Object.fromEntries(PRESENTING.map((state) => [state, word]))

test('every state is reached', () => {
  const reached = new Set(Object.values(ALL).map(({ row }) => row.state.status))
  const statuses: Record<Status, true> = {
    ready: true,
    presenting: true,
    in_doubt: true,
    suspect: true,
    blocked: true,
    needs_user: true,
    deleting: true,
    erased: true,
  }
  assert.deepEqual([...reached].sort(), Object.keys(statuses).sort())
})

table(
  'a refresh wanted when it is allowed',
  everywhere('acquired', {
    ...whilePresenting('busy'),
    needs_user: 'not_yet',
    deleting: 'gone, deleting',
    'deleting, attempt open': 'gone, deleting',
    erased: 'gone, erased',
  }),
  ({ row, elapsed }) => {
    const later = elapsed + 2 * HOUR
    const allowed = schedule(row, STRICT, OTHER, momentAt(later), true)
    const why = allowed.kind === 'now' ? allowed.why : 'fresh'
    const decision = acquire(row, STRICT, requestOf(row, why, OTHER, later), momentAt(later))
    return decision.kind === 'gone' ? `gone, ${decision.because}` : decision.kind
  },
)

table(
  'granted to the current refresh token, no later attempt open',
  everywhere('committed, ready', {
    deleting: 'committed, deleting',
    'deleting, attempt open': 'committed, deleting',
    erased: 'revoke, erased',
  }),
  (of) => told(accept(of.row, STRICT, kept(of, 'rt2', 'at2'), writing(of.elapsed))),
)

table(
  'granted to the current refresh token while a later attempt is open',
  everywhere('committed, ready', {
    ...whilePresenting('successor, presenting'),
    deleting: 'committed, deleting',
    'deleting, attempt open': 'committed, deleting',
    erased: 'revoke, erased',
  }),
  (of) => {
    const earlier = { ...kept(of, 'rt2', 'at2'), fence: 0 as Fence, attempt: 'earlier' as AttemptId }
    return told(accept(of.row, STRICT, earlier, writing(of.elapsed)))
  },
)

for (const [name, change] of [
  ['an older ancestor', { answers: 'rt0' as Fingerprint }],
  ['another grant', { grant: 7 as GrantNo }],
  ['another connection', { uid: '00000000-0000-4000-8000-000000000001' as Uid }],
] as const) {
  table(
    `granted to ${name}`,
    Object.fromEntries(
      Object.entries(ALL).map(([state, { row }]) => [
        state,
        DYING.includes(state) ? `revoke, ${row.state.status}` : `history, ${row.state.status}`,
      ]),
    ),
    (of) => told(accept(of.row, STRICT, { ...kept(of, 'rt2', 'at2'), ...change }, writing(of.elapsed))),
  )
}

table('the very same answer again', everywhere('again', { erased: 'revoke' }), (of) => {
  const answer = kept(of, 'rt2', 'at2')
  const once = accept(of.row, STRICT, answer, writing(of.elapsed))
  const twice = accept(once.row, STRICT, answer, writing(of.elapsed))
  assert.equal(twice.row, once.row, 'nothing is written')
  return twice.kind
})

for (const end of ENDS) {
  const reason = end.kind === 'misconfigured' ? ` (${end.reason})` : ''
  table(
    `${end.kind}${reason} under a fence that is not the current one`,
    Object.fromEntries(Object.entries(ALL).map(([state, { row }]) => [state, `history, ${row.state.status}`])),
    (of) => {
      const stale = { ...of.lease, fence: 0 as Fence, attempt: 'earlier' as AttemptId }
      const concluded = commit(of.row, STRICT, stale, end, writing(of.elapsed))
      assert.equal(concluded.row, of.row, 'nothing is written')
      return told(concluded)
    },
  )
}

test('what ends an attempt under the current fence: the state that follows', () => {
  const after = (state: string): string[] =>
    ENDS.map((end) => {
      const { row, lease, elapsed } = situation(state)
      const next = commit(row, STRICT, lease, end, writing(elapsed)).row.state
      return next.status === 'needs_user' ? `needs_user: ${next.reason}` : next.status
    })
  // rejected, unavailable, not_sent, misconfigured, misconfigured by the caller, in_doubt
  assert.deepEqual(after('presenting'), ['suspect', 'ready', 'ready', 'blocked', 'ready', 'in_doubt'])
  assert.deepEqual(after('presenting from blocked'), ['suspect', 'ready', 'ready', 'blocked', 'ready', 'in_doubt'])
  assert.deepEqual(after('presenting from in_doubt'), [
    'needs_user: answer_lost',
    'in_doubt',
    'in_doubt',
    'blocked',
    'in_doubt',
    'in_doubt',
  ])
  assert.deepEqual(after('presenting from suspect'), [
    'needs_user: revoked',
    'suspect',
    'suspect',
    'blocked',
    'suspect',
    'in_doubt',
  ])
  assert.deepEqual(
    after('deleting, attempt open'),
    ENDS.map(() => 'deleting'),
  )
})

test('a prompt retry follows an end of the connection that was seen, and never our own reset', () => {
  const unknown = termsOf({ kind: 'unknown' })
  const { row, lease, elapsed } = present(newRow(), 0, ME, unknown)
  const after = (endSeen: boolean): unknown => {
    const end = { kind: 'in_doubt', because: 'reset', status: null, endSeen, retryAfterMs: null } as const
    const { state } = commit(row, unknown, lease, end, writing(elapsed)).row
    return state.status === 'in_doubt' ? state.promptRetry?.by : state.status
  }
  assert.deepEqual([after(true), after(false)], [ME, undefined])
})

test('of two answers that leave the refresh token as it is, the access token of the later attempt stays', () => {
  const reusable = termsOf({ kind: 'reusable' })
  const first = present(newRow(), 0, ME, reusable)
  const inDoubt = takeOver(first.row, reusable, DEAD, OTHER, 0, momentAt(first.elapsed))
  assert.ok(inDoubt !== 'moved')
  const second = present(inDoubt, first.elapsed, ME, reusable)
  const answered = (row: ConnectionRow, of: Situation, accessToken: string): ConnectionRow =>
    accept(row, reusable, kept(of, 'rt1', accessToken), writing(second.elapsed)).row
  const row = answered(answered(second.row, second, 'at of the later'), first, 'at of the earlier')
  assert.deepEqual(
    row.accessTokens.map(({ fingerprint }) => fingerprint),
    ['at of the later'],
  )
})

test('an erased connection takes no late answer, also one with client credentials', () => {
  const { row, lease, elapsed } = present({ ...newRow(), grantType: 'client_credentials', refreshToken: null }, 0)
  const gone = erased(deleting(row, STRICT, writing(elapsed)), STRICT, writing(elapsed))
  const late = { ...kept({ row, lease, elapsed }, 'rt2', 'at2'), granted: granted(null, 'at2', elapsed) }
  assert.equal(told(accept(gone, STRICT, late, writing(elapsed))), 'revoke, erased')
})

test('a held answer beats every other end of the later attempt', () => {
  for (const state of PRESENTING) {
    const of = situation(state)
    const earlier = { ...kept(of, 'rt2', 'at2'), fence: 0 as Fence, attempt: 'earlier' as AttemptId }
    const { row } = accept(of.row, STRICT, earlier, writing(of.elapsed))
    for (const end of ENDS) {
      const concluded = commit(row, STRICT, of.lease, end, writing(of.elapsed))
      assert.equal(told(concluded), 'committed, ready')
      assert.equal(concluded.row.refreshToken?.fingerprint, 'rt2')
    }
    const taken = takeOver(row, STRICT, DEAD, OTHER, 0, momentAt(of.elapsed))
    assert.ok(taken !== 'moved')
    assert.equal(taken.state.status, 'ready')
  }
})

table(
  'the owner died',
  everywhere('moved', { ...whilePresenting('in_doubt'), 'deleting, attempt open': 'deleting' }),
  ({ row, elapsed }) => {
    const taken = takeOver(row, STRICT, DEAD, OTHER, 0, momentAt(elapsed))
    return taken === 'moved' ? taken : taken.state.status
  },
)

table(
  'the owner was silent for a lease',
  everywhere('moved', { ...whilePresenting('in_doubt'), 'deleting, attempt open': 'deleting' }),
  ({ row, lease, elapsed }) => {
    const over = elapsed + lease.leaseMs
    const early = takeOver(row, STRICT, silentFor(lease), OTHER, 0, momentAt(over - 1))
    assert.equal(early, 'moved', 'the store clock does not say so yet')
    const taken = takeOver(row, STRICT, silentFor(lease), OTHER, 0, momentAt(over))
    return taken === 'moved' ? taken : taken.state.status
  },
)

table(
  'a 401 for the current access token',
  Object.fromEntries(Object.entries(ALL).map(([state, { row }]) => [state, row.state.status])),
  ({ row, elapsed }) => refused(row, STRICT, 'at1' as Fingerprint, writing(elapsed)).row.state.status,
)

test('a 401 in doubt is its end: the next presentation is allowed now', () => {
  const { row, elapsed } = situation('in_doubt')
  const now = momentAt(elapsed)
  assert.equal(schedule(row, STRICT, ME, now, true).kind, 'later')
  const after = refused(row, STRICT, 'at1' as Fingerprint, writing(elapsed)).row
  assert.equal(schedule(after, STRICT, ME, now, true).kind, 'now')
})

table(
  'the provider changed',
  everywhere('=', { blocked: 'later, then now', 'blocked from in_doubt': 'later, then now' }),
  ({ row, elapsed }) => {
    // Both access tokens have ended by then, so that doubt does not wait; the block has not, by a second.
    const blockedMs = row.state.status === 'blocked' ? row.state.retryAt - START - 1_000 : elapsed
    const ask = (revision: number): string =>
      schedule({ ...row, accessTokens: [] }, termsOf({ kind: 'strict' }, revision), ME, momentAt(blockedMs), true).kind
    const [before, after] = [ask(1), ask(2)]
    return before === after ? '=' : `${before}, then ${after}`
  },
)

table('reconnect', everywhere('ready, grant 2'), ({ row, elapsed }) => {
  // A store refuses it for `deleting` and `erased`; the rule itself knows one way.
  const after = reconnected(row, STRICT, granted('rt9', 'at9', elapsed), NOBODY, writing(elapsed))
  return `${after.state.status}, grant ${after.grant}`
})

table('delete', everywhere('deleting', { erased: 'erased' }), ({ row, elapsed }) => {
  const after = deleting(row, STRICT, writing(elapsed))
  if (row.state.status === 'presenting') {
    assert.ok(after.state.status === 'deleting' && after.state.attempt?.fence === row.fence, 'it is awaited')
  }
  return after.state.status
})

test('past the known end of the refresh token there is one last presentation, whose refusal is believed', () => {
  for (const state of ['ready', 'suspect'] as const) {
    const { row } = situation(state)
    const last = present(row, 1_001 * HOUR)
    assert.equal(last.lease.why, 'last')
    const after: State = commit(last.row, STRICT, last.lease, REJECTED, writing(last.elapsed)).row.state
    assert.ok(after.status === 'needs_user')
    assert.equal(after.reason, 'expired')
  }
})
