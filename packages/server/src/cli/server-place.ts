/** Whether a command is a client of a server, of which one, and by which key. */
import { TokenError } from '@tokenkeep/core'
import type { PlaceOptions } from './place.ts'
import type { SecretSource } from './secret-source.ts'
import type { Surroundings } from './surroundings.ts'

export interface ServerOptions {
  /** `--url` */
  readonly url?: string
  /** `--api-key-file` */
  readonly apiKeyFile?: string
}

/** A server that was named. */
export interface ServerPlace {
  /** As it was written; nobody has looked at it yet. */
  readonly url: string
  /** How it was named, for messages. */
  readonly said: '--url' | 'TOKENKEEP_URL'
  /** Null: no key is named. */
  readonly apiKey: SecretSource | null
}

/**
 * Settles whether a command asks a server: `--url`, else `TOKENKEEP_URL` where no `--data` says otherwise.
 *
 * @returns null: it works on a data folder
 * @throws TokenError `invalid_input` where a server and a data folder are both named: whichever were taken, the command
 *   could change the other one's data than meant
 */
export function findServer(
  options: ServerOptions & PlaceOptions,
  { environment }: Pick<Surroundings, 'environment'>,
): ServerPlace | null {
  const named = namedServer(options, environment)
  if (named === null) {
    if (options.apiKeyFile !== undefined) {
      throw wrong('--api-key-file is for a server: name it with --url, or leave --api-key-file out')
    }
    return null
  }
  if (options.keyFile !== undefined) {
    throw wrong(
      `--key-file names the master key of a data folder, and ${named.said} a server, which has its own: ` +
        'leave one of the two out. The API key comes with --api-key-file.',
    )
  }
  return { ...named, apiKey: apiKeySource(options, environment) }
}

/** @throws TokenError `invalid_input`: these commands work on a data folder, whatever the environment says */
export function refuseServer(
  { url, apiKeyFile }: ServerOptions,
  command: 'dev' | 'serve' | 'master-key' | 'backup',
): void {
  const given = url !== undefined ? '--url' : apiKeyFile !== undefined ? '--api-key-file' : null
  if (given !== null) throw wrong(`\`tokenkeep ${command}\` works on a data folder of this machine: leave ${given} out`)
}

function namedServer(
  { url, data, database }: ServerOptions & PlaceOptions,
  environment: Surroundings['environment'],
): Pick<ServerPlace, 'url' | 'said'> | null {
  if (url !== undefined) {
    if (data !== undefined)
      throw wrong('--url names a server and --data a folder of this machine: leave one of them out')
    if (database !== undefined) throw wrong('--url names a server and --database its data: leave one of them out')
    return { url, said: '--url' }
  }
  const fromEnvironment = environment['TOKENKEEP_URL']
  if (!fromEnvironment || data !== undefined || database !== undefined) return null
  if (environment['TOKENKEEP_DATABASE']) {
    throw wrong(
      'TOKENKEEP_URL names a server and TOKENKEEP_DATABASE the data themselves: say which with --url or --database, or ' +
        'unset one of them',
    )
  }
  if (environment['TOKENKEEP_DATA']) {
    throw wrong(
      'TOKENKEEP_URL names a server and TOKENKEEP_DATA a folder of this machine: say which with --url or --data, or ' +
        'unset one of them',
    )
  }
  return { url: fromEnvironment, said: 'TOKENKEEP_URL' }
}

function apiKeySource({ apiKeyFile }: ServerOptions, environment: Surroundings['environment']): SecretSource | null {
  if (apiKeyFile !== undefined) return { from: 'file', path: apiKeyFile }
  const path = environment['TOKENKEEP_API_KEY_FILE']
  if (path) return { from: 'file', path, said: 'TOKENKEEP_API_KEY_FILE' }
  return environment['TOKENKEEP_API_KEY'] ? { from: 'environment', variable: 'TOKENKEEP_API_KEY' } : null
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
