/** Which connection a client means by its id, where it may use it. */
import { parseConnectionId, TokenError, type Clock, type MonoMs } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import { createBelieved } from '../bounded.ts'
import type { Caller, CallerDesk } from '../caller.ts'
import { createConfirm } from './confirmation.ts'
import type { Source } from './sources.ts'

/** A connection as a client names it. */
export interface Meant {
  readonly caller: Caller
  readonly realm: string
  readonly named: string
}

export interface Targets {
  /** What it means to this caller in this realm, where the database said so within the last second. */
  believed(meant: Meant, now: MonoMs): Source | undefined
  /**
   * The same from the database. Null: there is none of this id in this realm, or it is being deleted, or it does not exist
   * for this caller; which of them cannot be told by the time that it takes.
   */
  ask(meant: Meant): Promise<Source | null>
}

const TARGETS_MAX = 10_000

export function createTargets({
  keep,
  desk,
  clock,
}: {
  readonly keep: Pick<Tokenkeep, 'connections'>
  readonly desk: Pick<CallerDesk, 'admits'>
  readonly clock: Pick<Clock, 'now'>
}): Targets {
  const believed = createBelieved<Source>(TARGETS_MAX)
  const nameOf = ({ caller, realm, named }: Meant): string => `${caller.apiKey.id}\n${realm}\n${named}`

  const look = async ({ caller, realm, named }: Meant) => {
    const parsed = parseConnectionId(named)
    if ('wrong' in parsed || !(await desk.admits(caller, parsed.id))) return null
    const found = await keep.connections.get(parsed.id).catch(nullWhereGone)
    return found === null || found.provider !== realm || found.status === 'deleting' ? null : found
  }

  const isStill = async (meant: Meant, uid: string): Promise<boolean> => {
    if ((await look(meant))?.uid === uid) return true
    believed.forget(nameOf(meant))
    return false
  }

  return {
    believed: (meant, now) => believed.get(nameOf(meant), now),
    async ask(meant) {
      const since = clock.now().mono
      try {
        const found = await look(meant)
        if (found === null) return null
        const { id, uid, scope } = found
        const target = { connection: id, scope, confirm: createConfirm(() => isStill(meant, uid)) }
        believed.put(nameOf(meant), target, since)
        return target
      } catch (error) {
        return believed.instead(nameOf(meant), error, since)
      }
    },
  }
}

function nullWhereGone(error: unknown): null {
  if (error instanceof TokenError && (error.code === 'unknown_connection' || error.code === 'deleting')) return null
  throw error
}
