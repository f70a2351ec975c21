/**
 * How an access token is written onto a request to an API: the one place that does it, whatever the type of the token.
 *
 * @see RFC 6750 section 2.1 (Bearer); RFC 9449 section 7.1 (DPoP); RFC 6749 section 7.1 (an unknown type must not be used)
 */
import { TokenError } from '@tokenkeep/core'
import type { ApiProofs } from './api-proofs.ts'

export interface TokenWritten {
  readonly accessToken: string
  /** As the provider wrote it; compared without regard to case. */
  readonly tokenType: string
  /** The thumbprint of the key that it is bound to; absent: it is bound to none. */
  readonly dpopJkt?: string | undefined
}

/** Where a token goes: what a proof is made for. */
export interface TokenUse {
  readonly connectionId: string
  /** The id of the connection's provider. */
  readonly provider: string
  readonly method: string
  readonly url: URL
}

/** The headers that are written here. What a caller brought under these names is not sent. */
export const TOKEN_HEADERS: readonly string[] = ['authorization', 'dpop']

/**
 * The headers that carry a token, with a proof of its own where it is bound to a key.
 *
 * @throws TokenError `invalid_input`: a type other than Bearer and DPoP, a DPoP token whose key is not here, or a token that
 *   no header can carry; and whatever making a proof throws
 */
export async function tokenHeaders(
  { accessToken, tokenType, dpopJkt }: TokenWritten,
  use: TokenUse,
  proofs: Pick<ApiProofs, 'make'>,
): Promise<Readonly<Record<string, string>>> {
  const { connectionId } = use
  const refuse = (what: string): never => {
    throw new TokenError('invalid_input', `the access token of connection "${connectionId}" ${what}`, {
      subject: connectionId,
    })
  }
  // Headers of a platform would repeat the token in their complaint.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) return refuse('has a character that no header can carry')
  switch (tokenType.toLowerCase()) {
    case 'bearer':
      return { authorization: `Bearer ${accessToken}` }
    case 'dpop':
      return dpopJkt === undefined
        ? refuse(
            'is bound to a key (DPoP) that is not here: bring it with a new sign-in, of a client with dpopBoundAccessTokens',
          )
        : { authorization: `DPoP ${accessToken}`, dpop: await proofs.make({ ...use, dpopJkt, accessToken }) }
    default:
      return refuse('is neither a Bearer nor a DPoP token, and no other type can be written onto a request')
  }
}
