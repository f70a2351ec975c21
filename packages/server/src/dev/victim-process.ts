import { spawn } from 'node:child_process'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { OpenOptions } from '@tokenkeep/node'

/** What the victim is told, as one JSON line on its stdin. */
export interface VictimOrder {
  readonly open: Pick<OpenOptions, 'path' | 'keyFile' | 'keyBesideData'>
  /** The connection. */
  readonly id: string
  readonly api: string
}

/** What it says on its stdout, one word a line. */
export type VictimWord = 'refreshed' | 'calling'

/** A process that keeps the same connection, to be killed. */
export interface Victim {
  readonly pid: number
  /** @throws Error where it ended before it said that */
  until(word: VictimWord): Promise<void>
  goOn(): void
  /** SIGKILL: it gets no moment to put anything in order. */
  kill(): Promise<void>
}

export function spawnVictim(order: VictimOrder): Victim {
  const fromSource = import.meta.url.endsWith('.ts')
  const program = fileURLToPath(new URL(fromSource ? './victim.ts' : './victim.js', import.meta.url))
  const conditions = fromSource ? ['--conditions=tokenkeep-source'] : []
  const child = spawn(process.execPath, [...conditions, '--disable-warning=ExperimentalWarning', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  child.stdin.on('error', () => undefined) // What it did not read no longer matters.
  child.stdin.write(`${JSON.stringify(order)}\n`)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid ?? 0,
    async until(word) {
      for (;;) {
        const line = await lines.next()
        if (line.done === true) throw new Error('the process ended before it was to be killed; see its stderr')
        if (line.value === word) return
      }
    },
    goOn: () => void child.stdin.write('\n'),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
