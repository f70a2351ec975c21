/** One session of a Postgres server: what is asked, and what its end means. The driver is loaded when the first is opened. */
import type { Socket } from 'node:net'
import type { Client, QueryConfig, QueryResult } from 'pg'
import type { Cell, CellRecord } from './cells.ts'
import { atConnecting, isSessionEnd, whileInUse } from './postgres-failures.ts'

/** What a statement takes. Lists become arrays. */
export type PostgresCell = Cell | readonly (string | number)[]

export interface Answered {
  readonly records: readonly CellRecord[]
  /** `COMMIT`, `SELECT`, ...: the word by which the server says what it did. */
  readonly command: string
}

export interface PostgresSession {
  /**
   * Sent at once; several are answered in order, without waiting for each other.
   *
   * @param name keeps the statement prepared under it; absent: not kept
   * @param mostMs how long its answer may take; absent: as long as statements of ours do
   * @throws PostgresTrouble
   */
  ask(text: string, values?: readonly PostgresCell[], name?: string, mostMs?: number): Promise<Answered>
  /** The server's process, as the handshake named it. */
  readonly processId: number | null
  /** No transaction is open, and it was not lost. */
  isIdle(): boolean
  /** Whether it keeps this process alive. */
  hold(alive: boolean): void
  onNotification(hear: (payload: string) => void): void
  /** Resolves when it is over, whoever ended it; `ours`: we did. */
  readonly over: Promise<'ours' | 'lost'>
  close(): Promise<void>
}

export interface SessionOptions {
  readonly connectionString: string
  /** For messages. */
  readonly name: string
}

/** A host that is gone says nothing; the callers of a token wait for 20 s at most. */
const CONNECT_MOST_MS = 5_000
/** Our statements take milliseconds. Whatever takes longer is stuck: behind a lock, a full disk, a cut cable. */
const ANSWER_MOST_MS = 5_000
const CLOSE_MOST_MS = 1_000
const KEEP_ALIVE_AFTER_MS = 10_000

/** @throws PostgresTrouble `store_unavailable`, `database_unusable` */
export async function openPostgresSession({ connectionString, name }: SessionOptions): Promise<PostgresSession> {
  const { Client, types } = await import('pg')
  const client = makeClient(Client, name, {
    connectionString,
    application_name: 'tokenkeep',
    connectionTimeoutMillis: CONNECT_MOST_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    pipeline: true,
  })
  // Counters and epoch milliseconds are far below 2 ** 53.
  client.setTypeParser(types.builtins.INT8, Number)
  const { promise: over, resolve: end } = Promise.withResolvers<'ours' | 'lost'>()
  let ours = false
  let ended = false
  const finish = (): void => {
    ended = true
    end(ours ? 'ours' : 'lost')
  }
  // Without a listener an error would end the process; what it means is told by whoever was asking.
  client.on('error', finish)
  client.on('end', finish)
  try {
    await client.connect()
  } catch (error) {
    ours = true
    void client.end().catch(() => undefined)
    throw atConnecting(error, name)
  }
  return {
    ask: async (text, values, statement, mostMs = ANSWER_MOST_MS) => {
      // Nobody waits for the answer of a session that is over.
      if (ended) throw whileInUse(null, name)
      try {
        const asked: Asked = {
          text,
          query_timeout: mostMs,
          ...(values === undefined ? {} : { values: values.map(bindable) }),
          ...(statement === undefined ? {} : { name: statement }),
        }
        const result = await client.query<CellRecord>(asked)
        return lastOf(result)
      } catch (error) {
        const trouble = whileInUse(error, name)
        // The driver says later that it is over, and by then it may have been lent again, or closed by us.
        if (isSessionEnd(trouble)) {
          finish()
          socketOf(client).destroy()
        }
        throw trouble
      }
    },
    processId: (client as Client & { readonly processID?: number | null }).processID ?? null,
    isIdle: () => !ended && client.getTransactionStatus() === 'I',
    hold: (alive) => {
      if (alive) socketOf(client).ref()
      else socketOf(client).unref()
    },
    onNotification: (hear) => void client.on('notification', ({ payload }) => hear(payload ?? '')),
    over,
    close: async () => {
      ours = true
      // A server that is gone does not answer a farewell either.
      const timer = setTimeout(() => socketOf(client).destroy(), CLOSE_MOST_MS)
      await client.end().catch(() => undefined)
      clearTimeout(timer)
      finish()
    },
  }
}

/** TLS replaces it once, while connecting. */
const socketOf = (client: Client): Socket => (client.connection as unknown as { readonly stream: Socket }).stream

/** The driver reads one member more than its types say. */
type Asked = QueryConfig & { readonly query_timeout: number }

type Settings = NonNullable<ConstructorParameters<typeof Client>[0]>

function makeClient(make: typeof Client, name: string, settings: Settings): Client {
  try {
    return new make(settings)
  } catch (error) {
    // A parameter of the URL that names a file that cannot be read, for example.
    throw atConnecting(error, name)
  }
}

/** Postgres keeps no zero character in a text. An answer that holds one is kept without it rather than lost. */
const bindable = (value: PostgresCell): PostgresCell =>
  typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value

/** Of several statements in one text the driver answers with a list. */
function lastOf(result: QueryResult<CellRecord> | QueryResult<CellRecord>[]): Answered {
  const last = Array.isArray(result) ? result.at(-1) : result
  return { records: last?.rows ?? [], command: last?.command ?? '' }
}
