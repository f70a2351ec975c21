/**
 * The devserver as a process of its own.
 *
 * Options come as one JSON line on stdin (secrets never in argv, where `ps` shows them), `{}` or an empty line for none.
 * One JSON line goes to stdout when it is ready, or why it is not. It ends when stdin closes (its parent is gone), on
 * SIGTERM or SIGINT, and on the control API's `shutdown`.
 */
import { createInterface } from 'node:readline'
import { startDevserver } from './devserver.ts'
import { InvalidInput } from './json-shape.ts'
import type { DevserverOptions } from './options.ts'
import { readDevserverOptions } from './options-shape.ts'
import type { ReadyLine } from './ready-line.ts'

const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
process.once('SIGTERM', ask).once('SIGINT', ask)

const input = createInterface({ input: process.stdin })
input.once('close', ask)
const firstLine = new Promise<string | null>((resolve) => {
  input.once('line', resolve)
  input.once('close', () => resolve(null))
})

try {
  const line = await firstLine
  if (line !== null) {
    await using devserver = await startDevserver(read(line))
    const { origin, controlUrl, demoApi } = devserver
    say({ ready: true, origin, controlUrl, demoApi, pid: process.pid })
    await Promise.race([asked, devserver.closed])
  }
} catch (error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  say({ ready: false, error: name, message })
  process.exitCode = 1
}
process.stdin.destroy()

function read(line: string): DevserverOptions {
  if (line.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new InvalidInput('the first line on stdin must be the options as one JSON object')
  }
  return readDevserverOptions(value)
}

function say(line: ReadyLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
