import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'

/** What https is spoken with. */
export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
}

/** A file of a setting that cannot be used, and why; `both`: they do not fit each other. */
export interface TlsMistake {
  readonly of: 'cert' | 'key' | 'both'
  /** The end of a sentence. */
  readonly says: string
}

/** Reads a certificate and its key, and tries them, so that a wrong file is met at the start and not by a caller. */
export async function readTlsFiles(files: {
  readonly cert: string
  readonly key: string
}): Promise<TlsFiles | readonly TlsMistake[]> {
  const [cert, key] = await Promise.all([read(files.cert), read(files.key)])
  const mistakes: TlsMistake[] = []
  if (typeof cert === 'string') mistakes.push({ of: 'cert', says: cert })
  if (typeof key === 'string') mistakes.push({ of: 'key', says: key })
  if (typeof cert === 'string' || typeof key === 'string') return mistakes
  // One after the other, for OpenSSL does not say which of the two it could not read.
  if (!isTaken({ cert })) return [{ of: 'cert', says: 'names a file that is no PEM certificate' }]
  if (!isTaken({ key })) return [{ of: 'key', says: 'names a file that is no PEM private key without passphrase' }]
  if (!isTaken({ cert, key })) return [{ of: 'both', says: 'is not the key of that certificate' }]
  return { cert, key }
}

/** The content, or the end of a sentence that says why not. */
async function read(path: string): Promise<Buffer | string> {
  try {
    return await readFile(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return `names a file that cannot be read (${code})`
  }
}

function isTaken(files: { readonly cert?: Buffer; readonly key?: Buffer }): boolean {
  try {
    createSecureContext(files)
    return true
  } catch {
    return false
  }
}
