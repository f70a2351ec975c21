/** Reads a SQLite database through, and gives up in time. */
import { spawn } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

/** `ok`; `late`: it was given up; `failed`: it could not be done; else what is damaged. */
export type Checked = 'ok' | 'late' | 'failed' | { readonly faults: readonly string[] }

const ANSWER_MOST = 64 * 1024
const FAULT_LENGTH_MAX = 200

export async function checkSqlite(path: string, withinMs: number): Promise<Checked> {
  const fromSource = import.meta.url.endsWith('.ts')
  const program = fileURLToPath(new URL(fromSource ? './quick-check.ts' : './quick-check.js', import.meta.url))
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {},
  })
  let [said, complained, late] = ['', '', false]
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    if (said.length < ANSWER_MOST) said += part
  })
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    if (complained.length < ANSWER_MOST) complained += part
  })
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, withinMs)
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  await ended
  clearTimeout(timer)
  if (late) return 'late'
  return (
    read(said) ?? (/malformed|not a database/.test(complained) ? { faults: ['it cannot be read through'] } : 'failed')
  )
}

function read(said: string): Checked | null {
  try {
    const faults = JSON.parse(said) as readonly string[]
    if (faults.length === 1 && faults[0] === 'ok') return 'ok'
    return { faults: faults.map((fault) => fault.slice(0, FAULT_LENGTH_MAX)) }
  } catch {
    return null
  }
}
