/** What whoever waits for a sign-in is told where it brought nothing. */
import { TokenError, type ConnectFailure } from '@tokenkeep/core'
import { failureInWords } from '../http/connect/words.ts'

export function signInFailed(because: ConnectFailure, provider: string): TokenError {
  const { title, text } = failureInWords(because, provider)
  return new TokenError(
    'sign_in_failed',
    `${title.charAt(0).toLowerCase()}${title.slice(1)}. ${text} Nothing was changed.`,
    {
      subject: provider,
    },
  )
}

export const tooLate = (): TokenError =>
  new TokenError('sign_in_failed', 'nobody signed in in time, so nothing was changed: `--wait SECONDS` waits longer')
