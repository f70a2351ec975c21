import { EXIT } from './cli/exit-codes.ts'
import { plainError, presentFailure } from './cli/failure.ts'
import { createOutput } from './cli/output.ts'
import { createProgram } from './cli/program.ts'
import { refuseSecretArguments } from './cli/secret-source.ts'
import { tellSettled } from './cli/supervised.ts'
import { systemSurroundings, type Surroundings } from './cli/surroundings.ts'

/**
 * The `tokenkeep` command.
 *
 * @param argv the arguments after the program's name
 * @returns the exit code, see `docs/cli.md`
 */
export async function main(argv: readonly string[]): Promise<number> {
  const { surroundings, release } = systemSurroundings()
  try {
    const code = await run(argv, surroundings)
    tellSettled(code)
    return code
  } finally {
    release()
    // A pipe that nobody writes to any more would keep the process alive.
    surroundings.input.destroy()
  }
}

/** The same with surroundings of one's own. */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  // Before the arguments are understood: an error in them is JSON, too, where JSON was asked for.
  const end = argv.indexOf('--')
  const json = (end === -1 ? argv : argv.slice(0, end)).includes('--json')
  const output = createOutput(surroundings, { json })
  let exitCode: number = EXIT.ok
  try {
    refuseSecretArguments(argv)
    const program = createProgram(surroundings, output, (settled) => {
      exitCode = settled
    })
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // The launcher says what to do about a part that is not installed.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') throw error
    exitCode = presentFailure(error, output, surroundings)
  }
  const failure = await output.written()
  if (failure !== null && exitCode === EXIT.ok) {
    const message = `the answer could not be written (${failure.code})`
    output.complain([message], plainError('unexpected', message))
    return EXIT.unexpected
  }
  return exitCode
}
