/** Connections in SQLite. Every statement is keyed by one connection, and runs alone or inside the group's transaction. */
import type { SQLInputValue, StatementSync } from 'node:sqlite'
import {
  HELD_BACK,
  URGENCIES,
  type ClientId,
  type ConnectionId,
  type Fingerprint,
  type Moment,
  type Uid,
} from '@tokenkeep/core'
import { integer, text, type CellRecord } from './cells.ts'
import { byConnection, readConnection, readOpenElsewhere, readPresentation } from './connection-codec.ts'
import type { Page } from './connection-select.ts'
import { overviewBy } from './store-overview.ts'
import { pageBy } from './store-page.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { incarnationReader, sqliteIncarnation } from './sqlite-incarnation.ts'
import type { SqliteTerms } from './sqlite-registry.ts'
import {
  OVERVIEW,
  SELECT_ATTEMPTS,
  SELECT_BY_ID,
  SELECT_BY_UID,
  SELECT_DUE,
  SELECT_DUE_ENDING,
  SELECT_ELSEWHERE,
  SELECT_HISTORY,
  SELECT_OTHER,
  SELECT_TOMBSTONE,
  SELECT_TWIN,
  SELECT_UIDS,
  WALK,
} from './sqlite-select.ts'
import { connectionWriter } from './sqlite-write.ts'
import { lastMoments } from './store-marks.ts'
import type { Change, Found, Neighbours, Rows } from './store-rows.ts'

export interface SqliteRowsOptions {
  readonly database: SqliteDatabase
  readonly terms: SqliteTerms
  /** Store time. */
  readonly bootNow: () => Moment
}

export function sqliteRows({ database, terms, bootNow }: SqliteRowsOptions): Rows {
  const { sql, read, write } = database
  const put = connectionWriter(sql)
  const kept = incarnationReader(sql)
  const select = {
    byId: sql.prepare(SELECT_BY_ID),
    byUid: sql.prepare(SELECT_BY_UID),
    other: sql.prepare(SELECT_OTHER),
    attempts: sql.prepare(SELECT_ATTEMPTS),
    elsewhere: sql.prepare(SELECT_ELSEWHERE),
    tombstone: sql.prepare(SELECT_TOMBSTONE),
    twin: sql.prepare(SELECT_TWIN),
    due: sql.prepare(SELECT_DUE),
    ending: sql.prepare(SELECT_DUE_ENDING),
    history: sql.prepare(SELECT_HISTORY),
    uids: sql.prepare(SELECT_UIDS),
  }
  const listings = new Map<string, StatementSync>()

  const foundIn = (records: readonly CellRecord[]): Found[] => byConnection(records).map(foundOf)

  function foundOf(records: readonly CellRecord[]): Found {
    const row = readConnection(records)
    const [record = {}] = records
    const provider = terms.provider(row.provider, integer(record, 'provider_revision'))
    const client = terms.client(row.client, integer(record, 'client_revision'))
    if (provider === null || client === null) throw new Error('a row names a client that is not there')
    return { row, provider, client, hold: kept().hold }
  }

  const one = (statement: StatementSync, ...values: SQLInputValue[]): Found | null =>
    foundIn(statement.all(...values))[0] ?? null

  function twinOf(client: ClientId, refreshToken: Fingerprint | null, except: Uid | ''): ConnectionId | null {
    const record = refreshToken === null ? undefined : select.twin.get(client, refreshToken, except)
    return record === undefined ? null : (text(record, 'id') as ConnectionId)
  }

  /** There are few texts: the values never stand in one. */
  function prepared(text: string): StatementSync {
    const statement = listings.get(text) ?? sql.prepare(text)
    listings.set(text, statement)
    return statement
  }

  const ask = (page: Page): Promise<readonly CellRecord[]> => read(() => prepared(page.text).all(...page.values))

  function apply<Result>(before: Found | null, change: Change<Result>): Result {
    if (change.row !== null) put.row(before?.row ?? null, change.row)
    const uid = change.row?.uid ?? before?.row.uid
    if (uid !== undefined) for (const note of change.history) put.note(uid, note)
    for (const event of change.events) put.tell(event)
    return change.result
  }

  return {
    incarnation: sqliteIncarnation(database, { kept, bootNow }),
    uidsAfter: (uid, limit) => read(() => select.uids.all(uid ?? '', limit).map((each) => text(each, 'uid') as Uid)),
    byId: (id) =>
      read(() => {
        const found = one(select.byId, id)
        if (found !== null) return { found, now: bootNow() }
        return select.tombstone.get(id) === undefined ? 'unknown' : 'erased'
      }),
    page: async (query) => {
      const now = bootNow()
      const { records, next } = await pageBy({ queries: WALK, ask, now: now.wall }, query)
      return { found: await read(() => foundIn(records)), now, next }
    },
    overview: (labels) => overviewBy({ queries: OVERVIEW, ask, now: bootNow() }, labels),
    otherThan: (uids) =>
      read(() => ({
        found: select.other.all(JSON.stringify(uids)).flatMap((other) => one(select.byUid, text(other, 'uid')) ?? []),
        now: bootNow(),
      })),
    withOpenAttemptOf: (owner) => read(() => ({ found: foundIn(select.attempts.all(owner)), now: bootNow() })),
    presentedByOthers: (owner) => read(() => select.elsewhere.all(owner).map(readOpenElsewhere)),
    history: (id, limit) => read(() => select.history.all(id, limit).map(readPresentation)),

    change: (uid, decide) =>
      write(() => {
        const found = one(select.byUid, uid)
        return apply(found, decide(found, bootNow()))
      }),
    changeGrant: (uid, refreshToken, decide) =>
      write(() => {
        const found = one(select.byUid, uid)
        const twin = found === null ? null : twinOf(found.row.client, refreshToken, uid)
        return apply(found, decide(found === null ? null : { ...found, twin }, bootNow()))
      }),
    insert: (born, decide) =>
      write(() => {
        const client = terms.client(born.client)
        const provider = client === null ? null : terms.provider(client.provider)
        const neighbours: Neighbours | null =
          client === null || provider === null
            ? null
            : {
                client,
                provider,
                hold: kept().hold,
                living: one(select.byId, born.id),
                twin: twinOf(born.client, born.refreshToken, ''),
              }
        return apply(null, decide(neighbours, bootNow()))
      }),
    changeDue: ({ limit, except }, decide) =>
      write(() => {
        const now = bootNow()
        const uids: string[] = []
        const without = JSON.stringify(except)
        const claim = (statement: StatementSync, ...values: SQLInputValue[]): void => {
          const left = limit - uids.length
          if (left > 0) uids.push(...statement.all(...values, left).map((record) => text(record, 'uid')))
        }
        const ending = (): void => {
          for (const urgency of HELD_BACK) claim(select.ending, urgency, now.wall, without, lastMoments(now))
        }
        // One short range of the index for each urgency: what is not due is never looked at.
        for (const urgency of Object.values(URGENCIES)) {
          if (urgency === HELD_BACK[0] && except.length > 0) ending()
          claim(select.due, urgency, now.wall, HELD_BACK.includes(urgency) ? without : '[]')
        }
        return uids.flatMap((uid) => {
          const found = one(select.byUid, uid)
          return found === null ? [] : [apply(found, decide(found, now))]
        })
      }),
    forget: (before) => write(() => put.forget(before(bootNow()))),
  }
}
