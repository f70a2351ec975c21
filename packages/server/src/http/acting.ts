/** The library as a caller uses it: what is handed out through it is counted as handed to that caller, and
 * what is done has its line in the audit log. */
import type { Tokenkeep } from '@tokenkeep/node'
import type { Caller } from './caller.ts'
import type { Log } from './log.ts'

export type Acting = (caller: Caller) => Tokenkeep

/** Made once for as long as a caller is remembered. */
export function createActing(keep: Tokenkeep): Acting {
  const known = new WeakMap<Caller, Tokenkeep>()
  return (caller) => {
    const before = known.get(caller)
    if (before !== undefined) return before
    const made = keep.by({ kind: 'api_key', id: caller.apiKey.id, identity: caller.identity })
    known.set(caller, made)
    return made
  }
}

export type Denied = (caller: Caller, operation: string, subject: string | undefined) => void

/** Notes that a caller is refused for lack of a scope. It is refused at once, and also where that cannot be noted. */
export const createDenied =
  (acting: Acting, log: Pick<Log, 'warn'>): Denied =>
  (caller, operation, subject) => {
    acting(caller)
      .audit.denied(operation, subject)
      .catch(() =>
        log.warn({ operation, apiKeyId: caller.apiKey.id }, 'a refusal could not be written to the audit log'),
      )
  }
