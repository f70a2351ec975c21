import { tmpdir } from 'node:os'
import { PassThrough, Readable } from 'node:stream'
import { run } from '../src/main.ts'
import type { Ended } from './command.ts'

export interface HereOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly folder?: string
  /** What comes on standard input; nothing where absent. */
  readonly input?: string
  /** Standard error is a terminal. */
  readonly terminal?: boolean
  /** SIGINT came before the command began. */
  readonly interrupted?: boolean
}

/** Runs the command in this process: what it prints and its exit code are those of the real one, and it starts at once. */
export async function commandHere(args: readonly string[], options: HereOptions = {}): Promise<Ended> {
  const { environment = {}, folder = tmpdir(), input = '', terminal = false, interrupted = false } = options
  const output = new PassThrough()
  const complaints = Object.assign(new PassThrough(), { isTTY: terminal })
  const written = [output, complaints].map(async (stream) => {
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    return text
  })
  const code = await run(args, {
    environment,
    folder,
    input: Readable.from(input === '' ? [] : [Buffer.from(input)]),
    output,
    complaints,
    now: () => Date.now(),
    interruption: interrupted
      ? { signal: AbortSignal.abort(), by: () => 'SIGINT' }
      : { signal: new AbortController().signal, by: () => null },
  })
  output.end()
  complaints.end()
  const [out = '', err = ''] = await Promise.all(written)
  return { code, signal: null, out, err }
}
