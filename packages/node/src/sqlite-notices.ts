/**
 * Hears of other connections' writes to a SQLite database: `PRAGMA data_version` changes with each of their commits, and
 * with none of ours. It names nothing, cannot ring by itself, and costs a few microseconds to look at.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Alarm, Clock, DurationMs, Listener, Notices } from '@tokenkeep/core'

export interface SqliteNoticesOptions {
  readonly sql: DatabaseSync
  /** Its alarms keep no process alive. */
  readonly background: Pick<Clock, 'alarm'>
}

/** @see https://www.sqlite.org/pragma.html#pragma_data_version */
export function sqliteNotices({ sql, background }: SqliteNoticesOptions): Notices {
  const statement = sql.prepare('PRAGMA data_version')
  /** Null where the database is locked, closed or away: whoever reads it will be told so. */
  const version = (): unknown => {
    try {
      return statement.get()?.['data_version'] ?? null
    } catch {
      return null
    }
  }

  return {
    listen(): Listener {
      let seen = version()
      let closed = false
      const isNew = (now: unknown): boolean => now !== null && now !== seen
      return {
        bell(lookEveryMs: DurationMs): Alarm {
          const { promise, resolve } = Promise.withResolvers<void>()
          let next: Alarm | null = null
          let silent = false
          const look = (): void => {
            if (silent || closed) return
            if (isNew(version())) return resolve()
            next = background.alarm(lookEveryMs)
            void next.rung.then(look)
          }
          look()
          return {
            rung: promise,
            cancel() {
              silent = true
              next?.cancel()
            },
          }
        },
        take() {
          const now = version()
          if (closed || !isNew(now)) return []
          seen = now
          return 'unknown'
        },
        close() {
          closed = true
        },
      }
    },
  }
}
