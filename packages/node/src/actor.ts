/** Who does something: the program around us, a person at the command, a caller of a server. */
import { TokenError } from '@tokenkeep/core'
import type { Recipient } from './minute-rows.ts'

export type Actor =
  /** The program that opened this Tokenkeep. */
  | { readonly kind: 'library' }
  /** The `tokenkeep` command on the machine of the data: the user and host as the system names them, and its process. */
  | { readonly kind: 'command'; readonly user: string; readonly host: string; readonly pid: number }
  /** A caller of a server: the id of its API key (`key_...`), and of the identity that it was known by (`idn_...`). */
  | { readonly kind: 'api_key'; readonly id: string; readonly identity: string | null }

export const LIBRARY: Actor = { kind: 'library' }

/** As whom hand-outs to an actor are counted. */
export const recipientOf = (actor: Actor): Recipient =>
  actor.kind === 'api_key' ? { caller: actor.id, identity: actor.identity ?? '' } : { caller: actor.kind, identity: '' }

/** @throws TokenError `invalid_input` */
export function readActor(given: Actor): Actor {
  switch (given?.kind) {
    case 'library':
      return LIBRARY
    case 'command':
      return {
        kind: 'command',
        user: name('user', given.user),
        host: name('host', given.host),
        pid: Number.isSafeInteger(given.pid) ? given.pid : wrong('pid', 'a whole number'),
      }
    case 'api_key':
      return {
        kind: 'api_key',
        id: id('id', given.id, /^key_\w{1,80}$/),
        identity: given.identity === null ? null : id('identity', given.identity, /^idn_\w{1,80}$/),
      }
    default:
      throw new TokenError('invalid_input', 'an actor is of kind library, command or api_key')
  }
}

const NAME_LONGEST = 256
const name = (member: string, given: unknown): string =>
  typeof given === 'string' && given !== '' && given.length <= NAME_LONGEST
    ? given
    : wrong(member, `a text of 1 to ${NAME_LONGEST} characters`)
/** The value is not repeated: whoever mistakes a key for its id must not find it in an error. */
const id = (member: string, given: unknown, shape: RegExp): string =>
  typeof given === 'string' && shape.test(given) ? given : wrong(member, 'an id of ours')

function wrong(member: string, what: string): never {
  throw new TokenError('invalid_input', `${member} of an actor is ${what}`)
}
