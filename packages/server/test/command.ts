import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const LAUNCHER = fileURLToPath(new URL('../bin/tokenkeep.js', import.meta.url))

/** A folder in which a user without a home of any kind works. */
export interface Desk {
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  /** Runs the command to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** Starts it and lets it run. */
  start(args: readonly string[], options?: Omit<RunOptions, 'input'>): Started
  /** Everything that any command printed here. */
  printed(): string
  /** Ends what still runs, and removes the folder. */
  close(): void
}

export interface RunOptions {
  /** What comes on standard input; nothing where absent. */
  readonly input?: string | Uint8Array
  readonly environment?: Readonly<Record<string, string>>
  readonly folder?: string
  /** A file that standard output goes to. */
  readonly outputTo?: string
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface Started {
  readonly child: ChildProcess
  /** The next line of standard output that fits, those before it are dropped. */
  line(fits: (line: string) => boolean): Promise<string>
  readonly ended: Promise<Ended>
}

export function openDesk(): Desk {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-cli-'))
  const children = new Set<ChildProcess>()
  const printed: string[] = []
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    XDG_DATA_HOME: join(folder, 'data'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    TZ: 'Europe/Berlin',
  }
  const launch = (args: readonly string[], options: RunOptions = {}): ChildProcess => {
    const output = options.outputTo === undefined ? 'pipe' : openSync(options.outputTo, 'w')
    const child = spawn(process.execPath, [LAUNCHER, ...args], {
      cwd: options.folder ?? folder,
      env: { ...environment, ...options.environment },
      stdio: ['pipe', output, 'pipe'],
    })
    if (typeof output === 'number') closeSync(output)
    children.add(child)
    child.once('close', () => children.delete(child))
    child.stdin?.on('error', () => undefined) // A command that does not read its input may be gone before it is written.
    return child
  }
  const ending = async (child: ChildProcess): Promise<Ended> => {
    let out = ''
    let err = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text))
    const ended = await new Promise<Pick<Ended, 'code' | 'signal'>>((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
    printed.push(out, err)
    return { ...ended, out, err }
  }
  return {
    folder,
    environment,
    printed: () => printed.join('\n'),
    close() {
      for (const child of children) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
    run(args, options = {}) {
      const child = launch(args, options)
      child.stdin?.end(options.input ?? '')
      return ending(child)
    },
    start(args, options) {
      const child = launch(args, options)
      assert.ok(child.stdout)
      const waiting: {
        fits: (line: string) => boolean
        resolve: (line: string) => void
        reject: (e: Error) => void
      }[] = []
      const lines: string[] = []
      const serve = (): void => {
        for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
          const at = lines.findIndex(first.fits)
          if (at === -1) return
          first.resolve(lines.splice(0, at + 1).at(-1) ?? '')
          waiting.shift()
        }
      }
      createInterface({ input: child.stdout }).on('line', (line) => {
        lines.push(line)
        serve()
      })
      const ended = ending(child)
      void ended.then(({ err }) => {
        for (const { reject } of waiting.splice(0)) reject(new Error(`it ended before that line came: ${err}`))
      })
      return {
        child,
        ended,
        line: (fits) =>
          new Promise((resolve, reject) => {
            waiting.push({ fits, resolve, reject })
            serve()
          }),
      }
    },
  }
}

/** The one JSON value on standard output. */
export function answer<Shape>({ out, err, code }: Ended): Shape {
  assert.equal(code, 0, err)
  assert.match(out, /^[^\n]+\n$/, 'one value on one line')
  return JSON.parse(out) as Shape
}

export interface ErrorAnswer {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
  readonly retryAt: number | null
  readonly reason: string | null
}

/** The one JSON error on standard error; standard output is empty. */
export function errorAnswer({ out, err }: Ended): ErrorAnswer {
  assert.equal(out, '')
  assert.match(err, /^[^\n]+\n$/, 'one value on one line')
  return (JSON.parse(err) as { error: ErrorAnswer }).error
}
