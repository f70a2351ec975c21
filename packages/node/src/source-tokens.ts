/** The access token of another connection, for a grant that exchanges it: handed out like to any caller. */
import { Secret, type Clock, type HandOut } from '@tokenkeep/core'
import type { SourceToken } from './grant-material.ts'

export interface SourceTokens {
  readonly token: SourceToken
  /** Whoever hands out needs the endpoint first, and is made after it. */
  from(handOut: (id: string) => Promise<HandOut>): void
}

export function createSourceTokens(clock: Pick<Clock, 'alarm'>): SourceTokens {
  let handOut: ((id: string) => Promise<HandOut>) | null = null
  return {
    from(given) {
      handOut = given
    },
    async token(id, withinMs) {
      if (handOut === null) return null
      // Why it has none is said to whoever asks for that connection.
      const token = handOut(id).then(
        ({ accessToken }) => new Secret('access_token', accessToken),
        () => null,
      )
      if (withinMs === null) return token
      const alarm = clock.alarm(withinMs)
      try {
        return await Promise.race([token, alarm.rung.then(() => null)])
      } finally {
        alarm.cancel()
      }
    },
  }
}
