/** `tokenkeep serve` as the one daemon of a place: the first process that asks for it starts it. */
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Place } from '../driver.ts'
import { dataFolder, keyFile, openInstallation } from './tokenkeep-installation.ts'

export interface Daemon {
  readonly pid: number
  /** Without a slash at the end. */
  readonly url: string
  /** Of an API key with the scope `token:read`. */
  readonly clientId: string
  readonly key: string
}

const LAUNCHER = fileURLToPath(new URL('../../packages/server/bin/tokenkeep.js', import.meta.url))

/** Finds the daemon, or makes an installation, with a key, and starts it. */
export async function findDaemon(place: Place): Promise<Daemon> {
  const text = await readFile(noteOf(place), 'utf8').catch(() => null)
  // Written by this very file.
  if (text !== null) return JSON.parse(text) as Daemon
  const keep = await openInstallation(place)
  const { apiKey, key } = await keep.apiKeys.create({ name: 'gauntlet' })
  await keep.close()
  return started(place, { clientId: apiKey.id, key }, 0)
}

/** Kills it, and starts it again on the same port. */
export async function crashDaemon(place: Place): Promise<Daemon> {
  const { pid, url, clientId, key } = await findDaemon(place)
  process.kill(pid, 'SIGKILL')
  return started(place, { clientId, key }, Number(new URL(url).port))
}

const noteOf = ({ folder }: Place): string => join(folder, 'daemon.json')

async function started(place: Place, caller: Pick<Daemon, 'clientId' | 'key'>, port: number): Promise<Daemon> {
  const data = ['--data', dataFolder(place), '--key-file', keyFile(place), '--json']
  const child = spawn(process.execPath, [LAUNCHER, ...data, 'serve', '--port', String(port), '--log-level', 'silent'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  process.once('exit', () => child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { readonly url: string }
    child.stdout.resume()
    const daemon: Daemon = { pid: child.pid ?? 0, url, ...caller }
    await writeFile(noteOf(place), JSON.stringify(daemon))
    return daemon
  }
  throw new Error('`tokenkeep serve` ended before it was ready')
}
