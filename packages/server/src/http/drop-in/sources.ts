/** Which connection serves the own credentials of a client in a realm. */
import type { Clock, MonoMs } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import type { Caller } from '../caller.ts'
import { createBelieved } from '../bounded.ts'
import { createConfirm, type Confirm } from './confirmation.ts'

export interface Source {
  readonly connection: string
  /** The scope that the connection was granted; null: as asked for. */
  readonly scope: string | null
  readonly confirm: Confirm
}

export interface Sources {
  /** What serves this caller in this realm, where the database said so within the last second. */
  believed(caller: Caller, realm: string, now: MonoMs): Source | undefined
  /**
   * The same from the database. Null: the key names none there, or what has that name now is not for it.
   *
   * @throws TokenError `unknown_connection`, `deleting`: it went meanwhile
   */
  ask(caller: Caller, realm: string): Promise<Source | null>
}

const SOURCES_MAX = 10_000

export function createSources({
  keep,
  clock,
}: {
  readonly keep: Pick<Tokenkeep, 'callers' | 'connections'>
  readonly clock: Pick<Clock, 'now'>
}): Sources {
  const believed = createBelieved<Source>(SOURCES_MAX)
  const nameOf = ({ apiKey }: Caller, realm: string): string => `${apiKey.id}\n${realm}`

  const isStill = async (connection: string, caller: Caller, realm: string): Promise<boolean> => {
    if ((await keep.callers.source(caller.apiKey, realm)) === connection) return true
    believed.forget(nameOf(caller, realm))
    return false
  }

  return {
    believed: (caller, realm, now) => believed.get(nameOf(caller, realm), now),
    async ask(caller, realm) {
      const since = clock.now().mono
      try {
        const connection = await keep.callers.source(caller.apiKey, realm)
        if (connection === null) return null
        const { scope } = await keep.connections.get(connection)
        const source = { connection, scope, confirm: createConfirm(() => isStill(connection, caller, realm)) }
        believed.put(nameOf(caller, realm), source, since)
        return source
      } catch (error) {
        return believed.instead(nameOf(caller, realm), error, since)
      }
    },
  }
}
