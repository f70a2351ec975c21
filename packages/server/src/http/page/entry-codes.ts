/** Codes with which a browser that was opened from a terminal signs in, without anybody copying a key. */
import { hash, randomBytes } from 'node:crypto'
import { later, ms, type Clock, type MonoMs } from '@tokenkeep/core'

export interface EntryCodes {
  /** @param apiKey the id of the key to sign in with. @returns a code that is good once, for a minute */
  make(apiKey: string): string
  /** @returns the id of the key; null: nobody made this code, or it was used, or its minute is over */
  take(code: string): string | null
}

const LASTS_MS = 60_000
const MOST = 100

/** They live in the memory of the process that made them: who prints one answers for it. */
export function createEntryCodes({ clock }: { readonly clock: Pick<Clock, 'now'> }): EntryCodes {
  const made = new Map<string, { readonly apiKey: string; readonly until: MonoMs }>()
  return {
    make(apiKey) {
      const oldest = made.size >= MOST ? made.keys().next().value : undefined
      if (oldest !== undefined) made.delete(oldest)
      const code = randomBytes(24).toString('base64url')
      made.set(digestOf(code), { apiKey, until: later(clock.now().mono, ms(LASTS_MS)) })
      return code
    },
    take(code) {
      const digest = digestOf(code)
      const found = made.get(digest)
      if (found === undefined) return null
      made.delete(digest)
      return clock.now().mono < found.until ? found.apiKey : null
    },
  }
}

const digestOf = (code: string): string => hash('sha256', code, 'base64url')
