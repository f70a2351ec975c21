import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { addressesAt, PortInUse, type Addresses } from './devserver.ts'
import type { Control } from './control.ts'
import { createControlClient } from './control-client.ts'
import { InvalidInput } from './json-shape.ts'
import type { DevserverOptions } from './options.ts'
import { readDevserverOptions } from './options-shape.ts'
import type { ReadyLine } from './ready-line.ts'
import { StateUnusable } from './state.ts'

/** A devserver in a process of its own; it also ends when this process does, however that happens. */
export interface SpawnedDevserver extends Addresses, AsyncDisposable {
  readonly control: Control
  readonly pid: number
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>
  /** Asks it to close and waits until it has ended. */
  stop(): Promise<void>
  /** Kills it on the spot (SIGKILL) and waits until it is gone. */
  kill(): Promise<void>
}

const START_MS_MAX = 15_000 // It starts in a fraction of a second; a busy machine may need ten times that.
const STOP_MS_MAX = 5000

/**
 * Starts a devserver as its own process.
 *
 * @throws {PortInUse} another program holds the port
 * @throws {StateUnusable} the state file is held by another devserver, not ours, or not writable
 * @throws {InvalidInput} an option has the wrong shape
 */
export async function spawnDevserver(options: DevserverOptions = {}): Promise<SpawnedDevserver> {
  const settled = readDevserverOptions(options)
  const fromSource = import.meta.url.endsWith('.ts')
  const program = fileURLToPath(new URL(fromSource ? './process.ts' : './process.js', import.meta.url))
  const conditions = fromSource ? ['--conditions=tokenkeep-source'] : []
  const child = spawn(process.execPath, [...conditions, '--disable-warning=ExperimentalWarning', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  child.stdin.on('error', () => undefined) // A child that is gone already has told why on stdout.
  child.stdin.write(`${JSON.stringify(settled)}\n`)

  const line = await readyLine(child)
  if (!line.ready) {
    await exited
    throw refusal(line)
  }
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal)
    const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await exited
    clearTimeout(impatient)
  }
  return {
    ...addressesAt(line.origin),
    control: createControlClient(line.controlUrl),
    pid: line.pid,
    exited,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  }
}

async function readyLine(child: ChildProcess): Promise<ReadyLine> {
  if (!child.stdout) throw new Error('the devserver was started without a pipe')
  const lines = createInterface({ input: child.stdout })
  const { promise, resolve, reject } = Promise.withResolvers<ReadyLine>()
  lines.once('line', (line) => resolve(JSON.parse(line) as ReadyLine))
  child.once('error', reject)
  child.once('close', (code, signal) => {
    reject(new Error(`the devserver ended before it was ready (${signal ?? `exit code ${code}`}); see its stderr`))
  })
  const late = setTimeout(() => {
    reject(new Error(`the devserver was not ready after ${START_MS_MAX} ms`))
    child.kill('SIGKILL')
  }, START_MS_MAX)
  try {
    return await promise
  } finally {
    clearTimeout(late)
  }
}

function refusal({ error, message }: { error: string; message: string }): Error {
  const known = [PortInUse, StateUnusable, InvalidInput].find((kind) => kind.name === error)
  return known ? new known(message) : new Error(message)
}
