import { CommanderError } from 'commander'
import { TokenError } from '@tokenkeep/core'
import { EXIT, exitCodeAfter, exitCodeOf } from './exit-codes.ts'
import type { Output } from './output.ts'
import type { Surroundings } from './surroundings.ts'

/** Says what went wrong, and returns the exit code for it. */
export function presentFailure(error: unknown, output: Output, around: Surroundings): number {
  const signal = around.interruption.by()
  if (signal !== null) return exitCodeAfter(signal)
  if (error instanceof CommanderError) return presentUsage(error, output)
  if (error instanceof TokenError) {
    const { code, message, retryable, retryAt, subject, reason, blocked } = error
    output.complain([message], { error: { code, message, retryable, retryAt, subject, reason, blocked } })
    return exitCodeOf(code)
  }
  const message = unexpected(error, around)
  output.complain([message], plainError('unexpected', message))
  return EXIT.unexpected
}

function presentUsage({ code, exitCode, message }: CommanderError, output: Output): number {
  // Help and version were asked for and are printed already.
  if (exitCode === 0) return EXIT.ok
  const said = code === 'commander.help' ? 'a command is missing' : withoutValues(message.replace(/^error: /, ''))
  const [first = '', ...more] = said.split('\n')
  const help = '`tokenkeep --help` lists the commands, `tokenkeep COMMAND --help` their options.'
  output.complain([first, ...more, help], plainError('invalid_input', said))
  return EXIT.input
}

/** An error that is about no connection, with the same members as one that is. */
export const plainError = (code: 'invalid_input' | 'unexpected', message: string) => ({
  error: { code, message, retryable: false, retryAt: null, subject: null, reason: null, blocked: null },
})

/** commander quotes unknown options with their value and superfluous arguments, and either may be a secret. */
const withoutValues = (message: string): string =>
  message
    .replace(/^unknown option '(--[\w-]+)=[^]*$/, "unknown option '$1'")
    .replace(/^unknown option '(-[^-])[^]*$/, "unknown option '$1'")
    .replace(/^(too many arguments .* but got \d+): [^]*$/, '$1.')

/** What is not a `TokenError` is a mistake of ours. Its message is not ours, so it is shown only to those who ask. */
function unexpected(error: unknown, { environment, complaints }: Surroundings): string {
  if (environment['TOKENKEEP_DEBUG']) {
    complaints.write(`${error instanceof Error ? (error.stack ?? error.name) : typeof error}\n`)
  }
  const kind = error instanceof Error ? error.name : typeof error
  return (
    `something unexpected happened (${kind}): this is a mistake in Tokenkeep. ` +
    'With TOKENKEEP_DEBUG=1 the whole error is shown; look through it for secrets before you pass it on.'
  )
}
