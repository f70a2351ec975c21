/**
 * The installation's keys in memory: named master keys that seal and open, and one fingerprint key.
 *
 * Master keys can be added and retired; the fingerprint key is made from the first one and never changes, because a
 * changed fingerprint would make every stored token look new.
 */
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { TokenError } from '@tokenkeep/core'
import { expand, expandToKey, joinUnambiguously } from './key-derivation.ts'

export interface MasterKey {
  /** For people: what a key file calls it. */
  readonly name: string
  /** 16 hexadecimal digits made from the key: what a ciphertext calls it. Not secret. */
  readonly id: string
  readonly key: KeyObject
}

export interface Keyring {
  /** Where it was read from, for messages: `key file ...` or `the variable TOKENKEEP_KEY`. */
  readonly source: string
  /** Of a key file; absent where the keys stand in a variable. */
  readonly file?: string
  /** Seals. */
  readonly current: MasterKey
  /** All that can open, the current one among them. */
  readonly keys: readonly MasterKey[]
  readonly fingerprintKey: KeyObject
  /** What its source has by now, where that can change: null: the same, or nothing that can be read. */
  readonly again?: () => Keyring | null
}

const KEY_BYTES = 32

/** A new master key, random. */
export const newMasterKey = (name: string): MasterKey => masterKey(name, randomBytes(KEY_BYTES))

/** @param bytes exactly 32; cleared afterwards, so that the key is only where it does not print */
export function masterKey(name: string, bytes: Buffer): MasterKey {
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return { name, id: expand(key, joinUnambiguously('tokenkeep 1 key id')).toString('hex', 0, 8), key }
}

/** The fingerprint key of an installation whose first master key this is. */
export const fingerprintKeyOf = (first: MasterKey): KeyObject =>
  expandToKey(first.key, joinUnambiguously('tokenkeep 1 fingerprint key'))

/** What a database keeps to recognise its keyring by. Not secret: nothing can be computed from it. */
export interface KeyCheck {
  /** Made from the fingerprint key, which never changes: the same after every key rotation. */
  readonly value: string
  /** The id of the master key that sealed last. */
  readonly sealedWith: string
}

export const checkOf = (keys: Keyring): KeyCheck => ({
  value: expand(keys.fingerprintKey, joinUnambiguously('tokenkeep 1 check value')).toString('base64url'),
  sealedWith: keys.current.id,
})

/**
 * Refuses a keyring that is not the one of this database.
 *
 * @param database its path or name, for the message
 * @throws TokenError `key_wrong`
 */
export function assertOwnKeys(keys: Keyring, kept: KeyCheck, database: string): void {
  if (checkOf(keys).value !== kept.value) {
    throw new TokenError(
      'key_wrong',
      `the master key in ${keys.source} is not the one that ${database} was made with. Nothing was changed. ` +
        `Use the key it was made with, or another database.`,
    )
  }
  if (!keys.keys.some((key) => key.id === kept.sealedWith)) {
    throw new TokenError(
      'key_wrong',
      `${database} is sealed with a master key that is missing in ${keys.source} (key id ${kept.sealedWith}). ` +
        `Nothing was changed. Put that key back; a newer one can stand before it.`,
    )
  }
}

/**
 * 32 bytes written as base64url or base64, with or without padding.
 *
 * @returns the bytes, or a sentence about what is wrong that tells nothing of the text but its length
 */
export function parseKeyBytes(text: string): { bytes: Buffer } | { wrong: string } {
  const wrong = `a key is 32 bytes in base64url: 43 characters A-Z a-z 0-9 - _, this has ${text.length} characters`
  if (!/^(?:[\w-]{43}|[A-Za-z0-9+/]{43})=?$/.test(text)) {
    return { wrong: text.length === 43 ? `${wrong}, and others among them` : wrong }
  }
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === KEY_BYTES ? { bytes } : { wrong }
}
