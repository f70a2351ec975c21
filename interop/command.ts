/** The command `tokenkeep`, on the data of an installation. */
import process from 'node:process'
import { run } from './fleet.ts'
import { argumentsFor, type Place } from './installation.ts'

/**
 * Runs it to its end, with `--json`.
 *
 * @param heard each line that it prints, when it prints it
 * @returns its last line
 * @throws Error with its error as JSON, where its exit code is not 0
 */
export async function tokenkeep(
  place: Place,
  args: readonly string[],
  heard?: (line: Readonly<Record<string, unknown>>) => void,
): Promise<Readonly<Record<string, unknown>>> {
  // Printed by our own command: each line is an object.
  const read = (line: string): Readonly<Record<string, unknown>> => JSON.parse(line) as Record<string, unknown>
  const program = { command: process.execPath, args: argumentsFor(place, args) }
  const printed = await run(program, heard === undefined ? undefined : (line) => heard(read(line)))
  return read(printed.trim().split('\n').at(-1) ?? '{}')
}
