/**
 * Group commit: what is written in one turn of the event loop becomes durable in one transaction.
 *
 * A sync to disk costs the same for one write as for many, and a store that syncs for each refresh is slower than the
 * network. Nobody is told before COMMIT has returned. A write that fails fails alone; a COMMIT that fails fails all.
 */
import type { DatabaseSync } from 'node:sqlite'
import { TokenError, ms, since, type Clock, type MonoMs, type Random } from '@tokenkeep/core'
import { isBusy, whileInUse } from './sqlite-failures.ts'

export interface GroupCommit {
  /** Runs `job` inside the next transaction; it may run again where SQLite undid a transaction. */
  write<Result>(job: () => Result): Promise<Result>
  /** Transactions committed so far. */
  committed(): number
  /** Resolves when nothing is queued any more; what comes later is refused with `closed`. */
  close(): Promise<void>
}

interface Job {
  readonly run: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  readonly queuedAt: MonoMs
}

// More would hold up the event loop for longer than one sync costs.
const BATCH_MOST = 256
// Another process writes for well under a millisecond; only a stopped or foreign program holds the lock for long.
const BUSY_MOST_MS = 5_000
const BUSY_PAUSE_MS = 25

export interface GroupCommitOptions {
  readonly sql: DatabaseSync
  /** For messages. */
  readonly path: string
  readonly clock: Pick<Clock, 'now' | 'alarm'>
  readonly random: Pick<Random, 'fraction'>
  /** Throws where nothing may be written now; asked before each transaction. */
  readonly before: () => void
  /** The same, asked inside of each transaction, and may write. */
  readonly first: () => void
}

export function groupCommit({ sql, path, clock, random, before, first }: GroupCommitOptions): GroupCommit {
  const begin = sql.prepare('BEGIN IMMEDIATE')
  const commit = sql.prepare('COMMIT')
  const rollback = sql.prepare('ROLLBACK')
  const save = sql.prepare('SAVEPOINT job')
  const release = sql.prepare('RELEASE job')
  const undo = sql.prepare('ROLLBACK TO job')
  const queue: Job[] = []
  const idle: (() => void)[] = []
  let scheduled = false
  let closed = false
  let transactions = 0

  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    setImmediate(flush)
  }

  function flush(): void {
    scheduled = false
    try {
      before()
      begin.run()
      first()
    } catch (error) {
      giveUp()
      if (isBusy(error)) void waitForLock(error)
      else failAll(queue.splice(0), error)
      return settle()
    }
    const batch = queue.splice(0, BATCH_MOST)
    try {
      runBatch(batch)
    } catch (error) {
      // Not even undoing worked. Nothing was committed, and thrown from here it would end the process.
      giveUp()
      failAll(batch, error)
    }
    settle()
  }

  const giveUp = (): void => {
    try {
      if (sql.isTransaction) rollback.run()
    } catch {
      // SQLite undoes it when the database is opened next.
    }
  }

  const settle = (): void => {
    if (queue.length > 0) schedule()
    else if (!scheduled) for (const done of idle.splice(0)) done()
  }

  function runBatch(batch: readonly Job[]): void {
    const done: { job: Job; result: unknown }[] = []
    for (const [index, job] of batch.entries()) {
      save.run()
      try {
        done.push({ job, result: job.run() })
        release.run()
      } catch (error) {
        if (done.at(-1)?.job === job) done.pop()
        if (!sql.isTransaction) {
          // A full disk makes SQLite undo the whole transaction. The others did no wrong: they run again.
          queue.unshift(...done.map((each) => each.job), ...batch.slice(index + 1))
          job.reject(whileInUse(error, path))
          return
        }
        undo.run()
        release.run()
        job.reject(whileInUse(error, path))
      }
    }
    try {
      commit.run()
    } catch (error) {
      if (sql.isTransaction) rollback.run()
      failAll(
        done.map((each) => each.job),
        error,
      )
      return
    }
    transactions += 1
    for (const { job, result } of done) job.resolve(result)
  }

  function failAll(jobs: readonly Job[], error: unknown): void {
    const failure = whileInUse(error, path)
    for (const job of jobs) job.reject(failure)
  }

  /** Somebody else writes. The wait is jittered, so that two who wait do not meet again and again. */
  async function waitForLock(error: unknown): Promise<void> {
    scheduled = true
    const { mono } = clock.now()
    const patient = queue.findIndex((job) => since(job.queuedAt, mono) < BUSY_MOST_MS)
    failAll(queue.splice(0, patient === -1 ? queue.length : patient), error)
    if (queue.length > 0) await clock.alarm(ms(1 + random.fraction() * BUSY_PAUSE_MS)).rung
    scheduled = false
    settle()
  }

  return {
    write: <Result>(job: () => Result) =>
      new Promise<Result>((resolve, reject) => {
        if (closed) return reject(new TokenError('closed', `the database ${path} is closed`))
        queue.push({
          run: job,
          resolve: (result) => resolve(result as Result),
          reject,
          queuedAt: clock.now().mono,
        })
        schedule()
      }),
    committed: () => transactions,
    close: () => {
      closed = true
      return new Promise((resolve) => {
        if (queue.length === 0 && !scheduled) resolve()
        else idle.push(resolve)
      })
    },
  }
}
