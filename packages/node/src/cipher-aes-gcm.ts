/**
 * Seals and opens secrets with AES-256-GCM.
 *
 * A ciphertext is one run of bytes: version (1 byte, 1), key id (8), nonce (12), encrypted text (as long as the secret's
 * UTF-8), tag (16). Its associated data are version and key id, then installation, owner, purpose and serial, each with
 * its length in front: moved to another place, it does not open.
 */
import { createCipheriv, createDecipheriv, createHmac, randomFillSync, type KeyObject } from 'node:crypto'
import { Secret, TokenError } from '@tokenkeep/core'
import type { Cipher, Fingerprint, Place, Sealed, Sealer } from '@tokenkeep/core'
import { expandToKey, joinUnambiguously } from './key-derivation.ts'
import type { Keyring, MasterKey } from './keyring.ts'

const VERSION = 1
const HEADER_BYTES = 9
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** How much longer a ciphertext is than its secret. */
export const SEALING_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES

export interface AesGcmCipher extends Cipher {
  /** The id of the master key that sealed it. */
  keyOf(sealed: Sealed): string
  /** The id of the one that seals now. */
  currentKey(): string
}

/**
 * @param installation the id of this installation: ciphertexts of another one do not open, fingerprints do not match
 * @param keys seals with the current master key, opens with all of them
 */
export function createAesGcmCipher({ installation, keys }: { installation: string; keys: Keyring }): AesGcmCipher {
  const masters = new Map(keys.keys.map((master) => [master.id, master]))
  let current = keys.current
  let again = keys.again
  // A key that was added while this process runs is found without a restart; one that was removed opens as long as it runs.
  const renew = (): void => {
    const found = again?.() ?? null
    if (found === null) return
    again = found.again
    // The keys of another installation: whoever put them there finds out at the next start.
    if (!found.fingerprintKey.equals(keys.fingerprintKey)) return
    for (const master of found.keys) masters.set(master.id, master)
    current = found.current
  }
  const fingerprintKey = expandToKey(keys.fingerprintKey, joinUnambiguously('tokenkeep 1 fingerprints', installation))
  const nonces = createNonces()
  const ownKey = createOwnKeys(installation)
  const sealer: Sealer = {
    seal: (secret, place) =>
      seal(secret, {
        installation,
        place,
        key: ownKey(current, place),
        master: current,
        nonce: nonces.next(),
      }),
    fingerprint: (secret) =>
      createHmac('sha256', fingerprintKey).update(secret.reveal()).digest('base64url') as Fingerprint,
  }
  return {
    sealer: () => {
      renew()
      return Promise.resolve(sealer)
    },
    keyOf: (sealed) => Buffer.from(sealed.subarray(1, HEADER_BYTES)).toString('hex'),
    currentKey: () => current.id,
    open: (kind, sealed, place) => {
      // Whoever writes the table can put a number or a text there, whatever the type says.
      if (!(sealed instanceof Uint8Array) || sealed.length < SEALING_BYTES || sealed[0] !== VERSION) return 'tampered'
      const id = Buffer.from(sealed.subarray(1, HEADER_BYTES)).toString('hex')
      if (!masters.has(id)) renew()
      const master = masters.get(id)
      if (master === undefined) return 'no_key'
      const text = open(sealed, { installation, place, key: ownKey(master, place) })
      return text === null ? 'tampered' : new Secret(kind, text)
    },
  }
}

interface Where {
  readonly installation: string
  readonly place: Place
  /** The key of this place's owner and class of purposes. */
  readonly key: KeyObject
}

function seal(
  secret: Secret<string>,
  { nonce, master, ...where }: Where & { readonly nonce: Uint8Array; readonly master: MasterKey },
): Sealed {
  const text = secret.reveal()
  // UTF-8 has no half characters: it would come back as another secret.
  if (!text.isWellFormed()) throw new TokenError('invalid_input', `a ${secret.kind} holds half of a surrogate pair`)
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = VERSION
  header.write(master.id, 1, 'hex')
  const cipher = createCipheriv('aes-256-gcm', where.key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(associatedData(header, where))
  const parts = [header, nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
  const sealed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    sealed.set(part, at)
    at += part.length
  }
  return sealed as Sealed
}

function open(sealed: Uint8Array, where: Where): string | null {
  const header = sealed.subarray(0, HEADER_BYTES)
  const nonce = sealed.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', where.key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData(header, where))
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const text = decipher.update(sealed.subarray(HEADER_BYTES + NONCE_BYTES, sealed.length - TAG_BYTES))
  try {
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    // The tag does not match. Node says nothing more, and nobody may learn more.
    return null
  }
}

// A refresh needs the keys of one connection four times within a second. Each takes about 500 bytes.
const OWN_KEYS_MAX = 2048

/**
 * Each owner has a key of its own for each class of purposes, so random nonces are never drawn too often for one key. Those
 * derived last are remembered.
 */
function createOwnKeys(installation: string): (master: MasterKey, place: Place) => KeyObject {
  const derived = new Map<string, KeyObject>()
  return (master, { purpose, owner }) => {
    const [of = ''] = purpose.split(':', 1)
    const name = `${master.id} ${of} ${owner}`
    const known = derived.get(name)
    if (known !== undefined) return known
    const key = expandToKey(master.key, joinUnambiguously('tokenkeep 1 sealing', installation, of, owner))
    if (derived.size >= OWN_KEYS_MAX) derived.delete(derived.keys().next().value ?? '')
    derived.set(name, key)
    return key
  }
}

const associatedData = (header: Uint8Array, { installation, place }: Pick<Where, 'installation' | 'place'>): Buffer =>
  Buffer.concat([header, joinUnambiguously(installation, place.owner, place.purpose, place.serial)])

/** Random nonces, drawn in blocks because one draw costs more than a seal. */
function createNonces(): { next(): Uint8Array } {
  const block = Buffer.alloc(NONCE_BYTES * 64)
  let at = block.length
  return {
    next: () => {
      if (at === block.length) {
        randomFillSync(block)
        at = 0
      }
      // A view: whoever takes it copies it before the next draw.
      const nonce = block.subarray(at, at + NONCE_BYTES)
      at += NONCE_BYTES
      return nonce
    },
  }
}
