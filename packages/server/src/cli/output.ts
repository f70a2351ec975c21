import pc from 'picocolors'
import { jsonLine, printable } from './printable.ts'
import type { Surroundings } from './surroundings.ts'

export type Colours = ReturnType<typeof pc.createColors>

/** Where a command says what it has to say: answers on stdout, everything else on stderr. */
export interface Output {
  /** One JSON value on stdout instead of text for people. */
  readonly json: boolean
  readonly colours: Colours
  /** Aborted when whoever read our stdout is gone. */
  readonly gone: AbortSignal
  /** The command's answer: the value where JSON is wanted, else the lines. */
  answer(value: unknown, lines: () => readonly string[]): void
  /** Lines for people, or escape codes for their terminal; nobody else gets them. */
  text(text: string): void
  /** One JSON object of a stream of them. */
  line(value: unknown): void
  /** An aside for a person at a terminal: not where stderr is a file or a pipe, nor with `--json`. */
  aside(text: string): void
  /** An error: text, or with `--json` the value. */
  complain(lines: readonly string[], value: unknown): void
  /** Waits until all is written; the first error other than a reader that went away, or null. */
  written(): Promise<{ readonly code: string } | null>
}

export function createOutput(around: Surroundings, { json }: { json: boolean }): Output {
  const { output, complaints, environment, interruption } = around
  const gone = new AbortController()
  let failure: { code: string } | null = null
  output.on('error', (error) => {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
    // A reader that has seen enough (`| head -1`) is no error of ours.
    if (code === 'EPIPE') gone.abort()
    else failure ??= { code }
  })
  complaints.on('error', () => undefined) // There is nobody left to tell.

  const text = (lines: string): void => {
    if (!gone.signal.aborted && failure === null) output.write(lines)
  }
  const coloured = output.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb'
  return {
    json,
    colours: pc.createColors(coloured),
    gone: gone.signal,
    answer(value, lines) {
      // Whoever ended the command does not wait for its answer any more, and it may be a token.
      if (interruption.signal.aborted) return
      text(json ? `${jsonLine(value)}\n` : lines().join('\n').concat('\n'))
    },
    text,
    line: (value) => text(`${jsonLine(value)}\n`),
    aside(aside) {
      if (!json && complaints.isTTY === true) complaints.write(`${printable(aside)}\n`)
    },
    complain(lines, value) {
      const text = lines.map((line, at) => `${at === 0 ? 'tokenkeep: ' : ''}${printable(line)}\n`).join('')
      complaints.write(json ? `${jsonLine(value)}\n` : text)
    },
    async written() {
      await new Promise<void>((resolve) => output.write('', () => resolve()))
      return failure
    },
  }
}
