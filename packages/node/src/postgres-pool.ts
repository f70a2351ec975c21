/**
 * The sessions of one process: a few, opened when they are needed, and what they say about the life of the server.
 *
 * A session that is lost may have taken with it what was believed to be durable: then `life` changes, and whoever was
 * about to send by an older one sends nothing.
 */
import { TokenError, type Random } from '@tokenkeep/core'
import { integer, text } from './cells.ts'
import { openPostgresSession, type PostgresSession, type SessionOptions } from './postgres-session.ts'

export interface PostgresPool {
  /** Another one after every session that was lost, and for every other server or other start of one. */
  readonly life: string
  /** Something between us and the server hands its sessions around: what belongs to a session cannot be relied on. */
  readonly pooled: boolean
  /** Lends a session for the length of `job`, which leaves no transaction open. */
  run<Result>(job: (session: PostgresSession) => Promise<Result>): Promise<Result>
  /** A session outside of the pool, for what lasts. Whoever opens it closes it. */
  dedicated(): Promise<PostgresSession>
  close(): Promise<void>
}

export interface PoolOptions extends SessionOptions {
  readonly random: Pick<Random, 'uuid'>
  readonly sessionsMost?: number
}

/** Commits of sessions that wait together are synced together, and more gain little: a host has few disks. */
const SESSIONS_MOST = 8
/** A server counts its sessions: what nobody needs is given back. */
const IDLE_MOST_MS = 30_000
/** As long as one statement may take: who waits for longer waits for a server that is stuck. */
const WAIT_MOST_MS = 5_000

const HANDSHAKE = 'SELECT pg_backend_pid() AS process_id, pg_postmaster_start_time()::text AS started'

interface Waiter {
  readonly take: (session: PostgresSession | null) => void
  readonly refuse: (error: TokenError) => void
}

export function createPostgresPool(options: PoolOptions): PostgresPool {
  const { name, random, sessionsMost = SESSIONS_MOST } = options
  const idle: { readonly session: PostgresSession; readonly timer: NodeJS.Timeout }[] = []
  const all = new Set<PostgresSession>()
  const waiting: Waiter[] = []
  let opening = 0
  let closed = false
  let pooled = false
  let started: string | null = null
  let life = random.uuid()

  async function open(): Promise<PostgresSession> {
    const session = await openPostgresSession(options)
    void session.over.then((how) => {
      if (how === 'lost') life = random.uuid()
    })
    const { records } = await session.ask(HANDSHAKE).catch(async (error: unknown) => {
      await session.close()
      throw error
    })
    if (closed) {
      await session.close()
      throw closedError(name)
    }
    const [record = {}] = records
    if (integer(record, 'process_id') !== session.processId) pooled = true
    const start = text(record, 'started')
    if (started !== null && started !== start) life = random.uuid()
    started = start
    return session
  }

  function dropIdle(session: PostgresSession): void {
    const index = idle.findIndex((each) => each.session === session)
    if (index === -1) return
    const [dropped] = idle.splice(index, 1)
    clearTimeout(dropped?.timer)
  }

  /** The one that was used last, so that those that are not needed stay idle and end. */
  function takeIdle(): PostgresSession | null {
    const last = idle.pop()
    if (last === undefined) return null
    clearTimeout(last.timer)
    last.session.hold(true)
    return last.session
  }

  async function lend(): Promise<PostgresSession> {
    if (closed) throw closedError(name)
    const ready = takeIdle()
    if (ready !== null) return ready
    if (all.size + opening >= sessionsMost) {
      const handed = await turn()
      if (handed !== null) return handed
    }
    opening += 1
    try {
      const session = await open()
      all.add(session)
      void session.over.then(() => {
        all.delete(session)
        dropIdle(session)
      })
      return session
    } catch (error) {
      // Whoever waits for a session would wait for one that never comes.
      waiting.shift()?.take(null)
      throw error
    } finally {
      opening -= 1
    }
  }

  /** Null: none was left, but there is room to open one. */
  function turn(): Promise<PostgresSession | null> {
    const { promise, resolve, reject } = Promise.withResolvers<PostgresSession | null>()
    const waiter: Waiter = {
      take: (session) => {
        clearTimeout(timer)
        resolve(session)
      },
      refuse: (error) => {
        clearTimeout(timer)
        reject(error)
      },
    }
    const timer = setTimeout(() => {
      waiting.splice(waiting.indexOf(waiter), 1)
      const words = `the database ${name} cannot be used now: all sessions are busy, and none ended in time`
      // No trouble of a session: asking again at once would only wait again.
      reject(new TokenError('store_unavailable', words))
    }, WAIT_MOST_MS)
    waiting.push(waiter)
    return promise
  }

  function giveBack(session: PostgresSession): void {
    const usable = all.has(session) && session.isIdle() && !closed
    if (!usable) {
      void session.close()
      // Its place is free as soon as it has ended; whoever waits opens another.
      void session.over.then(() => waiting.shift()?.take(null))
      return
    }
    const next = waiting.shift()
    if (next !== undefined) return next.take(session)
    session.hold(false)
    const timer = setTimeout(() => {
      dropIdle(session)
      void session.close()
    }, IDLE_MOST_MS)
    timer.unref()
    idle.push({ session, timer })
  }

  return {
    get life() {
      return life
    },
    get pooled() {
      return pooled
    },
    run: async (job) => {
      const session = await lend()
      try {
        return await job(session)
      } finally {
        giveBack(session)
      }
    },
    dedicated: open,
    close: async () => {
      closed = true
      for (const waiter of waiting.splice(0)) waiter.refuse(closedError(name))
      const ending = idle.map(({ session }) => session)
      for (const session of ending) dropIdle(session)
      await Promise.all(ending.map((session) => session.close()))
    },
  }
}

const closedError = (name: string): TokenError => new TokenError('closed', `the database ${name} is closed`)
