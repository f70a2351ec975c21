/**
 * Writes what changed of one connection, all of it in one statement: its row, and by its side access tokens, a held answer,
 * labels, history.
 *
 * The row is written only where its revision is still the one that was read, and everything else only where the row was:
 * so nothing is locked between reading and writing, and a process that is frozen in between keeps nobody waiting.
 */
import type { ConnectionRow, Fence, NewEvent, UnixMs } from '@tokenkeep/core'
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
import type { PostgresCell } from './postgres-session.ts'
import { statement, tableIn, type Statement } from './postgres-statement.ts'
import { changeOfTotal, troubleOf } from './store-marks.ts'
import { eventValues } from './event-codec.ts'
import { FORGOTTEN_AT_ONCE, HISTORY_MOST, type HistoryNote } from './store-rows.ts'

export interface Writing {
  readonly statement: Statement
  readonly values: readonly PostgresCell[]
}

export interface Written {
  /** As it was read; null: there is none yet. */
  readonly before: ConnectionRow | null
  /** Null: it stays as it is. */
  readonly after: ConnectionRow | null
  readonly history: readonly HistoryNote[]
  /** All of one subject and moment; none without `after`. */
  readonly events: readonly NewEvent[]
}

export interface WriteOptions {
  readonly schema: string
}

/** For work that others may claim at the same moment: theirs is left to them at once, and nobody waits. */
export type Contended = 'wait' | 'skip_locked'

export interface PostgresWriter {
  /** Null: nothing is to be written. One record comes back, `written`: 0 where the row changed since it was read. */
  change(written: Written, contended?: Contended): Writing | null
  forget(before: UnixMs): Writing
}

export function postgresWriter({ schema }: WriteOptions): PostgresWriter {
  const table = tableIn(schema)

  function rowPart({ before, after }: Written, contended: Contended): Part[] {
    if (after === null) return []
    const columns = [...CONNECTION_COLUMNS, ...CONNECTION_COLUMNS_FIXED]
    if (before === null) {
      return [
        {
          text: `INSERT INTO ${table('connection')} (${columns.join(', ')}) VALUES (${placeholders(columns.length)})
            RETURNING uid`,
          values: [...changingValues(after), ...fixedValues(after)],
        },
      ]
    }
    const sets = CONNECTION_COLUMNS.map((column) => `${column} = ?`).join(', ')
    const free =
      contended === 'wait'
        ? ''
        : `AND uid IN (SELECT uid FROM ${table('connection')} WHERE uid = ? FOR UPDATE SKIP LOCKED)`
    return [
      {
        text: `UPDATE ${table('connection')} SET ${sets} WHERE uid = ? AND revision = ? ${free} RETURNING uid`,
        values: [...changingValues(after), after.uid, before.revision, ...(contended === 'wait' ? [] : [after.uid])],
      },
    ]
  }

  // The rules keep what they do not change as the same object.
  function accessTokenParts({ before, after }: Written): Part[] {
    if (after === null || before?.accessTokens === after.accessTokens) return []
    const known = new Set(before?.accessTokens)
    const put = after.accessTokens.filter((token) => !known.has(token))
    const kept = new Set(after.accessTokens.map((token) => token.variant))
    const dropped = [...known].filter(({ variant }) => !kept.has(variant))
    const columns = `uid, variant, sealed, serial, fingerprint, token_type, scope, lifetime_ms, lifetime_from, sent_at,
      expires_at, fence, refused_at`
    return [
      ...put.map((token) => ({
        text: `INSERT INTO ${table('access_token')} (${columns})
          SELECT ${typed('text text bytea text text text text bigint text bigint bigint bigint bigint')} FROM row_written
          ON CONFLICT (uid, variant) DO UPDATE SET sealed = excluded.sealed, serial = excluded.serial,
            fingerprint = excluded.fingerprint, token_type = excluded.token_type, scope = excluded.scope,
            lifetime_ms = excluded.lifetime_ms, lifetime_from = excluded.lifetime_from, sent_at = excluded.sent_at,
            expires_at = excluded.expires_at, fence = excluded.fence, refused_at = excluded.refused_at`,
        values: accessTokenValues(after.uid, token),
      })),
      ...dropped.map(({ variant }) => ({
        text: `DELETE FROM ${table('access_token')} WHERE uid = ? AND variant = ? AND ${ROW_WRITTEN}`,
        values: [after.uid, variant],
      })),
    ]
  }

  function heldParts(written: Written): Part[] {
    const { before, after } = written
    if (after === null) return []
    if (before !== null && after.state.status === 'erased') {
      return [{ text: `DELETE FROM ${table('held_answer')} WHERE uid = ? AND ${ROW_WRITTEN}`, values: [after.uid] }]
    }
    return [...successorParts(before, after), ...siblingParts(before, after)]
  }

  function siblingParts(before: ConnectionRow | null, after: ConnectionRow): Part[] {
    const { siblings } = after
    if (before === null || before.siblings === siblings || before.siblings.length + siblings.length === 0) return []
    const drop = {
      text: `DELETE FROM ${table('held_answer')}
        WHERE uid = ? AND kind = 'sibling' AND attempt <> ALL (?::text[]) AND ${ROW_WRITTEN}`,
      values: [after.uid, siblings.map(({ attempt }) => attempt)],
    }
    const put = siblings.map((sibling) => ({
      text: `INSERT INTO ${table('held_answer')} (uid, attempt, fence, refresh_token, refresh_token_facts, sibling, kind,
          variant)
        SELECT ${typed('text text bigint bytea text text')}, 'sibling', '' FROM row_written
        ON CONFLICT (uid, kind, attempt) DO UPDATE SET fence = excluded.fence, refresh_token = excluded.refresh_token,
          refresh_token_facts = excluded.refresh_token_facts, sibling = excluded.sibling`,
      values: siblingValues(after.uid, sibling),
    }))
    return [drop, ...put]
  }

  function successorParts(before: ConnectionRow | null, after: ConnectionRow): Part[] {
    const { successor } = after
    if ((before?.successor ?? null) === successor) return []
    if (successor === null) {
      const text = `DELETE FROM ${table('held_answer')} WHERE uid = ? AND kind = 'successor' AND ${ROW_WRITTEN}`
      return [{ text, values: [after.uid] }]
    }
    return [
      {
        text: `INSERT INTO ${table('held_answer')} (uid, attempt, fence, variant, scope, refresh_token,
            refresh_token_facts, access_token, access_token_facts, kind)
          SELECT ${typed('text text bigint text text bytea text bytea text')}, 'successor' FROM row_written
          ON CONFLICT (uid) WHERE kind = 'successor' DO UPDATE SET attempt = excluded.attempt, fence = excluded.fence,
            variant = excluded.variant, scope = excluded.scope, refresh_token = excluded.refresh_token,
            refresh_token_facts = excluded.refresh_token_facts, access_token = excluded.access_token,
            access_token_facts = excluded.access_token_facts`,
        values: successorValues(after.uid, successor),
      },
    ]
  }

  function labelParts({ before, after }: Written): Part[] {
    if (after === null) return []
    const trouble = troubleOf(after)
    if (before?.labels === after.labels) {
      const marked = {
        text: `UPDATE ${table('label')} SET trouble = ? WHERE uid = ? AND ${ROW_WRITTEN}`,
        values: [trouble, after.uid],
      }
      return troubleOf(before) === trouble || Object.keys(after.labels).length === 0 ? [] : [marked]
    }
    const [names, values] = [Object.keys(after.labels), Object.values(after.labels)]
    const put = {
      text: `INSERT INTO ${table('label')} (uid, id, trouble, name, value)
        SELECT ?::text, ?::text, ?::text, l.name, l.value FROM row_written, unnest(?::text[], ?::text[]) AS l (name, value)
        ON CONFLICT (uid, name) DO UPDATE SET value = excluded.value, trouble = excluded.trouble`,
      values: [after.uid, after.id, trouble, names, values],
    }
    const drop = {
      text: `DELETE FROM ${table('label')} WHERE uid = ? AND name <> ALL (?::text[]) AND ${ROW_WRITTEN}`,
      values: [after.uid, names],
    }
    return [...(names.length > 0 ? [put] : []), ...(before === null ? [] : [drop])]
  }

  function totalParts({ before, after }: Written): Part[] {
    const change = after === null ? 0 : changeOfTotal(before, after)
    if (after === null || change === 0) return []
    return [
      {
        text: `INSERT INTO ${table('connection_total')} AS t (provider, spread, living)
          SELECT ?::text, ?::integer, ?::bigint FROM row_written
          ON CONFLICT (provider, spread) DO UPDATE SET living = t.living + excluded.living`,
        values: [after.provider, spreadOf(after.uid), change],
      },
    ]
  }

  function historyParts({ before, after, history }: Written): Part[] {
    const uid = after?.uid ?? before?.uid
    if (uid === undefined) return []
    const onlyThen = after === null ? '' : `AND ${ROW_WRITTEN}`
    // One statement changes a line once.
    const ended = new Map<Fence, HistoryNote & { readonly kind: 'ended' }>()
    const parts: Part[] = []
    for (const note of history) {
      if (note.kind === 'ended') {
        ended.set(note.fence, note)
        continue
      }
      parts.push(
        {
          text: `INSERT INTO ${table('presentation')} (uid, fence, attempt, grant_no, generation, presented, owner, host,
              process, why, acquired_at)
            SELECT ${typed('text bigint text bigint bigint text text text text text bigint')} ${after === null ? '' : 'FROM row_written'}`,
          values: presentationValues(uid, note.entry),
        },
        {
          text: `DELETE FROM ${table('presentation')} WHERE uid = ? AND fence <= ? ${onlyThen}`,
          values: [uid, note.entry.fence - HISTORY_MOST],
        },
      )
    }
    for (const note of ended.values()) {
      parts.push({
        text: `UPDATE ${table('presentation')} SET ended_at = ?, outcome = ? WHERE uid = ? AND fence = ? ${onlyThen}`,
        values: [Math.round(note.endedAt), note.outcome, uid, note.fence],
      })
    }
    return parts
  }

  function eventPart({ events, after }: Written): Part[] {
    const [first] = events
    if (first === undefined || after === null) return []
    const [, at, uid, connection, provider, client, labels] = eventValues(first)
    return [
      {
        // In the order in which they happened, and numbered only once the row is this statement's.
        text: `INSERT INTO ${table('event')} (at, uid, connection, provider, client, labels, type, data)
          SELECT ${typed('bigint text text text text text')}, e.type, e.data
          FROM row_written, unnest(?::text[], ?::text[]) WITH ORDINALITY AS e (type, data, n) ORDER BY e.n`,
        values: [
          at,
          uid,
          connection,
          provider,
          client,
          labels,
          events.map(({ type }) => type),
          events.map(({ data }) => JSON.stringify(data)),
        ],
      },
    ]
  }

  return {
    change(written, contended = 'wait') {
      const row = rowPart(written, contended)
      const rest = [
        ...accessTokenParts(written),
        ...heldParts(written),
        ...labelParts(written),
        ...totalParts(written),
        ...historyParts(written),
        ...eventPart(written),
      ]
      const parts = [...row, ...rest]
      if (parts.length === 0) return null
      const named = parts.map(
        ({ text }, index) => `${row.length === 1 && index === 0 ? 'row_written' : `part_${index}`} AS (${text})`,
      )
      const count = row.length === 1 ? '(SELECT count(*) FROM row_written)' : '1'
      return {
        statement: statement(`WITH ${named.join(',\n')} SELECT ${count}::int AS written`),
        values: parts.flatMap(({ values }) => values),
      }
    },
    forget: (before) => ({
      statement: statement(`
        DELETE FROM ${table('connection')} WHERE uid IN (
          SELECT uid FROM ${table('connection')} WHERE status = 'erased' AND updated_at < ?
          ORDER BY updated_at LIMIT ? FOR UPDATE SKIP LOCKED)`),
      values: [Math.round(before), FORGOTTEN_AT_ONCE],
    }),
  }
}

interface Part {
  readonly text: string
  readonly values: readonly PostgresCell[]
}

/** So many rows take turns, so that of several who import at once few wait for each other. */
const SPREAD = 16
const spreadOf = (uid: string): number => (uid.codePointAt(uid.length - 1) ?? 0) % SPREAD

const ROW_WRITTEN = 'EXISTS (SELECT FROM row_written)'
const placeholders = (count: number): string => Array.from({ length: count }, () => '?').join(', ')
/** In a SELECT the database cannot tell the type of a value by the column that it is for. */
const typed = (types: string): string =>
  types
    .split(' ')
    .map((type) => `?::${type}`)
    .join(', ')
