import { storedName } from './fingerprint.ts'
import type { Row, State } from './state.ts'
import type { TokenUse } from './rotation.ts'

export type KilledBecause = 'reuse' | 'revoked_by_client' | 'revoked_upstream' | 'code_reuse' | 'logout'

/** What the authorization server knows about one sign-in; the numbers are what tests ask for. */
export interface SessionCounters {
  readonly realm: string
  readonly sessionId: string
  readonly clientId: string
  readonly subject: string
  readonly scope: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Requests that carried a refresh token of this session, also those that a `before` fault ate. */
  readonly arrivals: number
  /** Of these, the ones that came to be judged: `refreshes + answeredAgain + refused`. */
  readonly presentations: number
  /** Presentations answered with new tokens, each of a refresh token not answered before (or of a reusable one). */
  readonly refreshes: number
  /** Presentations of an already answered refresh token that grace or counted reuse let pass. */
  readonly answeredAgain: number
  /** Presentations of an already answered refresh token, whatever became of them. Reusable tokens have none. */
  readonly secondPresentations: number
  /** Presentations answered with an error. */
  readonly refused: number
  readonly killed: boolean
  readonly killedBecause: KilledBecause | null
  /** Epoch milliseconds. */
  readonly killedAt: number | null
  readonly lastPresentedAt: number | null
  readonly lastOutcome: string | null
}

export interface NewSession {
  readonly id: string
  readonly clientId: string
  readonly subject: string
  readonly scope: string
  readonly createdMs: number
  readonly accessSeconds: number | null
  readonly refreshSeconds: number | null
}

/** The part of a session that decides about lifetimes and life. */
export interface Session {
  readonly id: string
  readonly clientId: string
  readonly subject: string
  readonly createdMs: number
  readonly accessSeconds: number | null
  readonly refreshSeconds: number | null
  readonly killedBecause: KilledBecause | null
}

export interface KnownRefreshToken extends TokenUse {
  readonly name: string
  readonly sessionId: string
  readonly clientId: string
  readonly expiresMs: number
  readonly answer: Uint8Array | null
}

/** How a judged presentation ended, for the counters. */
export type Outcome = 'refreshed' | 'answered_again' | 'refused'

/** The sessions of one realm and the ledger of their refresh tokens, also of dead ones: reuse must be recognised. */
export class Sessions {
  readonly #state: State
  readonly #realm: string

  constructor(state: State, realm: string) {
    this.#state = state
    this.#realm = realm
  }

  add(session: NewSession): void {
    this.#state.write(
      `INSERT INTO session (realm, id, client_id, subject, scope, created_ms, access_seconds, refresh_seconds)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      this.#realm,
      session.id,
      session.clientId,
      session.subject,
      session.scope,
      session.createdMs,
      session.accessSeconds,
      session.refreshSeconds,
    )
  }

  find(id: string): Session | null {
    const row = this.#state.row('SELECT * FROM session WHERE realm = ? AND id = ?', this.#realm, id)
    return row && sessionOf(row)
  }

  counters(id: string): SessionCounters | null {
    const row = this.#state.row('SELECT * FROM session WHERE realm = ? AND id = ?', this.#realm, id)
    return row && countersOf(row)
  }

  all(): readonly SessionCounters[] {
    return this.#state
      .rows('SELECT * FROM session WHERE realm = ? ORDER BY created_ms, rowid', this.#realm)
      .map(countersOf)
  }

  /** Enters a new refresh token; entering it once more changes nothing. */
  enter(secret: string, token: { sessionId: string; clientId: string; expiresMs: number }): void {
    this.#state.write(
      'INSERT OR IGNORE INTO refresh_token (realm, name, session_id, client_id, expires_ms) VALUES (?, ?, ?, ?, ?)',
      this.#realm,
      storedName(secret),
      token.sessionId,
      token.clientId,
      token.expiresMs,
    )
  }

  refreshToken(secret: string): KnownRefreshToken | null {
    const row = this.#state.row(
      'SELECT * FROM refresh_token WHERE realm = ? AND name = ?',
      this.#realm,
      storedName(secret),
    )
    return row && refreshTokenOf(row)
  }

  arrived(id: string): void {
    this.#state.write('UPDATE session SET arrivals = arrivals + 1 WHERE realm = ? AND id = ?', this.#realm, id)
  }

  presented(id: string, presentation: { outcome: Outcome; second: 0 | 1; detail: string; atMs: number }): void {
    this.#state.write(
      `UPDATE session SET presentations = presentations + 1, second_presentations = second_presentations + ?,
         refreshes = refreshes + ?, answered_again = answered_again + ?, refused = refused + ?,
         last_presented_ms = ?, last_outcome = ?
       WHERE realm = ? AND id = ?`,
      presentation.second,
      presentation.outcome === 'refreshed' ? 1 : 0,
      presentation.outcome === 'answered_again' ? 1 : 0,
      presentation.outcome === 'refused' ? 1 : 0,
      presentation.atMs,
      presentation.detail,
      this.#realm,
      id,
    )
  }

  /** Counts one answer to this refresh token and remembers whose child its successor is. */
  spent(token: KnownRefreshToken, successor: string | null, atMs: number): void {
    this.#state.write(
      'UPDATE refresh_token SET uses = uses + 1, first_used_ms = coalesce(first_used_ms, ?) WHERE realm = ? AND name = ?',
      atMs,
      this.#realm,
      token.name,
    )
    if (successor === null) return
    this.#state.write(
      'UPDATE refresh_token SET parent = ? WHERE realm = ? AND name = ?',
      token.name,
      this.#realm,
      storedName(successor),
    )
  }

  keepAnswer(token: KnownRefreshToken, sealed: Uint8Array): void {
    this.#state.write(
      'UPDATE refresh_token SET answer = ? WHERE realm = ? AND name = ?',
      sealed,
      this.#realm,
      token.name,
    )
  }

  retireSuccessorsOf(token: KnownRefreshToken): void {
    this.#state.write('UPDATE refresh_token SET stale = 1 WHERE realm = ? AND parent = ?', this.#realm, token.name)
  }

  /** Ends the session with every token it ever had; a session that is dead already keeps its first reason. */
  kill(id: string, because: KilledBecause, atMs: number): void {
    this.#state.write(
      'UPDATE session SET killed_ms = ?, killed_because = ? WHERE realm = ? AND id = ? AND killed_ms IS NULL',
      atMs,
      because,
      this.#realm,
      id,
    )
    this.#state.write(
      'UPDATE artifact SET revoked_ms = ? WHERE realm = ? AND grant_id = ? AND revoked_ms IS NULL',
      atMs,
      this.#realm,
      id,
    )
  }

  /** The ids of all sessions that were signed in with this browser session. */
  idsOf(browserUid: string): readonly string[] {
    const rows = this.#state.rows(
      `SELECT DISTINCT grant_id FROM artifact
       WHERE realm = ? AND model IN ('AccessToken', 'RefreshToken') AND json_extract(payload, '$.sessionUid') = ?`,
      this.#realm,
      browserUid,
    )
    return rows.map((row) => String(row['grant_id']))
  }

  killAccessTokensOf(id: string, atMs: number): void {
    this.#state.write(
      `UPDATE artifact SET revoked_ms = ?
       WHERE realm = ? AND grant_id = ? AND model = 'AccessToken' AND revoked_ms IS NULL`,
      atMs,
      this.#realm,
      id,
    )
  }

  resetCounters(): void {
    this.#state.write(
      `UPDATE session SET arrivals = 0, presentations = 0, refreshes = 0, answered_again = 0, second_presentations = 0,
         refused = 0 WHERE realm = ?`,
      this.#realm,
    )
  }
}

function sessionOf(row: Row): Session {
  return {
    id: String(row['id']),
    clientId: String(row['client_id']),
    subject: String(row['subject']),
    createdMs: Number(row['created_ms']),
    accessSeconds: numberOrNull(row['access_seconds']),
    refreshSeconds: numberOrNull(row['refresh_seconds']),
    killedBecause: row['killed_because'] as KilledBecause | null,
  }
}

function countersOf(row: Row): SessionCounters {
  return {
    realm: String(row['realm']),
    sessionId: String(row['id']),
    clientId: String(row['client_id']),
    subject: String(row['subject']),
    scope: String(row['scope']),
    createdAt: Number(row['created_ms']),
    arrivals: Number(row['arrivals']),
    presentations: Number(row['presentations']),
    refreshes: Number(row['refreshes']),
    answeredAgain: Number(row['answered_again']),
    secondPresentations: Number(row['second_presentations']),
    refused: Number(row['refused']),
    killed: row['killed_ms'] !== null,
    killedBecause: row['killed_because'] as KilledBecause | null,
    killedAt: numberOrNull(row['killed_ms']),
    lastPresentedAt: numberOrNull(row['last_presented_ms']),
    lastOutcome: row['last_outcome'] as string | null,
  }
}

function refreshTokenOf(row: Row): KnownRefreshToken {
  return {
    name: String(row['name']),
    sessionId: String(row['session_id']),
    clientId: String(row['client_id']),
    expiresMs: Number(row['expires_ms']),
    uses: Number(row['uses']),
    firstUsedMs: numberOrNull(row['first_used_ms']),
    stale: row['stale'] === 1,
    answer: row['answer'] as Uint8Array | null,
  }
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value)
}
