/**
 * Names and counters. All are branded, so that a generation is never compared with a fence, nor an id with a uid.
 */
declare const brand: unique symbol
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name }

/** What people call a connection: chosen by them, unique among the living. */
export type ConnectionId = Branded<string, 'ConnectionId'>
/** What the machine calls a connection: random, never reused, also not after deletion. */
export type Uid = Branded<string, 'Uid'>
export type ProviderId = Branded<string, 'ProviderId'>
export type ClientId = Branded<string, 'ClientId'>
/** One intended presentation. Made by whoever intends it, so that every verb about it can be repeated safely. */
export type AttemptId = Branded<string, 'AttemptId'>
/** One manager in one process. */
export type OwnerId = Branded<string, 'OwnerId'>
/** A secret's own number: part of what its ciphertext is bound to, never used twice. */
export type Serial = Branded<string, 'Serial'>
/** HMAC-SHA-256 of a token under the installation key, base64url: names a token without telling it. */
export type Fingerprint = Branded<string, 'Fingerprint'>

/** Counts the sign-ins of a uid. Raised only by reconnect. */
export type GrantNo = Branded<number, 'GrantNo'>
/** Counts the refresh tokens of a grant. Raised only when a different refresh token is stored. */
export type Generation = Branded<number, 'Generation'>
/** Counts the writes to a row. */
export type Revision = Branded<number, 'Revision'>
/** Raised by each acquire of a uid. Later fence = sent later. */
export type Fence = Branded<number, 'Fence'>

/** One more than `counter`. */
export const next = <Counter extends GrantNo | Generation | Revision | Fence>(counter: Counter): Counter =>
  ((counter as number) + 1) as Counter

const CONNECTION_ID_LENGTH_MAX = 200
// Whoever mistakes a field for another would find the secret in an error, or a log of paths.
const OF_OURS = /^tk[ckr]_[A-Za-z0-9_-]{43}$/
const NAME_LENGTH_MAX = 64

/**
 * Checks an id that a person chose for a connection.
 *
 * @param text 1 to 200 characters without white space, control or invisible characters, not beginning with `-`, and no
 *   secret of ours
 * @returns the id, or a sentence that says what is wrong with it
 */
export function parseConnectionId(text: unknown): { id: ConnectionId } | { wrong: string } {
  if (typeof text !== 'string') return { wrong: 'a connection id is a string' }
  if (text === '') return { wrong: 'a connection id is not empty' }
  if (text.length > CONNECTION_ID_LENGTH_MAX) {
    return { wrong: `a connection id has at most ${CONNECTION_ID_LENGTH_MAX} characters, this one has ${text.length}` }
  }
  if (/[\s\p{C}]/u.test(text)) return { wrong: 'a connection id has no white space, control or invisible characters' }
  if (text.startsWith('-')) return { wrong: 'a connection id does not begin with "-"' }
  if (OF_OURS.test(text))
    return { wrong: 'a connection id is not a secret: that is an API key or a local refresh token' }
  if (text === '.' || text === '..') return { wrong: 'a connection id is not "." or ".."' }
  return { id: text.normalize('NFC') as ConnectionId }
}

/**
 * Checks the name of a provider or client; a provider's name is also the realm in the drop-in's path.
 *
 * @param text 1 to 64 of the characters `A-Z a-z 0-9 . _ -`, the first a letter or digit
 * @returns the name, or a sentence that says what is wrong with it
 */
export function parseName<Name extends ProviderId | ClientId>(
  what: 'provider' | 'client',
  text: unknown,
): { id: Name } | { wrong: string } {
  if (typeof text === 'string' && OF_OURS.test(text)) {
    return { wrong: `a ${what} id is not a secret: that is an API key or a local refresh token` }
  }
  if (typeof text === 'string' && text.length <= NAME_LENGTH_MAX && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text)) {
    return { id: text as Name }
  }
  return {
    wrong: `a ${what} id has 1 to ${NAME_LENGTH_MAX} of the characters A-Z a-z 0-9 . _ - and begins with a letter or digit`,
  }
}
