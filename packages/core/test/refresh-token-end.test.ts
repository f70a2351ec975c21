/** When a refresh token ends: as its answers say, also those that bring none, or as its provider's data says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commit } from '../src/commit.ts'
import type { ConnectionRow, RefreshTokenLife, SealedGrant } from '../src/connection.ts'
import type { Terms } from '../src/policy.ts'
import { ms, type UnixMs } from '../src/time.ts'
import { granted, HOUR, newRow, present, START, STRICT, writing } from './transitions-world.ts'

const at = (elapsed: number): UnixMs => (START + elapsed) as UnixMs
const life = (elapsed: number | null): RefreshTokenLife => ({
  receivedAt: at(2 * HOUR),
  endsAt: elapsed === null ? null : at(elapsed),
  lifetimeMs: elapsed === null ? null : ms(elapsed - 2 * HOUR),
})
const silent = (refreshToken: string | null): SealedGrant => {
  const grant = granted(refreshToken, 'at2', 2 * HOUR)
  return { ...grant, refreshToken: grant.refreshToken && { ...grant.refreshToken, endsAt: null, lifetimeMs: null } }
}

function after(grant: SealedGrant, terms: Terms = STRICT): ConnectionRow {
  const { row, lease } = present(newRow(), 2 * HOUR)
  const { kind, row: next } = commit(row, terms, lease, { kind: 'granted', granted: grant }, writing(2 * HOUR))
  assert.equal(kind, 'committed')
  return next
}

test('an answer without a refresh token moves the end of the one that stays', () => {
  const { refreshToken, generation } = after({ ...silent(null), refreshTokenLife: life(5 * HOUR) })
  assert.equal(generation, newRow().generation)
  assert.equal(refreshToken?.fingerprint, 'rt1')
  assert.deepEqual(
    [refreshToken?.endsAt, refreshToken?.lifetimeMs, refreshToken?.receivedAt],
    [at(5 * HOUR), 3 * HOUR, at(2 * HOUR)],
  )
})

test('so does one that repeats it', () => {
  assert.equal(after({ ...silent('rt1'), refreshTokenLife: life(5 * HOUR) }).refreshToken?.endsAt, at(5 * HOUR))
})

test('an answer that says "no fixed end" takes back one that was said', () => {
  assert.equal(after({ ...silent(null), refreshTokenLife: life(null) }).refreshToken?.endsAt, null)
})

test('silence takes back nothing', () => {
  for (const refreshToken of [null, 'rt1']) {
    assert.equal(after(silent(refreshToken)).refreshToken?.endsAt, newRow().refreshToken?.endsAt)
  }
})

test('a new refresh token of unknown life has no known end', () => {
  assert.equal(after(silent('rt2')).refreshToken?.endsAt, null)
})

test('one that was saved from a cut answer, which could not say it, is taken to live as long as the one before', () => {
  const { row, lease } = present(newRow(), 2 * HOUR)
  const said = row.refreshToken === null ? null : { ...row.refreshToken, ...life(5 * HOUR) }
  const cut = { ...silent('rt2'), accessToken: null }
  const after = (before: ConnectionRow): ConnectionRow['refreshToken'] =>
    commit(before, STRICT, lease, { kind: 'granted', granted: cut }, writing(2 * HOUR)).row.refreshToken
  const { receivedAt } = cut.refreshToken ?? assert.fail()
  const saved = after({ ...row, refreshToken: said })
  assert.deepEqual([saved?.fingerprint, saved?.lifetimeMs, saved?.endsAt], ['rt2', 3 * HOUR, receivedAt + 3 * HOUR])
  const endless = said && { ...said, endsAt: null, lifetimeMs: null }
  assert.equal(after({ ...row, refreshToken: endless })?.endsAt, null, 'where that one has no end, it has none')
})

test('and to end with it where the end of the session was seen', () => {
  const { row, lease } = present(newRow(), 2 * HOUR)
  const lastGrant = {
    at: at(0),
    attempt: lease.attempt,
    fence: lease.fence,
    sessionEnd: { at: at(5 * HOUR), announceAt: null },
  }
  const refreshToken = row.refreshToken && { ...row.refreshToken, ...life(5 * HOUR) }
  const cut = { ...silent('rt2'), accessToken: null }
  const { row: next } = commit(
    { ...row, lastGrant: { ...lastGrant, attempt: 'an earlier one' as typeof lease.attempt }, refreshToken },
    STRICT,
    lease,
    { kind: 'granted', granted: cut },
    writing(2 * HOUR),
  )
  assert.deepEqual([next.refreshToken?.fingerprint, next.refreshToken?.endsAt], ['rt2', at(5 * HOUR)])
  assert.equal(next.lastGrant?.sessionEnd?.at, at(5 * HOUR))
})

const ABSOLUTE: Terms = { ...STRICT, provider: { ...STRICT.provider, refreshTokenAbsoluteMs: ms(1_000 * HOUR) } }

test('where a sign-in has a fixed length, a new refresh token ends with the one before', () => {
  const { refreshToken } = after(silent('rt2'), ABSOLUTE)
  assert.equal(refreshToken?.fingerprint, 'rt2')
  assert.equal(refreshToken?.endsAt, newRow().refreshToken?.endsAt)
})

test('and what an answer says about its end is believed before that', () => {
  const said = granted('rt2', 'at2', 2 * HOUR)
  const grant = { ...said, refreshToken: said.refreshToken && { ...said.refreshToken, ...life(5 * HOUR) } }
  assert.equal(after(grant, ABSOLUTE).refreshToken?.endsAt, at(5 * HOUR))
  assert.equal(after({ ...silent('rt2'), refreshTokenLife: life(null) }, ABSOLUTE).refreshToken?.endsAt, null)
})
