/** What local refresh tokens stand for, and for whom. */
import type { Clock, HandOut, MonoMs } from '@tokenkeep/core'
import type { Callers, Shared } from '@tokenkeep/node'
import type { Caller } from '../caller.ts'
import { createBelieved } from './bounded.ts'

/** A local refresh token as it was presented. */
export interface Presented {
  readonly token: string
  readonly caller: Caller
  readonly realm: string
}

export interface Share extends Shared {
  /** Hand-outs of which it is known, or being asked, that they are of the connection which was shared. */
  readonly confirmed: WeakMap<HandOut, true | Promise<boolean>>
}

export interface Shares {
  /** What it stands for to this caller in this realm, where the database said so within the last second. */
  believed(presented: Presented, now: MonoMs): Share | undefined
  /** The same from the database. Null: unknown, revoked, another client's, or another realm's. */
  ask(presented: Presented): Promise<Share | null>
  /**
   * Whether a hand-out is of the connection that was shared. Connections are handed out by their ids, and an id that
   * was deleted can be given to somebody else's sign-in: while the token is in force, it was not.
   */
  confirm(token: string, share: Share, given: HandOut): true | Promise<boolean>
  /** It was revoked here. */
  forget(token: string): void
}

const TOKENS_MAX = 10_000

export function createShares({
  callers,
  clock,
}: {
  readonly callers: Callers
  readonly clock: Pick<Clock, 'now'>
}): Shares {
  const believed = createBelieved<Share>(TOKENS_MAX)

  const isFor = ({ caller, realm }: Presented, shared: Shared): boolean =>
    shared.apiKey === caller.apiKey.id && shared.provider === realm

  return {
    believed(presented, now) {
      const share = believed.get(presented.token, now)
      return share !== undefined && isFor(presented, share) ? share : undefined
    },
    async ask(presented) {
      const { token } = presented
      const since = clock.now().mono
      const shared = await callers.byLocalRefreshToken(token)
      // Labels were compared when it was shared, and no key or connection ever changes its own.
      if (shared === null || !isFor(presented, shared)) return null
      const share: Share = { ...shared, confirmed: new WeakMap() }
      believed.put(token, share, since)
      return share
    },
    confirm(token, share, given) {
      const known = share.confirmed.get(given)
      if (known !== undefined) return known
      const asking = callers.byLocalRefreshToken(token).then(
        (shared) => {
          if (shared?.id !== share.id) {
            believed.forget(token)
            return false
          }
          share.confirmed.set(given, true)
          return true
        },
        (error: unknown) => {
          share.confirmed.delete(given)
          throw error
        },
      )
      share.confirmed.set(given, asking)
      return asking
    },
    forget: believed.forget,
  }
}
