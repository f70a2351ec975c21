/** A Keycloak of our own: fetched once, started on loopback with an empty database, killed and started again on order. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'

export const KEYCLOAK_VERSION = '26.7.3'
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:tar.gz`
const ARCHIVE = `keycloak-quarkus-dist-${KEYCLOAK_VERSION}.tar.gz`
/** Of the archive, SHA-256. Whatever else is served under its name is not started. */
const CHECKSUM = '77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47'
/** The first start builds it: a minute on two cores, and many where they have other work. */
const READY_WITHIN_MS = 900_000
const BETWEEN_LOOKS_MS = 250
const HEAP = '-Xms128m -Xmx640m'

export const ADMIN = { username: 'admin', password: 'admin' } as const

export interface Keycloak {
  /** Without a slash at the end. */
  readonly url: string
  /** Ends it as a power cut would, and starts it again on the same port and database. */
  readonly crash: (meanwhile: () => Promise<void>) => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * Brings the distribution by Maven, which checks it by what Maven Central says, and unpacks it; once for each cache.
 *
 * @returns the folder that it was unpacked into
 * @throws Error one sentence: Maven could not bring it, or it is not the one that is expected
 */
export async function fetchKeycloak(cache: string, say: (line: string) => void): Promise<string> {
  const home = join(cache, `keycloak-${KEYCLOAK_VERSION}`)
  if (existsSync(join(home, 'bin', 'kc.sh'))) return home
  await mkdir(cache, { recursive: true })
  say(`fetching Keycloak ${KEYCLOAK_VERSION} into ${cache}, 170 MB`)
  const target = await mkdtemp(join(cache, 'fetching-'))
  try {
    const arguments_ = ['-q', '-B', 'dependency:copy', `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${target}`]
    const { status } = spawnSync('mvn', arguments_, { cwd: target, stdio: ['ignore', 'inherit', 'inherit'] })
    if (status !== 0) throw new Error(`Maven could not bring ${ARTIFACT}; what it said stands above`)
    const checksum = await sha256Of(join(target, ARCHIVE))
    if (checksum !== CHECKSUM) throw new Error(`${ARCHIVE} has the SHA-256 ${checksum}, and ${CHECKSUM} is expected`)
    const unpacked = spawnSync('tar', ['-xzf', ARCHIVE], { cwd: target, stdio: ['ignore', 'inherit', 'inherit'] })
    if (unpacked.status !== 0) throw new Error(`tar could not unpack ${join(target, ARCHIVE)}`)
    // Named only when it is whole, so that a fetch that was stopped leaves nothing that looks like one.
    await rename(join(target, `keycloak-${KEYCLOAK_VERSION}`), home)
  } finally {
    await rm(target, { recursive: true, force: true })
  }
  return home
}

/** @param folder where its database and its log go */
export async function startKeycloak(home: string, folder: string): Promise<Keycloak> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  let running = await started(home, folder, port)
  return {
    url,
    async crash(meanwhile) {
      await kill(running)
      await meanwhile()
      running = await started(home, folder, port)
    },
    close: () => kill(running),
  }
}

const groups = new Set<number>()

/** For whoever ends without having time: ends every Keycloak that this process started. */
export function killKeycloaks(): void {
  for (const pid of groups) killGroup(pid)
}

async function started(home: string, folder: string, port: number): Promise<ChildProcess> {
  const log = await open(join(folder, 'keycloak.log'), 'a')
  // What was committed is on disk at once, as with a database that deserves the name. By default H2 takes half a second,
  // and a kill within it would be a Keycloak that forgot what it had answered.
  const database = `jdbc:h2:file:${join(folder, 'keycloak')};NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE;WRITE_DELAY=0`
  const child = spawn(
    join(home, 'bin', 'kc.sh'),
    ['start-dev', '--http-host=127.0.0.1', `--http-port=${port}`, '--db=dev-file', `--db-url=${database}`],
    {
      // A group of its own: while it builds itself, the shell that was started is not the program that runs.
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        ...process.env,
        JAVA_OPTS_KC_HEAP: HEAP,
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
      },
    },
  )
  await log.close()
  const { pid } = child
  if (pid === undefined) throw new Error('Keycloak could not be started: its bin/kc.sh is missing or cannot be run')
  groups.add(pid)
  const waitedSince = performance.now()
  while (performance.now() - waitedSince < READY_WITHIN_MS) {
    if (hasEnded(child)) throw new Error(`Keycloak ended before it was ready; its log is ${folder}/keycloak.log`)
    if (await answers(`http://127.0.0.1:${port}/realms/master`)) return child
    await pause(BETWEEN_LOOKS_MS)
  }
  await kill(child)
  throw new Error(`Keycloak was not ready after ${READY_WITHIN_MS / 1000} s; its log is ${folder}/keycloak.log`)
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) })
    await answer.arrayBuffer()
    return answer.ok
  } catch {
    return false
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  const ended = hasEnded(child)
    ? Promise.resolve()
    : new Promise<void>((resolve) => child.once('exit', () => resolve()))
  killGroup(pid)
  groups.delete(pid)
  await ended
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (address === null || typeof address === 'string') throw new Error('no port is free on 127.0.0.1')
  return address.port
}
