/** The rows "logout event" and what an operator resolves, state by state (`PROTOCOL.md` sections 6, 8 and 9). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowedNow, reconnected, signedOut } from '../src/acts.ts'
import { accept, commit } from '../src/commit.ts'
import type { ConnectionRow } from '../src/connection.ts'
import type { LogoutEvent } from '../src/ports.ts'
import { acquire } from '../src/lease.ts'
import { schedule } from '../src/schedule.ts'
import type { MonoMs, UnixMs } from '../src/time.ts'
import {
  ALL,
  ENDS,
  HOUR,
  ME,
  NOBODY,
  REJECTED,
  START,
  STRICT,
  granted,
  kept,
  momentAt,
  present,
  requestOf,
  situation,
  writing,
  type Situation,
} from './transitions-world.ts'

const LOGOUT: LogoutEvent = {
  of: { sessionId: 'session 1' },
  issuedAt: (START + 1_000) as UnixMs,
  revokesOfflineAccess: false,
}
const stateOf = ({ state }: ConnectionRow): string => {
  const of = state.status === 'presenting' || state.status === 'blocked' ? ` from ${state.from.status}` : ''
  return state.status === 'needs_user' ? `needs_user: ${state.reason}` : `${state.status}${of}`
}
const marked = (of: Situation, event: LogoutEvent = LOGOUT): Situation => {
  const row = signedOut(of.row, STRICT, event, writing(of.elapsed))
  return { ...of, row: row === 'not_ours' ? assert.fail('not ours') : row }
}
const next = ({ row, elapsed }: Situation) => schedule(row, STRICT, ME, momentAt(elapsed), true)

test('a logout event: the state that follows, and whether it is marked', () => {
  const found = Object.entries(ALL).map(([name, of]) => {
    const { row } = name === 'erased' ? of : marked(of)
    return [name, `${stateOf(row)}${row.signedOutAt === null ? '' : ', marked'}`]
  })
  assert.deepEqual(Object.fromEntries(found), {
    ready: 'suspect, marked',
    presenting: 'presenting from suspect, marked',
    'presenting from in_doubt': 'presenting from in_doubt, marked',
    'presenting from suspect': 'presenting from suspect, marked',
    'presenting from blocked': 'presenting from suspect, marked',
    in_doubt: 'in_doubt, marked',
    suspect: 'suspect, marked',
    blocked: 'blocked from suspect, marked',
    'blocked from in_doubt': 'blocked from in_doubt, marked',
    needs_user: 'needs_user: revoked',
    deleting: 'deleting',
    'deleting, attempt open': 'deleting',
    erased: 'erased',
  })
})

test('a logout event of another session, of one before this sign-in, or of offline access that it spares is not ours', () => {
  const of = situation('ready')
  const event = (change: Partial<LogoutEvent>, row = of.row) =>
    signedOut(row, STRICT, { ...LOGOUT, ...change }, writing(of.elapsed))
  assert.equal(event({ of: { sessionId: 'session 2' } }), 'not_ours')
  assert.equal(event({}, { ...of.row, sessionId: null }), 'not_ours', 'a sign-in whose session nobody told')
  assert.equal(event({ issuedAt: (START - 1) as UnixMs }), 'not_ours')
  assert.notEqual(event({ issuedAt: START as UnixMs }), 'not_ours')
  const offline = { ...of.row, scope: 'openid offline_access' }
  assert.equal(event({}, offline), 'not_ours')
  assert.notEqual(event({ revokesOfflineAccess: true }, offline), 'not_ours')
  const inTheSecond = { ...of.row, signedInAt: (START + 700) as UnixMs }
  assert.notEqual(event({ issuedAt: START as UnixMs }, inTheSecond), 'not_ours', 'iat has whole seconds')
})

test('a logout event of a subject means every session of it, within the same limits', () => {
  const { row, elapsed } = situation('ready')
  const of = { subject: 'alice' }
  const event = (change: Partial<LogoutEvent>, known: Partial<ConnectionRow>) =>
    signedOut({ ...row, subject: 'alice', ...known }, STRICT, { ...LOGOUT, of, ...change }, writing(elapsed))
  assert.notEqual(event({}, {}), 'not_ours')
  assert.notEqual(event({}, { sessionId: null }), 'not_ours', 'whatever its session is')
  assert.equal(event({}, { subject: 'bob' }), 'not_ours')
  assert.equal(event({}, { subject: null }), 'not_ours', 'a sign-in whose subject nobody told')
  assert.equal(event({ issuedAt: (START - 1) as UnixMs }, {}), 'not_ours')
  assert.equal(event({}, { scope: 'openid offline_access' }), 'not_ours')
  assert.notEqual(event({ revokesOfflineAccess: true }, { scope: 'openid offline_access' }), 'not_ours')
})

test('a logout event is later than a sign-in that came after it never', () => {
  const { row, elapsed } = situation('ready')
  const who = { ...NOBODY, sessionId: 'session 1' }
  const again = reconnected(row, STRICT, granted('rt9', 'at9', elapsed), who, writing(5_000))
  assert.equal(signedOut(again, STRICT, LOGOUT, writing(6_000)), 'not_ours')
  const later = { ...LOGOUT, issuedAt: (START + 6_000) as UnixMs }
  assert.notEqual(signedOut(again, STRICT, later, writing(6_000)), 'not_ours')
})

test('the same logout event again changes nothing', () => {
  for (const name of Object.keys(ALL).filter((each) => each !== 'erased')) {
    const once = marked(situation(name))
    assert.equal(marked(once).row, once.row, name)
  }
})

test('the next presentation decides, and is made when the provider is through with the sign-out', () => {
  for (const name of ['ready', 'in_doubt', 'suspect']) {
    const of = marked(situation(name))
    // A provider that posts its logout tokens first would still grant.
    assert.equal(next({ ...of, elapsed: of.elapsed + 9_900 }).kind, 'later', name)
    assert.equal(next({ ...of, elapsed: of.elapsed + 10_100 }).kind, 'now', name)
    assert.ok(of.row.dueAt !== null && of.row.dueAt <= START + of.elapsed + 10_100, name)
    const decides = present(of.row, of.elapsed + 10_100)
    const refused = commit(decides.row, STRICT, decides.lease, REJECTED, writing(decides.elapsed)).row
    assert.equal(stateOf(refused), 'needs_user: signed_out', name)
    const answer = kept(decides, 'rt9', 'at9', decides.elapsed)
    const alive = accept(decides.row, STRICT, answer, writing(decides.elapsed)).row
    assert.deepEqual([stateOf(alive), alive.signedOutAt], ['ready', null], name)
  }
})

test('a grant answers a sign-out that was announced before the machine was started, whatever its clock counts since', () => {
  const of = marked(situation('ready'))
  const before = { boot: 'the one before', at: 1e12 as MonoMs, wall: momentAt(of.elapsed).wall }
  const decides = present({ ...of.row, signedOutAt: before }, of.elapsed + 1_000)
  const answer = kept(decides, 'rt9', 'at9', decides.elapsed)
  const alive = accept(decides.row, STRICT, answer, writing(decides.elapsed)).row
  assert.deepEqual([stateOf(alive), alive.signedOutAt], ['ready', null])
})

test('what was acquired before the event does not answer it', () => {
  const open = situation('presenting')
  const of = marked({ ...open, elapsed: 2_000 })
  const granting = accept(of.row, STRICT, kept(open, 'rt9', 'at9', 2_000), writing(2_000)).row
  assert.deepEqual([stateOf(granting), granting.signedOutAt !== null], ['suspect', true])
  assert.deepEqual(next({ ...of, row: granting, elapsed: 12_100 }), { kind: 'now', why: 'confirm' })
  for (const end of ENDS.slice(1, 3)) {
    const row = commit(of.row, STRICT, of.lease, end, writing(2_000)).row
    assert.deepEqual([stateOf(row), row.dueAt !== null], ['suspect', true], 'something happens by itself')
  }
})

test('an operator lets what waits be presented now, and nothing else', () => {
  for (const name of ['in_doubt', 'suspect', 'blocked', 'blocked from in_doubt']) {
    const of = situation(name)
    assert.equal(next(of).kind, 'later', name)
    const row = allowedNow(of.row, STRICT, writing(of.elapsed))
    assert.equal(next({ ...of, row }).kind, 'now', name)
    assert.ok(row.dueAt !== null && row.dueAt <= START + of.elapsed, name)
    assert.equal(allowedNow(row, STRICT, writing(of.elapsed)), row, 'asked again it changes nothing')
  }
  for (const name of Object.keys(ALL)) {
    const of = situation(name)
    if (['in_doubt', 'suspect', 'blocked'].includes(of.row.state.status)) continue
    assert.equal(allowedNow(of.row, STRICT, writing(of.elapsed)), of.row, name)
  }
})

test('it is one presentation: what comes of it is waited for as before', () => {
  const of = situation('in_doubt')
  const row = allowedNow(of.row, STRICT, writing(of.elapsed))
  const asked = requestOf(row, 'in_doubt', ME, of.elapsed)
  const decision = acquire(row, STRICT, asked, momentAt(of.elapsed))
  assert.ok(decision.kind === 'acquired')
  assert.equal(decision.row.presentNow, null)
  const again = commit(decision.row, STRICT, decision.lease, ENDS.at(-1) ?? REJECTED, writing(of.elapsed)).row
  assert.equal(next({ ...of, row: again }).kind, 'later')
})

test('an operator does not overrule Retry-After', () => {
  const open = situation('presenting from in_doubt')
  const busy = { kind: 'unavailable', because: 'busy', status: 429, retryAfterMs: HOUR } as never
  const held = commit(open.row, STRICT, open.lease, busy, writing(open.elapsed)).row
  const row = allowedNow(held, STRICT, writing(open.elapsed))
  assert.deepEqual(next({ ...open, row }), { kind: 'later', why: 'in_doubt', at: START + open.elapsed + HOUR })
})
