import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleetCount, presentedIn, readReport } from '../counting.ts'
import type { KeycloakEvent } from '../keycloak-admin.ts'

const presentation = (token: string, sessionId: string, type = 'REFRESH_TOKEN'): KeycloakEvent => ({
  type,
  time: 0,
  sessionId,
  details: { refresh_token_id: token },
})

test('presentations are counted by the refresh token that was presented, granted or refused', () => {
  const events = [
    presentation('A', 'one'),
    presentation('B', 'one'),
    presentation('B', 'one', 'REFRESH_TOKEN_ERROR'),
    presentation('C', 'other'),
    presentation('B', 'one', 'CODE_TO_TOKEN'),
  ]
  assert.deepEqual(presentedIn(events), { granted: 3, refused: 1, tokens: 3, mostOfOne: 2 })
  assert.deepEqual(presentedIn(events, ['other']), { granted: 1, refused: 0, tokens: 1, mostOfOne: 1 })
  assert.deepEqual(presentedIn([], ['other']), { granted: 0, refused: 0, tokens: 0, mostOfOne: 0 })
})

test('presentations that Keycloak could not read count as those of one token, and belong to no session', () => {
  const unread: KeycloakEvent = { type: 'REFRESH_TOKEN_ERROR', time: 0, error: 'invalid_token' }
  assert.deepEqual(presentedIn([unread, unread]), { granted: 0, refused: 2, tokens: 1, mostOfOne: 2 })
  assert.deepEqual(presentedIn([unread], ['one']), { granted: 0, refused: 0, tokens: 0, mostOfOne: 0 })
})

test('a fleet counts what its processes got, and what most of those said that gave up', () => {
  const reports = [
    { granted: 20, bad: 0, lost: null },
    { granted: 1, bad: 1, lost: 'invalid_grant' },
    { granted: 1, bad: 0, lost: 'timeout' },
    { granted: 0, bad: 0, lost: 'invalid_grant' },
  ]
  assert.deepEqual(fleetCount(reports, 20), {
    processes: 4,
    expiries: 80,
    granted: 22,
    bad: 1,
    lost: 3,
    because: 'invalid_grant',
  })
  assert.equal(fleetCount([], 20).because, null)
})

test('a report is the last line that a program printed', () => {
  const report = { granted: 20, bad: 0, lost: null }
  assert.deepEqual(readReport(`a warning\n${JSON.stringify(report)}\n`), report)
})

for (const printed of ['', 'null', '[]', 'Traceback', '{"granted":20}', '{"granted":-1,"bad":0,"lost":null}']) {
  test(`a program that printed ${JSON.stringify(printed)} reported nothing, and that is said`, () => {
    assert.throws(() => readReport(printed), /reported no \{granted, bad, lost\}/)
  })
}
