/**
 * How an access token is written onto a request to an API: the one place that does it, whatever the type of the token.
 *
 * @see RFC 6750 section 2.1 (Bearer); RFC 6749 section 7.1 (an unknown type must not be used)
 */
import { TokenError } from '@tokenkeep/core'

export interface TokenWritten {
  readonly accessToken: string
  /** As the provider wrote it; compared without regard to case. */
  readonly tokenType: string
}

/** The headers that are written here. What a caller brought under these names is not sent. */
export const TOKEN_HEADERS: readonly string[] = ['authorization', 'dpop']

/**
 * The headers that carry a token.
 *
 * @throws TokenError `invalid_input`: a type other than Bearer, or a token that no header can carry
 */
export function tokenHeaders(
  { accessToken, tokenType }: TokenWritten,
  connectionId: string,
): Readonly<Record<string, string>> {
  const refuse = (what: string): never => {
    throw new TokenError('invalid_input', `the access token of connection "${connectionId}" ${what}`, {
      subject: connectionId,
    })
  }
  if (tokenType.toLowerCase() !== 'bearer') {
    return refuse('is not a Bearer token, and no other type can be written onto a request')
  }
  // Headers of a platform would repeat the token in their complaint.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) return refuse('has a character that no header can carry')
  return { authorization: `Bearer ${accessToken}` }
}
