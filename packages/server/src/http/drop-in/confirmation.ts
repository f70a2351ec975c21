/**
 * Whether a hand-out is of the connection that was meant.
 *
 * Tokens are asked for by the id of a connection, and an id that was deleted can be given to somebody else's sign-in:
 * between the look at what a client may use and the token there may be a second of belief, or half a minute of waiting.
 */
import type { HandOut } from '@tokenkeep/core'

/** True: it is known to be. Hand-outs are shared objects, so each is asked about once. */
export type Confirm = (given: HandOut) => true | Promise<boolean>

/** @param ask whether the client may still use what it was told that it may use; asked after the token was there */
export function createConfirm(ask: () => Promise<boolean>): Confirm {
  const known = new WeakMap<HandOut, true | Promise<boolean>>()
  return (given) => {
    const before = known.get(given)
    if (before !== undefined) return before
    const asking = ask().then(
      (confirmed) => {
        if (confirmed) known.set(given, true)
        return confirmed
      },
      (error: unknown) => {
        known.delete(given)
        throw error
      },
    )
    known.set(given, asking)
    return asking
  }
}
