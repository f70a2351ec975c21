/** Eight processes that share sign-ins, started at once and heard out. */
import { spawn } from 'node:child_process'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { FleetReport } from './counting.ts'
import type { Place } from './installation.ts'

export const PROCESSES = 8
const FLEET_PROCESS = fileURLToPath(new URL('fleet-process.ts', import.meta.url))

export interface FleetInstructions {
  readonly place: Place
  readonly issuer: string
  readonly ids: readonly string[]
  readonly expiries: number
}

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** @returns for each process, for each connection in the order of `ids`, what it reports */
export async function playFleet(instructions: FleetInstructions): Promise<readonly (readonly FleetReport[])[]> {
  const args = [...process.execArgv, FLEET_PROCESS, JSON.stringify(instructions)]
  const printed = await Promise.all(Array.from({ length: PROCESSES }, () => run({ command: process.execPath, args })))
  // Printed by a program of this very folder.
  return printed.map((line) => JSON.parse(line) as readonly FleetReport[])
}

const running = new Set<number>()

/** For whoever ends without having time. */
export function killPrograms(): void {
  for (const pid of running) killGroup(pid)
}

/**
 * Runs a program to its end, in a process group of its own.
 *
 * @param heard each line that it prints, when it prints it
 * @returns what it printed
 * @throws Error with the last of its standard error, where its exit code is not 0
 */
export async function run({ command, args, cwd, env = {} }: Program, heard?: (line: string) => void): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const { pid } = child
  if (pid !== undefined) running.add(pid)
  let printed = ''
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  if (heard !== undefined) createInterface({ input: child.stdout }).on('line', heard)
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${command} could not be started: ${error.message}`)))
    child.once('close', (code, signal) => {
      if (pid !== undefined) {
        running.delete(pid)
        killGroup(pid)
      }
      if (code === 0) return resolve(printed)
      const last = said.trim().split('\n').slice(-3).join(' ').slice(-500)
      reject(new Error(`${command} ended by ${signal ?? `exit code ${code}`}: ${last}`))
    })
  })
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}
