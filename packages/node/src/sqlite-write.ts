/** Writes what changed of one connection: its row, its access tokens, a held answer, its labels, its history. */
import type { DatabaseSync } from 'node:sqlite'
import type { ConnectionRow, NewEvent, Uid, UnixMs } from '@tokenkeep/core'
import {
  CONNECTION_COLUMNS,
  CONNECTION_COLUMNS_FIXED,
  accessTokenValues,
  changingValues,
  fixedValues,
  presentationValues,
  siblingValues,
  successorValues,
} from './connection-codec.ts'
import { changeOfTotal, troubleOf } from './store-marks.ts'
import { EVENT_COLUMNS, eventValues } from './event-codec.ts'
import { FORGOTTEN_AT_ONCE, HISTORY_MOST, type HistoryNote } from './store-rows.ts'

/** To be called inside a transaction. */
export interface ConnectionWriter {
  /** @param before the row as it was read in the same transaction; null: a new one */
  row(before: ConnectionRow | null, after: ConnectionRow): void
  note(uid: Uid, note: HistoryNote): void
  tell(event: NewEvent): void
  /** Deletes a few tombstones, with their history, that were written before a moment. */
  forget(before: UnixMs): void
}

export function connectionWriter(sql: DatabaseSync): ConnectionWriter {
  const insert = sql.prepare(
    `INSERT INTO connection (${[...CONNECTION_COLUMNS, ...CONNECTION_COLUMNS_FIXED].join(', ')})
     VALUES (${placeholders(CONNECTION_COLUMNS.length + CONNECTION_COLUMNS_FIXED.length)})`,
  )
  const update = sql.prepare(
    `UPDATE connection SET ${CONNECTION_COLUMNS.map((column) => `${column} = ?`).join(', ')}
     WHERE uid = ? AND revision = ?`,
  )
  const putAccessToken = sql.prepare(
    `INSERT OR REPLACE INTO access_token (uid, variant, sealed, serial, fingerprint, token_type, scope, lifetime_ms,
       lifetime_from, sent_at, expires_at, fence, refused_at) VALUES (${placeholders(13)})`,
  )
  const dropAccessToken = sql.prepare('DELETE FROM access_token WHERE uid = ? AND variant = ?')
  const putSuccessor = sql.prepare(
    `INSERT INTO held_answer (uid, kind, attempt, fence, variant, scope, refresh_token, refresh_token_facts,
       access_token, access_token_facts) VALUES (?, 'successor', ${placeholders(8)})`,
  )
  const dropSuccessor = sql.prepare(`DELETE FROM held_answer WHERE uid = ? AND kind = 'successor'`)
  const dropHeld = sql.prepare('DELETE FROM held_answer WHERE uid = ?')
  const putSibling = sql.prepare(
    `INSERT INTO held_answer (uid, kind, attempt, fence, variant, refresh_token, refresh_token_facts, sibling)
     VALUES (?, 'sibling', ?, ?, '', ?, ?, ?)`,
  )
  const dropSiblings = sql.prepare(`DELETE FROM held_answer WHERE uid = ? AND kind = 'sibling'`)
  const putLabel = sql.prepare('INSERT INTO label (uid, name, value, id, trouble) VALUES (?, ?, ?, ?, ?)')
  const markLabels = sql.prepare('UPDATE label SET trouble = ? WHERE uid = ?')
  const addTotal = sql.prepare(
    `INSERT INTO connection_total (provider, spread, living) VALUES (?, 0, ?)
     ON CONFLICT (provider, spread) DO UPDATE SET living = living + excluded.living`,
  )
  const dropLabels = sql.prepare('DELETE FROM label WHERE uid = ?')
  const begin = sql.prepare(
    `INSERT INTO presentation (uid, fence, attempt, grant_no, generation, presented, owner, host, process, why,
       acquired_at) VALUES (${placeholders(11)})`,
  )
  const end = sql.prepare('UPDATE presentation SET ended_at = ?, outcome = ? WHERE uid = ? AND fence = ?')
  const dropOldPresentations = sql.prepare('DELETE FROM presentation WHERE uid = ? AND fence <= ?')
  const tell = sql.prepare(`INSERT INTO event (${EVENT_COLUMNS}) VALUES (${placeholders(8)})`)
  const forget = sql.prepare(
    `DELETE FROM connection WHERE uid IN (
       SELECT uid FROM connection WHERE status = 'erased' AND updated_at < ? ORDER BY updated_at LIMIT ?)`,
  )

  function putRow(before: ConnectionRow | null, after: ConnectionRow): void {
    if (before === null) {
      insert.run(...changingValues(after), ...fixedValues(after))
      return
    }
    const { changes } = update.run(...changingValues(after), after.uid, before.revision)
    // Read in the same transaction, so this cannot be; if it is, nothing may be written over it.
    if (changes !== 1) throw new Error('a row changed inside the transaction that read it')
  }

  // The rules keep what they do not change as the same object.
  function putAccessTokens(before: ConnectionRow | null, after: ConnectionRow): void {
    if (before?.accessTokens === after.accessTokens) return
    const known = new Set(before?.accessTokens)
    for (const token of after.accessTokens)
      if (!known.has(token)) putAccessToken.run(...accessTokenValues(after.uid, token))
    const kept = new Set(after.accessTokens.map((token) => token.variant))
    for (const { variant } of known) if (!kept.has(variant)) dropAccessToken.run(after.uid, variant)
  }

  function putHeld(before: ConnectionRow | null, after: ConnectionRow): void {
    const { successor, siblings } = after
    if (after.state.status === 'erased') dropHeld.run(after.uid)
    if (before !== null && before.siblings !== siblings && before.siblings.length + siblings.length > 0) {
      dropSiblings.run(after.uid)
      for (const sibling of siblings) putSibling.run(...siblingValues(after.uid, sibling))
    }
    if ((before?.successor ?? null) === successor) return
    dropSuccessor.run(after.uid)
    if (successor !== null) putSuccessor.run(...successorValues(after.uid, successor))
  }

  function putLabels(before: ConnectionRow | null, after: ConnectionRow): void {
    const trouble = troubleOf(after)
    if (before?.labels === after.labels) {
      if (troubleOf(before) !== trouble) markLabels.run(trouble, after.uid)
      return
    }
    if (before !== null) dropLabels.run(after.uid)
    for (const [name, value] of Object.entries(after.labels)) putLabel.run(after.uid, name, value, after.id, trouble)
  }

  function putTotal(before: ConnectionRow | null, after: ConnectionRow): void {
    const change = changeOfTotal(before, after)
    if (change !== 0) addTotal.run(after.provider, change)
  }

  return {
    row: (before, after) => {
      putRow(before, after)
      putAccessTokens(before, after)
      putHeld(before, after)
      putLabels(before, after)
      putTotal(before, after)
    },
    note: (uid, note) => {
      if (note.kind === 'ended') {
        end.run(Math.round(note.endedAt), note.outcome, uid, note.fence)
        return
      }
      begin.run(...presentationValues(uid, note.entry))
      dropOldPresentations.run(uid, note.entry.fence - HISTORY_MOST)
    },
    tell: (event) => void tell.run(...eventValues(event)),
    forget: (before) => void forget.run(Math.round(before), FORGOTTEN_AT_ONCE),
  }
}

const placeholders = (count: number): string => Array.from({ length: count }, () => '?').join(', ')
