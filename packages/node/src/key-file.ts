/**
 * The file that holds the master keys, in the configuration folder.
 *
 * Text, one statement a line; `#` begins a comment line:
 *
 *     tokenkeep-keys 1
 *     key <name> <32 bytes, base64url>      one or more; names of 1 to 64 letters, digits, . _ -
 *     current <name>                        the key that seals
 *     fingerprint <32 bytes, base64url>     made from the first key; stays when keys are rotated
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import process from 'node:process'
import { createSecretKey } from 'node:crypto'
import { TokenError } from '@tokenkeep/core'
import { createOnce, makeFolder } from './durable-file.ts'
import { fingerprintKeyOf, newMasterKey, masterKey, parseKeyBytes, type Keyring, type MasterKey } from './keyring.ts'
import { inWords, systemErrorCode } from './system-error.ts'

export interface KeyFileOptions {
  readonly path: string
  /**
   * The data folder, below which a key file is refused: a backup of the data would hold the key as well. Null: not
   * checked, for throw-away data.
   */
  readonly notBelow: string | null
}

const BYTES_MAX = 64 * 1024
const NAME = /^[A-Za-z0-9._-]{1,64}$/

/**
 * Reads the master keys.
 *
 * @throws TokenError `key_missing`: no such file; `key_wrong`: it cannot be read, others can read it, or it is malformed,
 *   with file and line and never with content; `invalid_input`: it is below the data folder
 */
export async function openKeyFile({ path, notBelow }: KeyFileOptions): Promise<Keyring> {
  refuseBelow(path, notBelow)
  return readKeys(path)
}

/**
 * Makes a key file with one new master key, or reads the one that is there: of several processes that start first
 * together, all end with the same key. It is durable before it is used.
 *
 * @throws TokenError as {@link openKeyFile}; `folder_unusable` where the file cannot be written
 */
export async function createKeyFile({ path, notBelow }: KeyFileOptions): Promise<Keyring> {
  refuseBelow(path, notBelow)
  try {
    await makeFolder(dirname(path))
    await createOnce(path, newKeyText())
  } catch (error) {
    throw new TokenError(
      'folder_unusable',
      `cannot make the key file ${path}: ${inWords(error)}. Make its folder writable, choose another with ` +
        `XDG_CONFIG_HOME, or give the master key in the variable TOKENKEEP_KEY.`,
    )
  }
  return readKeys(path)
}

/** Reads it, and lets the keyring read it again when it is another file, or the same with another content. */
function readKeys(path: string): Keyring {
  const seen = stampOf(path)
  const again = (): Keyring | null => {
    try {
      return stampOf(path) === seen ? null : readKeys(path)
    } catch {
      // Gone, or being edited by hand: what was read stays, and the next start says what is wrong.
      return null
    }
  }
  return { ...parseKeys(readKeptSecret(path), path), again }
}

function stampOf(path: string): string | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? null : `${found.ino} ${found.mtimeNs} ${found.size}`
}

function newKeyText(): string {
  const first = newMasterKey('first')
  return keyText({ current: first, keys: [first], fingerprintKey: fingerprintKeyOf(first) })
}

/** The content of a key file. Secret. */
export const keyText = ({
  keys,
  current,
  fingerprintKey,
}: Pick<Keyring, 'keys' | 'current' | 'fingerprintKey'>): string =>
  [
    '# The master keys of Tokenkeep. Without this file the stored tokens cannot be opened.',
    '# Keep a copy of it, and not together with the data.',
    'tokenkeep-keys 1',
    ...keys.map(({ name, key }) => `key ${name} ${key.export().toString('base64url')}`),
    `current ${current.name}`,
    `fingerprint ${fingerprintKey.export().toString('base64url')}`,
    '',
  ].join('\n')

/** At once, on this thread: it is a small file, read once at a start, and the thread pool would take longer. */
function readKeptSecret(path: string): string {
  let file: number
  try {
    // Without O_NONBLOCK a pipe of that name would wait for a writer for ever.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      throw new TokenError(
        'key_missing',
        `no master key: the key file ${path} does not exist and the variable TOKENKEEP_KEY is not set. ` +
          `Put the key file back, or set TOKENKEEP_KEY; without its key the data cannot be opened.`,
      )
    }
    throw new TokenError('key_wrong', `cannot read the key file ${path}: ${inWords(error)}`)
  }
  try {
    const { mode, size } = regularFile(file, path)
    // Windows has no such bits; there the user's profile folder keeps others out.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new TokenError(
        'key_wrong',
        `the key file ${path} can be read or written by other users (mode ${(mode & 0o777).toString(8)}). ` +
          `Run: chmod 600 '${path}'; if others may have read it, make a new key.`,
      )
    }
    if (size > BYTES_MAX) throw new TokenError('key_wrong', `the key file ${path} is too long to be one`)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function regularFile(file: number, path: string): { mode: number; size: number } {
  const stats = fstatSync(file)
  if (!stats.isFile()) throw new TokenError('key_wrong', `the key file ${path} is not a file`)
  return stats
}

// ---- reading -------------------------------------------------------------------------------------------------------

/** Errors name the line and what it should be, never what it is: a slip of the editor can put a key anywhere. */
function parseKeys(text: string, path: string): Keyring {
  const keys: MasterKey[] = []
  let current: string | undefined
  let fingerprint: Buffer | undefined
  let versionSeen = false
  const lines = text.split('\n').map((line) => line.trim())
  const wrong = (line: number | null, what: string): TokenError =>
    new TokenError('key_wrong', `the key file ${path}${line === null ? '' : `, line ${line}`}: ${what}`)

  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue
    const refuse = (what: string): TokenError => wrong(index + 1, what)
    const [word, ...values] = line.split(/\s+/)
    if (!versionSeen) {
      if (word !== 'tokenkeep-keys' || values.length !== 1) throw refuse('expected "tokenkeep-keys 1"')
      if (values[0] !== '1') throw refuse('this version of Tokenkeep reads key files of version 1 only')
      versionSeen = true
    } else if (word === 'key') {
      const [name = '', encoded = ''] = values
      if (values.length !== 2 || !NAME.test(name)) throw refuse('expected "key", a name, and the key')
      if (keys.some((key) => key.name === name)) throw refuse('a second key of the same name')
      keys.push(masterKey(name, bytesOf(encoded, refuse)))
    } else if (word === 'current') {
      if (values.length !== 1 || current !== undefined) throw refuse('expected one "current" with the name of a key')
      current = values[0]
    } else if (word === 'fingerprint') {
      if (values.length !== 1 || fingerprint !== undefined) throw refuse('expected one "fingerprint" with its key')
      fingerprint = bytesOf(values[0] ?? '', refuse)
    } else {
      throw refuse('expected a line that begins with key, current or fingerprint')
    }
  }
  if (!versionSeen) throw wrong(null, 'it is empty. Put its copy back; a new key cannot open what is stored')
  const sealing = keys.find((key) => key.name === current)
  if (sealing === undefined) throw wrong(null, 'no line "current" names one of its keys')
  if (fingerprint === undefined) throw wrong(null, 'the line "fingerprint" is missing')
  const fingerprintKey = createSecretKey(fingerprint)
  fingerprint.fill(0)
  return { source: `the key file ${path}`, file: path, current: sealing, keys, fingerprintKey }
}

function bytesOf(encoded: string, refuse: (what: string) => TokenError): Buffer {
  const parsed = parseKeyBytes(encoded)
  if ('wrong' in parsed) throw refuse(parsed.wrong)
  return parsed.bytes
}

// ---- place ---------------------------------------------------------------------------------------------------------

function refuseBelow(path: string, folder: string | null): void {
  if (folder === null) return
  const from = relative(realPath(folder), realPath(path))
  if (from === '..' || from.startsWith(`..${sep}`) || resolve(from) === from) return
  throw new TokenError(
    'invalid_input',
    `the key file ${path} would be inside the data folder ${folder}: whoever copies the data would have the key. ` +
      `Choose a place outside.`,
  )
}

/** The path without symbolic links, as far as it exists. */
function realPath(path: string): string {
  const whole = resolve(path)
  try {
    return realpathSync.native(whole)
  } catch {
    return whole === dirname(whole) ? whole : join(realPath(dirname(whole)), basename(whole))
  }
}
