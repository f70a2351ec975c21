/** Where the master keys of a database are: in the variable, else in a file. */
import { join, resolve } from 'node:path'
import { defaultFolders } from './default-folders.ts'
import { createKeyFile, openKeyFile } from './key-file.ts'
import { readKeyVariable } from './key-variable.ts'
import type { Keyring } from './keyring.ts'
import type { OpenOptions } from './tokenkeep.ts'

export interface KeyPlace {
  readonly path: string
  /** The folder below which no key file may lie; null: not checked. */
  readonly notBelow: string | null
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The keys of a database: those of the variable, else those of the file. A key is made only together with a database;
 * one that exists is refused without its key, and left as it is.
 */
export async function keysFor(
  options: Pick<OpenOptions, 'keyFile' | 'keyBesideData'>,
  folder: string,
  existing: object | null,
  environment: Environment,
): Promise<Keyring> {
  const fromVariable = options.keyFile === undefined ? readKeyVariable(environment) : null
  if (fromVariable !== null) return fromVariable
  const place = keyPlaceOf(options, folder)
  return existing === null ? createKeyFile(place) : openKeyFile(place)
}

/** Where the key file is, if the keys are in none of the variables. */
export function keyPlaceOf(options: Pick<OpenOptions, 'keyFile' | 'keyBesideData'>, folder: string): KeyPlace {
  const file = options.keyFile ?? join(defaultFolders().config, 'tokenkeep.key')
  // A user's own configuration folder may well lie below the folder that the user put a database into.
  const notBelow = options.keyFile === undefined || options.keyBesideData === true ? null : folder
  return { path: resolve(file), notBelow }
}
