/**
 * Secrets come from standard input, a file or a variable, never from an argument: every program of the machine can read
 * arguments (`ps`), and the shell keeps them in its history. Nothing here repeats what it was given.
 */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { TokenError } from '@tokenkeep/core'
import type { Surroundings } from './surroundings.ts'

/** What can be handed over secretly; each is also the beginning of its options' names. */
export const SECRET_NAMES = [
  'refresh-token',
  'access-token',
  'client-secret',
  'client-key',
  'dpop-key',
  'token-response',
  'api-key',
] as const
export type SecretName = (typeof SECRET_NAMES)[number]

export type SecretSource =
  | { readonly from: 'stdin' }
  /** `said`: how the file was named where it was not by the option. */
  | { readonly from: 'file'; readonly path: string; readonly said?: string }
  | { readonly from: 'environment'; readonly variable: string }

const BYTES_MAX = 256 * 1024 // A token has at most 16 KiB; an answer with a few of them fits.

/** Arguments that look like an option with a secret as its value. */
const REFUSED = new Map<string, SecretName | null>([
  ['refreshtoken', 'refresh-token'],
  ['accesstoken', 'access-token'],
  ['clientsecret', 'client-secret'],
  ['clientkey', 'client-key'],
  ['privatekey', 'client-key'],
  ['tokenresponse', 'token-response'],
  ['apikey', 'api-key'],
  ['token', null],
  ['secret', null],
  ['password', null],
  ['key', null],
])

/**
 * Refuses secrets on the command line before anything else reads it.
 *
 * @throws TokenError `invalid_input`, without the value
 */
export function refuseSecretArguments(argv: readonly string[]): void {
  for (const argument of argv) {
    if (OURS.test(argument)) {
      throw wrong(
        'one of the arguments is an API key or a local refresh token itself, where its id was meant (key_... or ' +
          'lrt_...): every program on this machine can read arguments, and the shell keeps them. Take it as seen by ' +
          'others: revoke it (`tokenkeep key revoke ID`, `tokenkeep connection unshare ID`).',
      )
    }
  }
  for (const argument of argv) {
    if (argument === '--') return
    if (!argument.startsWith('--')) continue
    const option = argument.split('=', 1)[0] ?? ''
    const name = REFUSED.get(option.slice(2).replace(/[-_]/g, '').toLowerCase())
    if (name === undefined) continue
    throw wrong(
      `${option} is refused: every program on this machine can read arguments, and the shell keeps them. ${insteadOf(option, name)} ` +
        'If a secret was given just now, take it as seen by others.',
    )
  }
}

/** What both begin with, as `tokenkeep` makes them. */
const OURS = /tk[ckr]_[\w-]{43}/

function insteadOf(option: string, name: SecretName | null): string {
  if (option === '--key') return 'Use --key-file FILE, or the variable TOKENKEEP_KEY.'
  if (name === 'api-key') return 'Use --api-key-file FILE, or the variable TOKENKEEP_API_KEY.'
  return name === null
    ? 'Hand it over by standard input, a file or a variable: `tokenkeep COMMAND --help` lists the options.'
    : `Use --${name}-stdin, --${name}-file FILE or --${name}-env NAME.`
}

/** Which source was chosen for one secret; null: none. */
export function sourceOf(
  name: SecretName,
  given: { readonly stdin?: boolean; readonly file?: string; readonly env?: string },
): SecretSource | null {
  const sources: SecretSource[] = []
  if (given.stdin === true) sources.push({ from: 'stdin' })
  if (given.file !== undefined) sources.push({ from: 'file', path: given.file })
  if (given.env !== undefined) sources.push({ from: 'environment', variable: given.env })
  if (sources.length > 1) throw wrong(`choose one of --${name}-stdin, --${name}-file and --${name}-env`)
  return sources[0] ?? null
}

/**
 * Reads the secrets that were asked for, at most one of them from standard input. One line break at the end is removed.
 *
 * @throws TokenError `invalid_input`
 */
export async function readSecrets<Name extends SecretName>(
  sources: Readonly<Record<Name, SecretSource | null>>,
  around: Surroundings,
): Promise<Record<Name, string | undefined>> {
  const names = Object.keys(sources) as Name[]
  const fromStdin = names.filter((name) => sources[name]?.from === 'stdin')
  if (fromStdin.length > 1) {
    throw wrong(`only one secret can come from standard input, not ${fromStdin.join(' and ')}: use a file for the rest`)
  }
  const read: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const source = sources[name]
    if (source !== null) read[name] = await readSecret(name, source, around)
  }
  return read as Record<Name, string | undefined>
}

async function readSecret(name: SecretName, source: SecretSource, around: Surroundings): Promise<string> {
  const text = await readSource(name, source, around)
  const secret = text.replace(/\r?\n$/, '')
  if (secret === '') throw wrong(`${whence(name, source)} is empty: ${wordsOf(name)} was expected`)
  return secret
}

async function readSource(name: SecretName, source: SecretSource, around: Surroundings): Promise<string> {
  switch (source.from) {
    case 'environment': {
      const value = around.environment[source.variable]
      // The name is not repeated: who takes the option for a place to put the secret gives the secret as the name.
      if (value === undefined) throw wrong(`the variable that --${name}-env names is not set`)
      return value
    }
    case 'file':
      return decode(
        await readFileBytes(source.said ?? `--${name}-file`, resolve(around.folder, source.path)),
        whence(name, source),
      )
    case 'stdin':
      if (around.input.isTTY !== true) return decode(await drain(around, name), whence(name, source))
      if (name === 'token-response' || name === 'client-key') {
        throw wrong(`standard input is a terminal: hand ${wordsOf(name)} over by a pipe, or use --${name}-file`)
      }
      return askAtTerminal(wordsOf(name), around)
  }
}

/**
 * The text of a file that is no secret.
 *
 * @param said the option that names it
 * @throws TokenError `invalid_input`
 */
export async function readPlainFile(said: string, path: string, around: Surroundings): Promise<string> {
  return decode(await readFileBytes(said, resolve(around.folder, path)), `the file of ${said}`)
}

async function readFileBytes(said: string, path: string): Promise<Buffer> {
  try {
    const file = await open(path)
    try {
      // Not asked for its size, which pipes (`<(pass show app)`) do not have.
      const { buffer, bytesRead } = await readAtMost(file, BYTES_MAX + 1)
      if (bytesRead > BYTES_MAX) throw wrong(`the file of ${said} has more than ${BYTES_MAX} bytes`)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof TokenError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const words = { ENOENT: 'does not exist', EACCES: 'may not be read by this user', EISDIR: 'is a folder' }
    throw wrong(`the file that ${said} names ${code in words ? words[code as keyof typeof words] : 'cannot be read'}`)
  }
}

async function readAtMost(
  file: Awaited<ReturnType<typeof open>>,
  bytesMax: number,
): Promise<{ buffer: Buffer; bytesRead: number }> {
  const buffer = Buffer.alloc(bytesMax)
  let filled = 0
  while (filled < bytesMax) {
    const { bytesRead } = await file.read(buffer, filled, bytesMax - filled, null)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return { buffer, bytesRead: filled }
}

async function drain({ input, interruption }: Surroundings, name: SecretName): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  const stop = (): void => void input.destroy()
  interruption.signal.addEventListener('abort', stop)
  try {
    for await (const chunk of input) {
      const part = Buffer.from(chunk as Uint8Array)
      bytes += part.length
      if (bytes > BYTES_MAX) throw wrong(`standard input has more than ${BYTES_MAX} bytes: that is no ${name}`)
      chunks.push(part)
    }
  } catch (error) {
    if (error instanceof TokenError) throw error
    throw wrong(`standard input ended before ${wordsOf(name)} was read`)
  } finally {
    interruption.signal.removeEventListener('abort', stop)
  }
  return Buffer.concat(chunks)
}

function decode(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw wrong(`${source} is not UTF-8 text`)
  }
}

/** Asks without showing what is typed. */
async function askAtTerminal(what: string, { input, complaints, interruption }: Surroundings): Promise<string> {
  complaints.write(`Enter ${what} (it is not shown): `)
  input.setRawMode?.(true)
  let typed = ''
  const stop = (): void => void input.destroy()
  interruption.signal.addEventListener('abort', stop)
  try {
    for await (const chunk of input) {
      for (const key of String(chunk)) {
        if (key === '\r' || key === '\n') return typed
        // In raw mode the terminal sends ^C and ^D as characters.
        if (key === '\u0003') throw wrong('given up')
        if (key === '\u0004') return typed
        if (key === '\u007f' || key === '\b') typed = typed.slice(0, -1)
        else typed += key
      }
    }
    return typed
  } catch (error) {
    if (error instanceof TokenError) throw error
    throw wrong(`the terminal went away before ${what} was read`)
  } finally {
    interruption.signal.removeEventListener('abort', stop)
    input.setRawMode?.(false)
    complaints.write('\n')
    input.destroy()
  }
}

const wordsOf = (name: SecretName): string => `the ${name.replace('-', ' ').replace('api', 'API')}`

function whence(name: SecretName, source: SecretSource): string {
  switch (source.from) {
    case 'stdin':
      return 'standard input'
    case 'file':
      return `the file of ${source.said ?? `--${name}-file`}`
    case 'environment':
      return name === 'api-key' ? source.variable : `the variable of --${name}-env`
  }
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
