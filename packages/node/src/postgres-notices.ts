/**
 * Hears by `LISTEN` what other processes wrote, and says by `NOTIFY` what this one did.
 *
 * It only wakes: the truth is the revision of a row, which is polled. So the notice goes out after the commit and not inside
 * of it: transactions that notify commit one after another, server-wide, and each would wait for the sync of all before it.
 */
import { ms, type Clock, type Notices, type Uid } from '@tokenkeep/core'
import { createNoticeBoard } from './notice-board.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import type { PostgresSession } from './postgres-session.ts'

export interface PostgresNotices {
  readonly notices: Notices
  /** This process wrote to this connection. */
  tell(uid: Uid): void
  /** Whether others are heard; false while the session is lost, and always behind a pooler. */
  isListening(): boolean
  close(): Promise<void>
}

export interface PostgresNoticesOptions {
  readonly database: Pick<PostgresDatabase, 'pool' | 'schema'>
  /** Its alarms keep no process alive. */
  readonly background: Pick<Clock, 'alarm'>
  /** Names this process, so that it does not hear itself. */
  readonly sender: string
}

/** A payload holds 8000 bytes: https://www.postgresql.org/docs/current/sql-notify.html. */
const UIDS_IN_ONE = 100
const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5_000

/** @throws TokenError `store_unavailable` */
export async function openPostgresNotices(options: PostgresNoticesOptions): Promise<PostgresNotices> {
  const { database, background, sender } = options
  const { pool } = database
  const channel = `tokenkeep_${database.schema}`.slice(0, 63)
  const board = createNoticeBoard()
  const written = new Set<Uid>()
  let session: PostgresSession | null = null
  let closed = false

  async function listen(): Promise<void> {
    const opened = await pool.dedicated()
    if (closed || pool.pooled) return opened.close()
    opened.hold(false)
    opened.onNotification(hear)
    try {
      await opened.ask(`LISTEN "${channel}"`)
    } catch (error) {
      await opened.close()
      throw error
    }
    session = opened
    void opened.over.then(() => {
      session = null
      if (!closed) void listenAgain()
    })
  }

  async function listenAgain(): Promise<void> {
    for (
      let waitMs = RETRY_FIRST_MS;
      !closed && session === null && !pool.pooled;
      waitMs = Math.min(waitMs * 2, RETRY_MOST_MS)
    ) {
      await background.alarm(ms(waitMs)).rung
      // It says itself what is wrong to whoever reads or writes.
      await listen().catch(() => undefined)
    }
    // Nobody knows what was said meanwhile.
    if (session !== null) board.post('unknown')
  }

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

  await listen()
  return {
    notices: board.notices,
    tell: (uid) => {
      if (session === null) return
      if (written.size === 0) setImmediate(say)
      written.add(uid)
    },
    isListening: () => session !== null,
    close: async () => {
      closed = true
      await session?.close()
    },
  }
}
