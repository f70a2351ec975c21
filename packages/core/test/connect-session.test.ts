import assert from 'node:assert/strict'
import test from 'node:test'
import {
  answered,
  begun,
  connectStateNow,
  isOver,
  type ConnectSession,
  type ConnectState,
} from '../src/connect-session.ts'
import type { ClientId, ConnectionId, ProviderId, Revision } from '../src/ids.ts'
import type { UnixMs } from '../src/time.ts'

const at = (ms: number): UnixMs => (1_800_000_000_000 + ms) as UnixMs
const MINUTE = 60_000
const REDIRECT = 'https://app.example/connect/callback/external'

const OPEN: ConnectState = { status: 'open', failure: null }
const AWAY: ConnectState = { status: 'signing_in', since: at(0), redirectUri: REDIRECT }
const EXCHANGING: ConnectState = { status: 'exchanging', since: at(0) }
const DONE: ConnectState = {
  status: 'connected',
  at: at(0),
  connection: 'dealer-42' as ConnectionId,
  renewed: false,
  scope: null,
}

const session = (state: ConnectState): ConnectSession => ({
  id: 'one',
  revision: 1 as Revision,
  provider: 'external' as ProviderId,
  client: 'app' as ClientId,
  connection: 'dealer-42' as ConnectionId,
  labels: {},
  scope: null,
  resources: [],
  otherAccount: false,
  returnTo: null,
  madeBy: null,
  within: {},
  createdAt: at(0),
  expiresAt: at(10 * MINUTE),
  state,
})

test('a person may begin until the link expires, also again, but not while a code is exchanged or when it is done', () => {
  const now = (ms: number) => ({ redirectUri: REDIRECT, now: at(ms) })
  const away = (ms: number) => ({ status: 'signing_in', since: at(ms), redirectUri: REDIRECT })
  assert.deepEqual(begun(session(OPEN), now(1)), away(1))
  assert.deepEqual(begun(session(AWAY), now(1)), away(1))
  assert.equal(begun(session(OPEN), now(10 * MINUTE)), 'expired')
  assert.equal(begun(session(AWAY), now(10 * MINUTE)), 'expired')
  assert.equal(begun(session(EXCHANGING), now(1)), 'busy')
  assert.deepEqual(begun(session(EXCHANGING), now(MINUTE)), away(MINUTE))
  assert.equal(begun(session(DONE), now(1)), 'connected')
})

test('an answer is taken once, within an hour of the beginning, also after the link has expired', () => {
  assert.deepEqual(answered(session(AWAY), at(59 * MINUTE)), { status: 'exchanging', since: at(59 * MINUTE) })
  assert.equal(answered(session(AWAY), at(60 * MINUTE)), 'not_signing_in')
  assert.equal(answered(session(OPEN), at(1)), 'not_signing_in')
  assert.equal(answered(session(EXCHANGING), at(1)), 'not_signing_in')
  assert.equal(answered(session(DONE), at(1)), 'connected')
})

test('an exchange that nobody ended counts as failed after a minute', () => {
  assert.deepEqual(connectStateNow(session(EXCHANGING), at(MINUTE - 1)), EXCHANGING)
  assert.deepEqual(connectStateNow(session(EXCHANGING), at(MINUTE)), {
    status: 'open',
    failure: { because: 'unavailable', word: null, at: at(0) },
  })
})

test('it is over when it is connected, or when nobody is on the way and nobody can begin', () => {
  assert.equal(isOver(session(OPEN), at(1)), false)
  assert.equal(isOver(session(OPEN), at(10 * MINUTE)), true)
  assert.equal(isOver(session(AWAY), at(10 * MINUTE)), false)
  assert.equal(isOver(session(AWAY), at(60 * MINUTE)), true)
  assert.equal(isOver(session(DONE), at(1)), true)
})
