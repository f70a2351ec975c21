/**
 * Hears by `LISTEN` what other processes wrote, and says by `NOTIFY` what this one did, both in its standing session.
 *
 * It only wakes: the truth is the revision of a row, which is polled. So the notice goes out after the commit and not inside
 * of it: transactions that notify commit one after another, server-wide, and each would wait for the sync of all before it.
 */
import type { Notices, Uid } from '@tokenkeep/core'
import { createNoticeBoard } from './notice-board.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import type { PostgresSession } from './postgres-session.ts'
import type { SessionBound } from './postgres-standing-session.ts'

export interface PostgresNotices extends SessionBound {
  readonly notices: Notices
  /** This process wrote to this connection. */
  tell(uid: Uid): void
  /** Whether others are heard; false while the session is lost, and always behind a pooler. */
  isListening(): boolean
}

export interface PostgresNoticesOptions {
  readonly database: Pick<PostgresDatabase, 'schema'>
  /** Names this process, so that it does not hear itself. */
  readonly sender: string
}

/** A payload holds 8000 bytes: https://www.postgresql.org/docs/current/sql-notify.html. */
const UIDS_IN_ONE = 100

export function postgresNotices({ database, sender }: PostgresNoticesOptions): PostgresNotices {
  const channel = `tokenkeep_${database.schema}`.slice(0, 63)
  const board = createNoticeBoard()
  const written = new Set<Uid>()
  let session: PostgresSession | null = null
  let heardBefore = false

  function hear(payload: string): void {
    const [from, ...uids] = payload.split(' ')
    if (from === sender) return
    for (const uid of uids) board.post(uid as Uid)
  }

  function say(): void {
    const uids = [...written]
    written.clear()
    for (let from = 0; from < uids.length; from += UIDS_IN_ONE) {
      const payload = [sender, ...uids.slice(from, from + UIDS_IN_ONE)].join(' ')
      // Lost with its session: then others see it when they poll.
      void session?.ask('SELECT pg_notify($1, $2)', [channel, payload], 'tokenkeep_notify').catch(() => undefined)
    }
  }

  return {
    notices: board.notices,
    async begin(opened) {
      opened.onNotification(hear)
      await opened.ask(`LISTEN "${channel}"`)
      session = opened
      // Nobody knows what was said while there was none.
      if (heardBefore) board.post('unknown')
      heardBefore = true
    },
    end: () => void (session = null),
    tell: (uid) => {
      if (session === null) return
      if (written.size === 0) setImmediate(say)
      written.add(uid)
    },
    isListening: () => session !== null,
  }
}
