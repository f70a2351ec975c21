/** One Postgres server in a temporary folder: started, stopped, killed and started again on the same data. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { Client, type QueryResult } from 'pg'
import { installBinaries, packaged, postgresMissing } from './binaries.ts'
import { watchOver } from './watchdog.ts'

export interface StartOptions {
  /**
   * False: `fsync=off`. A killed server still recovers every commit from its log, which the kernel holds; only a crash of
   * the machine would lose some. True where absent.
   */
  readonly fsync?: boolean
  /** More settings of the server, for example `{ max_prepared_transactions: '10' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer extends AsyncDisposable {
  /** On 127.0.0.1; the same after every start. */
  readonly port: number
  /** The folder of the Unix socket. */
  readonly socketFolder: string
  /** For the database `postgres`, as superuser. */
  readonly adminUrl: string
  /**
   * Makes a database, and a role that owns it and may do nothing else. Its name and password stand in the URL.
   *
   * @returns `postgres://keeper_1:...@127.0.0.1:port/tokenkeep_1`
   */
  createDatabase(): Promise<string>
  /** Runs statements as superuser, and returns what the last of them did. */
  admin(sql: string, database?: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** `fast`: ends sessions and writes a checkpoint. `immediate`: as a crash; the log is replayed at the next start. */
  stop(mode: 'fast' | 'immediate'): Promise<void>
  /** SIGKILL to the postmaster alone, as the kernel does when memory runs out. */
  kill(): Promise<void>
  /** On the same data and port. Does nothing where it runs. */
  start(): Promise<void>
  /** The last lines of its log, for a test that wonders. */
  log(): string
}

interface User {
  readonly uid: number
  readonly gid: number
}

type Result = QueryResult<Record<string, unknown>>

const SUPERUSER = 'postgres'
const START_LIMIT_MS = 60_000
const POLL_MS = 20
const STOP_SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/**
 * Starts a server in a new temporary folder. It goes, with all its data, when it is disposed or this process ends.
 *
 * @throws Error where this machine has no binaries: ask `postgresMissing` first
 */
export async function startPostgres(options: StartOptions = {}): Promise<PostgresServer> {
  const native = packaged()
  if (native === null) throw new Error(postgresMissing() ?? 'the Postgres binaries are gone')
  const user = unprivileged()
  const folder = mkdtempSync(join(tmpdir(), 'tkpg-'))
  const own = (path: string): void => {
    if (user !== null) chownSync(path, user.uid, user.gid)
  }
  own(folder)
  chmodSync(folder, 0o755)
  installBinaries(native, folder)

  const data = join(folder, 'data')
  const socketFolder = join(folder, 's')
  const logFile = join(folder, 'log')
  const password = randomBytes(12).toString('hex')
  mkdirSync(socketFolder)
  own(socketFolder)
  closeSync(openSync(logFile, 'a'))
  own(logFile)
  initialise({ folder, data, password, user, own })

  const port = await freePort()
  const adminUrl = urlFor(SUPERUSER, password, port, 'postgres')
  let running: ChildProcess | null = null
  let databases = 0

  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    const child = running
    if (child === null) return
    running = null
    // Somebody waits for it now, and nothing else may keep this process alive so long.
    child.ref()
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
  const log = (): string => readFileSync(logFile, 'utf8').split('\n').slice(-40).join('\n')

  async function start(): Promise<void> {
    if (running !== null) return
    const until = performance.now() + START_LIMIT_MS
    while (performance.now() < until) {
      const child = launch({ folder, data, socketFolder, logFile, port, user, options })
      if (await accepts(child, adminUrl)) {
        running = child
        return
      }
      // After a kill of the postmaster its children hold the shared memory until they notice.
      await pause(POLL_MS)
    }
    throw new Error(`Postgres does not start:\n${log()}`)
  }

  const admin = async (sql: string, database = 'postgres') => {
    const client = new Client({ connectionString: urlFor(SUPERUSER, password, port, database) })
    await client.connect()
    try {
      const result = (await client.query(sql)) as Result | readonly Result[]
      return ('rows' in result ? result : result.at(-1))?.rows ?? []
    } finally {
      await client.end()
    }
  }

  const forget = watchOver(folder)

  const server: PostgresServer = {
    port,
    socketFolder,
    adminUrl,
    admin,
    createDatabase: async () => {
      databases += 1
      const [role, database, secret] = [
        `keeper_${databases}`,
        `tokenkeep_${databases}`,
        randomBytes(12).toString('hex'),
      ]
      await admin(`CREATE ROLE ${role} LOGIN PASSWORD '${secret}'`)
      await admin(`CREATE DATABASE ${database} OWNER ${role}`)
      return urlFor(role, secret, port, database)
    },
    stop: (mode) => ended(STOP_SIGNALS[mode]),
    kill: () => ended('SIGKILL'),
    start,
    log,
    [Symbol.asyncDispose]: async () => {
      await ended('SIGQUIT')
      remove(folder)
      forget()
    },
  }
  try {
    await start()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

const urlFor = (user: string, password: string, port: number, database: string): string =>
  `postgres://${user}:${password}@127.0.0.1:${port}/${database}`

const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true, maxRetries: 10 })

/** Postgres refuses to run as root. */
function unprivileged(): User | null {
  if (process.getuid?.() !== 0) return null
  const [, , uid, gid] = /^nobody:.*$/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0].split(':') ?? []
  if (uid === undefined || gid === undefined) throw new Error('there is no user "nobody" to run Postgres as')
  return { uid: Number(uid), gid: Number(gid) }
}

function initialise(place: {
  readonly folder: string
  readonly data: string
  readonly password: string
  readonly user: User | null
  readonly own: (path: string) => void
}): void {
  const { folder, data, password, user, own } = place
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  own(passwordFile)
  const args = ['-D', data, '-U', SUPERUSER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--no-sync']
  const { status, stdout, stderr, error } = spawnSync(
    join(folder, 'bin', 'initdb'),
    [...args, '--no-instructions', '--encoding=UTF8', '--locale=C'],
    { ...user, cwd: folder, encoding: 'utf8', env: environment(folder) },
  )
  if (status !== 0) throw new Error(`initdb failed: ${error?.message ?? stdout + stderr}`)
}

interface Launch {
  readonly folder: string
  readonly data: string
  readonly socketFolder: string
  readonly logFile: string
  readonly port: number
  readonly user: User | null
  readonly options: StartOptions
}

function launch({ folder, data, socketFolder, logFile, port, user, options }: Launch): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: socketFolder,
    fsync: options.fsync === false ? 'off' : 'on',
    // A handful of small tables and many short sessions.
    shared_buffers: '16MB',
    max_connections: '120',
    wal_level: 'minimal',
    max_wal_senders: '0',
    autovacuum: 'off',
    ...options.settings,
  }
  const log = openSync(logFile, 'a')
  const child = spawn(
    join(folder, 'bin', 'postgres'),
    ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...user, cwd: folder, env: environment(folder), stdio: ['ignore', log, log] },
  )
  closeSync(log)
  // A test that forgot to end it is not kept alive by it.
  child.unref()
  child.on('error', () => undefined)
  return child
}

/** Nothing of ours: PGHOST and its like would change what the binaries do. */
const environment = (folder: string): NodeJS.ProcessEnv => ({
  TZ: 'UTC',
  LC_ALL: 'C',
  HOME: folder,
  PATH: process.env['PATH'],
})

/** Whether it takes sessions; false where it ended instead. */
async function accepts(child: ChildProcess, url: string): Promise<boolean> {
  const until = performance.now() + START_LIMIT_MS
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const client = new Client({ connectionString: url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.end()
      return true
    } catch {
      await client.end().catch(() => undefined)
      if (performance.now() >= until) {
        child.kill('SIGKILL')
        return false
      }
      await pause(POLL_MS)
    }
  }
  return false
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
