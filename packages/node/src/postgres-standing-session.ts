/**
 * The one session that a process keeps open as long as it lives: for what belongs to a session and not to the database.
 * Lost, it is opened again.
 */
import { ms, type Clock } from '@tokenkeep/core'
import type { PostgresPool } from './postgres-pool.ts'
import type { PostgresSession } from './postgres-session.ts'

/** What lives in it. */
export interface SessionBound {
  /** In each new session, before it is relied on; a failure ends that session, and another one is opened. */
  begin(session: PostgresSession): Promise<void>
  /** It was lost. */
  end(): void
}

export interface StandingSession {
  close(): Promise<void>
}

export interface StandingSessionOptions {
  readonly pool: Pick<PostgresPool, 'dedicated' | 'pooled'>
  readonly bound: readonly SessionBound[]
  /** Its alarms keep no process alive. */
  readonly background: Pick<Clock, 'alarm'>
}

const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 5_000

/**
 * Opens it. Behind a pooler there is none: whatever is done in a session there may be done in that of another.
 *
 * @throws TokenError `store_unavailable`
 */
export async function openStandingSession(options: StandingSessionOptions): Promise<StandingSession> {
  const { pool, bound, background } = options
  let session: PostgresSession | null = null
  let closed = false

  async function open(): Promise<void> {
    const opened = await pool.dedicated()
    opened.hold(false)
    try {
      if (!closed && !pool.pooled) for (const each of bound) await each.begin(opened)
    } catch (error) {
      for (const each of bound) each.end()
      await opened.close()
      throw error
    }
    if (closed || pool.pooled) return opened.close()
    session = opened
    void opened.over.then(lost)
  }

  function lost(): void {
    session = null
    for (const each of bound) each.end()
    if (!closed) void openAgain()
  }

  async function openAgain(): Promise<void> {
    let waitMs = RETRY_FIRST_MS
    while (!closed && !pool.pooled) {
      await background.alarm(ms(waitMs)).rung
      try {
        if (!closed) await open()
        // One that is lost again begins a loop of its own.
        return
      } catch {
        // Whoever reads or writes says itself what is wrong.
        waitMs = Math.min(waitMs * 2, RETRY_MOST_MS)
      }
    }
  }

  await open()
  return {
    close: async () => {
      closed = true
      await session?.close()
    },
  }
}
