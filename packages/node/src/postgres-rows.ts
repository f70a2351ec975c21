/**
 * Connections in Postgres. Every statement is keyed by one connection; a write is one statement, which takes effect only
 * on the revision that was decided upon.
 */
import type { ClientId, ConnectionId, Fingerprint, Moment, ProviderId, Uid } from '@tokenkeep/core'
import { integer, text, type CellRecord } from './cells.ts'
import { byConnection, readConnection, readOpenElsewhere, readPresentation } from './connection-codec.ts'
import { momentOf, type Ask, type PostgresDatabase } from './postgres-database.ts'
import type { Page } from './connection-select.ts'
import { overviewBy } from './store-overview.ts'
import { pageBy } from './store-page.ts'
import { holdIn } from './incarnation-codec.ts'
import { postgresIncarnation } from './postgres-incarnation.ts'
import { PostgresTrouble, isConflict, isDuplicate } from './postgres-failures.ts'
import type { PostgresTerms } from './postgres-registry.ts'
import { postgresQueries } from './postgres-select.ts'
import { passing } from './postgres-statement.ts'
import { postgresWriter } from './postgres-write.ts'
import type { Change, Found, Neighbours, Rows, SeenMany } from './store-rows.ts'

export interface PostgresRowsOptions {
  readonly database: PostgresDatabase
  readonly terms: PostgresTerms
  /** Hears of each row that was written, after its commit. */
  readonly onWritten: (uid: Uid) => void
  /** Store time, where a test moves it; absent: the server's `clock_timestamp()`. */
  readonly storeNow?: (() => Moment) | undefined
}

/** Whoever was overtaken so often takes the row's lock, and is overtaken no more. */
const UNLOCKED_TRIES = 4
const LOCKED_TRIES = 4
/** Rounds of claiming where others claim the same: what is left then is due for the next who asks. */
const CLAIM_ROUNDS = 4

export function postgresRows({ database, terms, onWritten, storeNow }: PostgresRowsOptions): Rows {
  const { read, write, transaction } = database
  const sql = postgresQueries(database.schema)
  const writer = postgresWriter({ schema: database.schema })

  const nowIn = (record: CellRecord): Moment => storeNow?.() ?? momentOf(record)
  const now = async (ask: Ask): Promise<Moment> => nowIn((await ask(sql.clock))[0] ?? {})

  const foundIn = (records: readonly CellRecord[]): Found[] => byConnection(records).map(foundOf)

  function foundOf(records: readonly CellRecord[]): Found {
    const row = readConnection(records)
    const [record = {}] = records
    const hold = holdIn(record)
    return { row, provider: terms.provider(row.provider, record), client: terms.client(record), hold }
  }

  interface SeenOne {
    readonly found: Found | null
    readonly now: Moment
  }
  async function one(ask: Ask, uid: Uid): Promise<SeenOne> {
    const records = await ask(sql.byUid, [uid])
    const [record] = records
    if (record === undefined) return { found: null, now: await now(ask) }
    return { found: foundIn(records)[0] ?? null, now: nowIn(record) }
  }

  async function many(records: readonly CellRecord[]): Promise<SeenMany> {
    const [record] = records
    return { found: foundIn(records), now: record === undefined ? await now(read) : nowIn(record) }
  }

  /** @returns false: somebody else wrote the row since it was read */
  async function put(
    ask: Ask,
    before: Found | null,
    change: Change<unknown>,
    contended?: 'skip_locked',
  ): Promise<boolean> {
    const writing = writer.change(
      { before: before?.row ?? null, after: change.row, history: change.history, events: change.events },
      contended,
    )
    if (writing === null) return true
    const [record = {}] = await ask(writing.statement, writing.values)
    return integer(record, 'written') === 1
  }

  /** In a transaction, tried again where others came first; that stops somewhere. */
  async function inTransaction<Result>(job: (ask: Ask) => Promise<Change<Result> | null>): Promise<Result> {
    for (let tries = 0; tries < LOCKED_TRIES; tries += 1) {
      const done = await transaction(job).catch((error: unknown) => {
        // Undone as a whole: a second decision is made on what is there now.
        if (isConflict(error) || isDuplicate(error)) return null
        throw error
      })
      if (done !== null) return told(done)
    }
    throw new PostgresTrouble(
      'store_unavailable',
      `the database ${database.name}: others write the same at every try`,
      null,
    )
  }

  function told<Result>({ row, result }: Change<Result>): Result {
    if (row !== null) onWritten(row.uid)
    return result
  }

  type Decide<Result> = (found: Found | null, now: Moment) => Change<Result>

  async function change<Result>(uid: Uid, decide: Decide<Result>): Promise<Result> {
    for (let tries = 0; tries < UNLOCKED_TRIES; tries += 1) {
      const seen = await one(read, uid)
      const wanted = decide(seen.found, seen.now)
      const written = await put(write, seen.found, wanted).catch((error: unknown) => {
        if (isConflict(error)) return false
        throw error
      })
      if (written) return told(wanted)
    }
    return changeLocked(uid, decide)
  }

  const changeLocked = <Result>(uid: Uid, decide: Decide<Result>): Promise<Result> =>
    inTransaction(async (ask) => {
      // Read by a statement of its own: one that waited for the lock would see the row's company as it was before.
      const [, seen] = await Promise.all([ask(sql.lock, [uid]), one(ask, uid)])
      const wanted = decide(seen.found, seen.now)
      return (await put(ask, seen.found, wanted)) ? wanted : null
    })

  async function twinOf(
    ask: Ask,
    client: ClientId,
    refreshToken: Fingerprint | null,
    except: Uid | '',
  ): Promise<ConnectionId | null> {
    if (refreshToken === null) return null
    const [record] = await ask(sql.twin, [client, refreshToken, except])
    return record === undefined ? null : (text(record, 'id') as ConnectionId)
  }

  /** Of two who are about to write the same refresh token, one after the other looks whether it is there. */
  async function lockToken(ask: Ask, refreshToken: Fingerprint | null): Promise<void> {
    if (refreshToken !== null) await ask(sql.lockToken, [`tokenkeep ${database.schema} ${refreshToken}`])
  }

  async function neighboursOf(ask: Ask, born: Parameters<Rows['insert']>[0]): Promise<Neighbours | null> {
    const [[record], living, twin] = await Promise.all([
      ask(sql.termsOf, [born.client]),
      ask(sql.byId, [born.id]),
      twinOf(ask, born.client, born.refreshToken, ''),
    ])
    if (record === undefined) return null
    return {
      provider: terms.provider(text(record, 'provider'), record),
      client: terms.client(record),
      hold: holdIn(record),
      living: foundIn(living)[0] ?? null,
      twin,
    }
  }

  /** One round: those that another process claimed meanwhile are `lost`, and not waited for. */
  async function claim<Result>(
    limit: number,
    except: readonly ProviderId[],
    decide: (found: Found, now: Moment) => Change<Result>,
  ): Promise<{ readonly claimed: readonly Result[]; readonly lost: number }> {
    const records = await read(sql.due, [storeNow === undefined ? null : storeNow().wall, except, limit])
    const [record] = records
    if (record === undefined) return { claimed: [], lost: 0 }
    const at = nowIn(record)
    const claims = await Promise.allSettled(
      foundIn(records).map(async (found) => {
        const wanted = decide(found, at)
        return (await put(write, found, wanted, 'skip_locked')) ? [told(wanted)] : []
      }),
    )
    const failed = claims.find((each) => each.status === 'rejected')
    const claimed = claims.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
    // What was claimed is done now, whatever became of the others: they are due again at once.
    if (failed !== undefined && claimed.length === 0) throw failed.reason
    return { claimed, lost: failed === undefined ? claims.length - claimed.length : 0 }
  }

  /** Planned with its values: how many rows a limit lets through decides how they are joined. */
  const ask = ({ text: page, values }: Page): Promise<readonly CellRecord[]> => read(passing(page), values)

  return {
    incarnation: postgresIncarnation({ database, now }),
    uidsAfter: async (uid, limit) => (await read(sql.uids, [uid ?? '', limit])).map((each) => text(each, 'uid') as Uid),
    byId: async (id) => {
      const records = await read(sql.byId, [id])
      const [record] = records
      const [found] = foundIn(records)
      if (record !== undefined && found !== undefined) return { found, now: nowIn(record) }
      return (await read(sql.tombstone, [id])).length === 0 ? 'unknown' : 'erased'
    },
    page: async (query) => {
      const at = await now(read)
      const { records, next } = await pageBy({ queries: sql.walk, ask, now: at.wall }, query)
      return { found: foundIn(records), now: at, next }
    },
    overview: async (labels) => overviewBy({ queries: sql.overview, ask, now: await now(read) }, labels),
    otherThan: async (uids) =>
      many(await read(sql.other, [uids.map(([uid]) => uid), uids.map(([, revision]) => revision)])),
    withOpenAttemptOf: async (owner) => many(await read(sql.attempts, [owner])),
    presentedByOthers: async (owner) => (await read(sql.elsewhere, [owner])).map(readOpenElsewhere),
    history: async (id, limit) => (await read(sql.history, [id, limit])).map(readPresentation),

    change,
    changeGrant: (uid, refreshToken, decide) =>
      inTransaction(async (ask) => {
        await lockToken(ask, refreshToken)
        const seen = await one(ask, uid)
        const { found } = seen
        const twin = found === null ? null : await twinOf(ask, found.row.client, refreshToken, uid)
        const wanted = decide(found === null ? null : { ...found, twin }, seen.now)
        return (await put(ask, found, wanted)) ? wanted : null
      }),
    insert: (born, decide) =>
      inTransaction(async (ask) => {
        await lockToken(ask, born.refreshToken)
        const [neighbours, at] = await Promise.all([neighboursOf(ask, born), now(ask)])
        const wanted = decide(neighbours, at)
        return (await put(ask, null, wanted)) ? wanted : null
      }),
    changeDue: async ({ limit, except }, decide) => {
      const done: ReturnType<typeof decide>['result'][] = []
      for (let rounds = 0; rounds < CLAIM_ROUNDS && done.length < limit; rounds += 1) {
        const { claimed, lost } = await claim(limit - done.length, except, decide)
        done.push(...claimed)
        if (lost === 0) break
      }
      return done
    },
    forget: async (before) => {
      const { statement: text, values } = writer.forget(before(await now(read)))
      await write(text, values)
    },
  }
}
