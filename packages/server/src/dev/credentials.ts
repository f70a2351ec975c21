/**
 * The credentials that `tokenkeep dev` prints for whoever tries it, kept in a file so that a restart prints the same.
 *
 * They are taken from it only where nobody else could read them and the database knows each of them; else all are made
 * anew, and the old ones end. Only one `dev` runs on a folder, so nobody else writes the file.
 */
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'
import { TokenError } from '@tokenkeep/core'
import type { ApiKey, ApiKeyScope, Tokenkeep } from '@tokenkeep/node'
import { MACHINE, PROVIDER, SHARED_CONNECTION } from './demo.ts'

/** Throw-away secrets: they open nothing but the demo on this machine. */
export interface Credentials {
  /** Of the HTTP API, with scope `admin`. */
  readonly apiKey: string
  /** An OAuth client of the drop-in: the id of a key with `token:read` alone... */
  readonly clientId: string
  /** ...and that key. */
  readonly clientSecret: string
  /** A local refresh token for that client. */
  readonly refreshToken: string
}

export interface Settled {
  readonly credentials: Credentials
  /** Why they are not the ones that were printed before, as the end of a sentence; null: they are, or there were none. */
  readonly replacedBecause: string | null
}

/** By which they are found again where the file is lost. Nobody else calls a key so. */
const ADMINISTRATOR = 'tokenkeep dev: administrator'
const OAUTH_CLIENT = 'tokenkeep dev: OAuth client'
const BYTES_MAX = 16 * 1024

/**
 * The credentials of a demo whose connections are there.
 *
 * @param path the file; readable for its owner alone
 * @throws TokenError `folder_unusable` where the file cannot be written
 */
export async function settleCredentials(keep: Tokenkeep, path: string): Promise<Settled> {
  const kept = await readKept(path)
  if ('credentials' in kept && (await areKnown(keep, kept.credentials))) {
    await nameSource(keep, kept.credentials.clientId)
    return { credentials: kept.credentials, replacedBecause: null }
  }
  // Also those of a `dev` that was killed before it could write them down.
  for (const { id, name, revokedAt } of await keep.apiKeys.list()) {
    if (revokedAt === null && (name === ADMINISTRATOR || name === OAUTH_CLIENT)) await keep.apiKeys.revoke(id)
  }
  const credentials = await make(keep)
  await write(path, credentials)
  const because = 'credentials' in kept ? 'the database does not know them any more' : kept.unusable
  return { credentials, replacedBecause: because }
}

async function make(keep: Tokenkeep): Promise<Credentials> {
  const { key: apiKey } = await keep.apiKeys.create({ name: ADMINISTRATOR, scopes: ['admin'] })
  const sources = { [PROVIDER]: MACHINE }
  const client = await keep.apiKeys.create({ name: OAUTH_CLIENT, scopes: ['token:read'], sources })
  const { refreshToken } = await keep.localRefreshTokens.share(SHARED_CONNECTION, { with: client.apiKey.id })
  return { apiKey, clientId: client.apiKey.id, clientSecret: client.key, refreshToken }
}

async function areKnown(keep: Tokenkeep, credentials: Credentials): Promise<boolean> {
  const { apiKey, clientId, clientSecret, refreshToken } = credentials
  const [administrator, client, shared] = await Promise.all([
    keep.callers.byKey(apiKey),
    keep.callers.byKey(clientSecret),
    keep.callers.byLocalRefreshToken(refreshToken),
  ])
  const may = (key: ApiKey | null, scope: ApiKeyScope): boolean => key?.scopes.join() === scope
  return (
    may(administrator, 'admin') &&
    may(client, 'token:read') &&
    client?.id === clientId &&
    shared?.apiKey === clientId &&
    shared.connection === SHARED_CONNECTION
  )
}

/** Somebody may have deleted the machine's connection, which is there again by now. */
async function nameSource(keep: Tokenkeep, clientId: string): Promise<void> {
  const client = await keep.apiKeys.get(clientId)
  if ((await keep.callers.source(client, PROVIDER)) === MACHINE) return
  await keep.apiKeys.setSource(clientId, PROVIDER, MACHINE)
}

// ---- the file ------------------------------------------------------------------------------------------------------

type Kept = { readonly credentials: Credentials } | { readonly unusable: string | null }

/** Nothing of its content is ever told. */
async function readKept(path: string): Promise<Kept> {
  try {
    // Without O_NONBLOCK a pipe of that name would wait for a writer for ever.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const found = await file.stat()
    if (!found.isFile() || found.size > BYTES_MAX) return { unusable: 'the file is not one that dev writes' }
    // Windows has no such bits; there the user's folders keep others out.
    if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
      return { unusable: 'other users of this machine could read the file' }
    }
    const credentials = credentialsIn(await file.readFile('utf8'))
    return credentials === null ? { unusable: 'the file is not one that dev writes' } : { credentials }
  } catch (error) {
    return { unusable: codeOf(error) === 'ENOENT' ? null : `the file cannot be read (${codeOf(error)})` }
  }
}

function credentialsIn(text: string): Credentials | null {
  try {
    const value = JSON.parse(text) as unknown
    return isCredentials(value) ? value : null
  } catch {
    return null
  }
}

function isCredentials(value: unknown): value is Credentials {
  if (typeof value !== 'object' || value === null) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return ['apiKey', 'clientId', 'clientSecret', 'refreshToken'].every((name) => typeof members.get(name) === 'string')
}

/** All at once and durably: whoever starts next finds all of it or what was there before. */
async function write(path: string, credentials: Credentials): Promise<void> {
  const draft = `${path}.new`
  try {
    await rm(draft, { force: true })
    await writeDraft(draft, `${JSON.stringify(credentials, null, 2)}\n`)
    await rename(draft, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw new TokenError(
      'folder_unusable',
      `${path} cannot be written (${codeOf(error)}). Make it and its folder writable for this user, remove what else ` +
        'has that name, or choose another folder with --data.',
    )
  }
}

async function writeDraft(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(text)
  await file.sync()
}

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder to sync it, and writes names through by itself.
  if (process.platform === 'win32') return
  await using folder = await open(path, 'r')
  await folder.sync()
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : 'unknown')
