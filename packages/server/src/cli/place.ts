import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { TokenError } from '@tokenkeep/core'
import type { OpenOptions } from '@tokenkeep/node'
import type { Surroundings } from './surroundings.ts'

/** Where a command finds its data and its key. */
export interface Place {
  readonly folder: string
  readonly database: string
  /** Absent: as `openTokenkeep` finds it, that is `TOKENKEEP_KEY`, else the file in the configuration folder. */
  readonly keyFile?: string
  /** The key is `dev.key` in the data folder, which only throw-away data may have. */
  readonly keyBesideData: boolean
  readonly chosenBy: 'option' | 'environment' | 'dev_folder_here' | 'default'
  /**
   * The URL of a Postgres database, with its password: for `openTokenkeep` alone. The tokens are there, and only locks and
   * spill slots in the folder.
   */
  readonly postgres?: string
}

/** What `tokenkeep dev` alone keeps there. */
export interface DevPlace extends Place {
  /** The file in which the development authorization server keeps its state. */
  readonly serverState: string
  /** The file with the keys that it prints. */
  readonly credentials: string
}

export interface PlaceOptions {
  /** `--data` */
  readonly data?: string
  /** The folder stands in the configuration file of `serve`: whoever wrote it did not say it to this one command. */
  readonly dataSaidBy?: 'file'
  /** `--database`: the URL of a Postgres database */
  readonly database?: string
  /** `--key-file` */
  readonly keyFile?: string
}

/** What `tokenkeep dev` uses where nothing is said. */
export const DEV_FOLDER = '.tokenkeep'
const DATABASE = 'tokenkeep.db'
const DEV_KEY_FILE = 'dev.key'
const SERVER_STATE = 'authorization-server.db'
const DEV_CREDENTIALS = 'dev-credentials.json'

/**
 * Settles where the data are. Whoever says a database means it, however the folder is said: `--database`, else
 * `TOKENKEEP_DATABASE`. Else they are in a folder: `--data`, else `TOKENKEEP_DATA`, else what `tokenkeep dev` made in the
 * current folder, else the user's own data folder. Beside a database, the folder that is named has this host's locks and
 * spill slots.
 *
 * What `dev` made here makes a second terminal beside `npm start` work without a word. It is used only where the key lies beside
 * the data, as `dev` alone does it; that key must be readable by this user alone, which no version control keeps, so a
 * folder that was cloned from somebody else is refused later.
 *
 * @param userFolder is asked only where nothing else was said
 * @throws TokenError `invalid_input` where `TOKENKEEP_DATABASE` is set and `--data` names a folder with a database of its own
 */
export function findPlace(
  options: PlaceOptions,
  { environment, folder }: Pick<Surroundings, 'environment' | 'folder'>,
  userFolder: () => string,
): Place {
  const url = options.database ?? nonEmpty(environment['TOKENKEEP_DATABASE'])
  if (options.database === undefined && url !== undefined) refuseTwoDatabases(options, folder)
  if (url !== undefined) return postgresPlace(url, options, { environment, folder }, userFolder)
  const here = join(folder, DEV_FOLDER)
  const given = options.data ?? nonEmpty(environment['TOKENKEEP_DATA'])
  if (given !== undefined) {
    const chosenBy = options.data === undefined ? 'environment' : 'option'
    return placeIn(resolve(folder, given), chosenBy, options, { environment, folder })
  }
  if (existsSync(join(here, DATABASE)) && existsSync(join(here, DEV_KEY_FILE))) {
    return placeIn(here, 'dev_folder_here', options, { environment, folder })
  }
  return placeIn(userFolder(), 'default', options, { environment, folder })
}

/**
 * Where `tokenkeep dev` keeps its data: its key lies beside them unless another one is given. `TOKENKEEP_DATA` means the
 * data that somebody lives from, so it does not count here.
 *
 * @throws TokenError `folder_unusable` where there is a database that `dev` did not make
 */
export function devPlace(options: PlaceOptions, around: Pick<Surroundings, 'environment' | 'folder'>): DevPlace {
  if (options.database !== undefined) {
    throw new TokenError('invalid_input', '`tokenkeep dev` keeps its data in a folder: leave --database out')
  }
  const place = placeIn(resolve(around.folder, options.data ?? DEV_FOLDER), 'option', options, around)
  const devKey = join(place.folder, DEV_KEY_FILE)
  const serverState = join(place.folder, SERVER_STATE)
  if (existsSync(place.database) && !existsSync(serverState) && !existsSync(devKey)) {
    throw new TokenError(
      'folder_unusable',
      `the database in ${place.folder} was not made by \`tokenkeep dev\`, which would put a pretended provider into it. ` +
        'Choose another folder with --data.',
    )
  }
  const otherKey = place.keyFile !== undefined || nonEmpty(around.environment['TOKENKEEP_KEY']) !== undefined
  const made = { serverState, credentials: join(place.folder, DEV_CREDENTIALS) }
  return { ...place, ...made, ...(otherKey ? {} : { keyFile: devKey, keyBesideData: true }) }
}

/** A variable that somebody forgot must not turn a command for one database into one for another. */
function refuseTwoDatabases({ data, dataSaidBy }: PlaceOptions, folder: string): void {
  if (data === undefined || dataSaidBy === 'file' || !existsSync(join(resolve(folder, data), DATABASE))) return
  throw new TokenError(
    'invalid_input',
    `TOKENKEEP_DATABASE names a database, and --data a folder that has one of its own (${DATABASE}): unset ` +
      'TOKENKEEP_DATABASE to use the folder, or let --data name another folder for the locks of this host.',
  )
}

function postgresPlace(
  url: string,
  options: PlaceOptions,
  around: Pick<Surroundings, 'environment' | 'folder'>,
  userFolder: () => string,
): Place {
  const chosenBy = options.database === undefined ? 'environment' : 'option'
  const given = options.data ?? nonEmpty(around.environment['TOKENKEEP_DATA'])
  const folder = given === undefined ? userFolder() : resolve(around.folder, given)
  const { keyFile } = options
  const key = keyFile ?? nonEmpty(around.environment['TOKENKEEP_KEY_FILE'])
  return {
    folder,
    database: join(folder, DATABASE),
    chosenBy,
    keyBesideData: false,
    postgres: url,
    ...(key === undefined ? {} : { keyFile: resolve(around.folder, key) }),
  }
}

export const openOptionsOf = ({ database, folder, keyFile, keyBesideData, postgres }: Place): OpenOptions => ({
  ...(postgres === undefined ? { path: database } : { postgres, stateFolder: folder }),
  keyFile,
  keyBesideData,
})

function placeIn(
  folder: string,
  chosenBy: Place['chosenBy'],
  options: PlaceOptions,
  around: Pick<Surroundings, 'environment' | 'folder'>,
): Place {
  const place = { folder, database: join(folder, DATABASE), chosenBy, keyBesideData: false }
  const devKey = join(folder, DEV_KEY_FILE)
  const given = options.keyFile ?? nonEmpty(around.environment['TOKENKEEP_KEY_FILE'])
  if (given !== undefined) {
    const keyFile = resolve(around.folder, given)
    return { ...place, keyFile, keyBesideData: keyFile === devKey }
  }
  if (nonEmpty(around.environment['TOKENKEEP_KEY']) !== undefined) return place
  return existsSync(devKey) ? { ...place, keyFile: devKey, keyBesideData: true } : place
}

const nonEmpty = (value: string | undefined): string | undefined => (value === '' ? undefined : value)
