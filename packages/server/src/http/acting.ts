/** The library as a caller uses it: what is handed out through it is counted as handed to that caller. */
import type { Tokenkeep } from '@tokenkeep/node'
import type { Caller } from './caller.ts'

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
