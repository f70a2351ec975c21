/** What local refresh tokens stand for, and for whom. */
import type { Clock, MonoMs } from '@tokenkeep/core'
import type { Callers, Shared } from '@tokenkeep/node'
import type { Caller } from '../caller.ts'
import { createBelieved } from '../bounded.ts'
import { createConfirm, type Confirm } from './confirmation.ts'

/** A local refresh token as it was presented. */
export interface Presented {
  readonly token: string
  readonly caller: Caller
  readonly realm: string
}

export interface Share extends Shared {
  /** While the token is in force its connection is not deleted, so that no other has its id. */
  readonly confirm: Confirm
}

export interface Shares {
  /** What it stands for to this caller in this realm, where the database said so within the last second. */
  believed(presented: Presented, now: MonoMs): Share | undefined
  /** The same from the database. Null: unknown, revoked, another client's, or another realm's. */
  ask(presented: Presented): Promise<Share | null>
  /** It was revoked here. */
  forget(token: string): void
  /** Something was revoked or deleted here. */
  forgetAll(): void
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

  const isInForce = async (token: string, id: string): Promise<boolean> => {
    const shared = await callers.byLocalRefreshToken(token)
    if (shared?.id === id) return true
    believed.forget(token)
    return false
  }

  return {
    believed(presented, now) {
      const share = believed.get(presented.token, now)
      return share !== undefined && isFor(presented, share) ? share : undefined
    },
    async ask(presented) {
      const { token } = presented
      const since = clock.now().mono
      const shared = await callers
        .byLocalRefreshToken(token)
        .catch((error: unknown) => believed.instead(token, error, since))
      if (shared !== null && 'confirm' in shared) return isFor(presented, shared) ? shared : null
      // Labels were compared when it was shared, and no key or connection ever changes its own.
      if (shared === null || !isFor(presented, shared)) return null
      const share: Share = { ...shared, confirm: createConfirm(() => isInForce(token, shared.id)) }
      believed.put(token, share, since)
      return share
    },
    forget: believed.forget,
    forgetAll: believed.forgetAll,
  }
}
