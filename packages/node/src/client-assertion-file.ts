/**
 * An assertion that somebody else signs and renews in a file: a projected service-account token of Kubernetes, a workload's
 * identity. It is read anew for each request and kept nowhere.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Secret } from '@tokenkeep/core'

/** As much as any server takes in a form. */
const BYTES_MAX = 16 * 1024
/** RFC 7515 section 7.1, signed: whatever else a file holds, it is not sent to anybody. */
const SIGNED_JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** @returns the assertion, or null where the file is missing, cannot be read, or holds anything else than one signed JWT */
export async function readAssertionFile(path: string): Promise<Secret<'client_assertion'> | null> {
  const text = await textIn(path)
  return text === null ? null : new Secret('client_assertion', text)
}

/**
 * When the assertion in the file ends, by its own `exp` (RFC 7519 section 4.1.4).
 *
 * @returns epoch milliseconds; null: it does not say; `unusable`: there is no assertion
 */
export async function assertionFileEnd(path: string): Promise<number | null | 'unusable'> {
  const text = await textIn(path)
  if (text === null) return 'unusable'
  const { decodeJwt } = await import('jose')
  try {
    const { exp } = decodeJwt(text)
    return exp === undefined ? null : exp * 1000
  } catch {
    return 'unusable'
  }
}

async function textIn(path: string): Promise<string | null> {
  try {
    // A pipe that nobody writes to would keep the request waiting for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile() || stat.size > BYTES_MAX) return null
      const buffer = Buffer.alloc(BYTES_MAX + 1)
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
      const text = buffer.toString('latin1', 0, bytesRead).replace(/\r?\n$/, '')
      return bytesRead <= BYTES_MAX && SIGNED_JWT.test(text) ? text : null
    } finally {
      await file.close()
    }
  } catch {
    return null
  }
}
