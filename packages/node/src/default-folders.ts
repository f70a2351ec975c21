import { homedir } from 'node:os'
import { posix, win32 } from 'node:path'
import process from 'node:process'
import { TokenError } from '@tokenkeep/core'

export interface DefaultFolders {
  /** Databases, locks and spill slots of this user. */
  readonly data: string
  /** Master keys: never below `data`, so that a backup of the data holds no key. */
  readonly config: string
}

export interface Surroundings {
  readonly platform: NodeJS.Platform
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user's home folder. */
  readonly home: () => string
}

/**
 * Where a user's data and keys are when nobody says otherwise.
 *
 * `XDG_DATA_HOME` and `XDG_CONFIG_HOME` are obeyed everywhere when they are absolute. Else Linux has `~/.local/share` and
 * `~/.config`, macOS `~/Library/Application Support`, Windows `%LOCALAPPDATA%`, which does not roam to other machines.
 *
 * @throws TokenError `folder_unusable` where there is no home folder to find them in
 * @see XDG Base Directory Specification 0.8
 */
export function defaultFolders(
  around: Surroundings = { platform: process.platform, environment: process.env, home: homedir },
): DefaultFolders {
  const { isAbsolute, join } = around.platform === 'win32' ? win32 : posix
  const absolute = (name: string): string | undefined => {
    const value = around.environment[name]
    return value !== undefined && isAbsolute(value) ? value : undefined
  }
  const inHome = (...parts: readonly string[]): string => join(homeOf(around, isAbsolute), ...parts)
  const own = (kind: 'data' | 'config', xdg: string, posixHome: readonly string[]): string => {
    const base = absolute(xdg)
    if (base !== undefined) return join(base, 'tokenkeep')
    if (around.platform === 'win32') {
      return join(absolute('LOCALAPPDATA') ?? inHome('AppData', 'Local'), 'tokenkeep', kind)
    }
    if (around.platform === 'darwin') return inHome('Library', 'Application Support', 'tokenkeep', kind)
    return inHome(...posixHome, 'tokenkeep')
  }
  return {
    data: own('data', 'XDG_DATA_HOME', ['.local', 'share']),
    config: own('config', 'XDG_CONFIG_HOME', ['.config']),
  }
}

function homeOf(around: Surroundings, isAbsolute: (path: string) => boolean): string {
  let home = ''
  try {
    home = around.home()
  } catch {
    // No such user in the system's list, and no HOME: said below.
  }
  if (isAbsolute(home)) return home
  throw new TokenError(
    'folder_unusable',
    'this user has no home folder, so there is no default place for data and keys. Set XDG_DATA_HOME and ' +
      'XDG_CONFIG_HOME to absolute paths, or name the database and the key.',
  )
}
