/**
 * What a grant that runs again brings beside its client: an assertion (RFC 7523 section 2.1) or a token that is exchanged
 * (RFC 8693 section 2.1). Made or fetched anew for each request, and kept nowhere.
 */
import {
  assertNever,
  type AccessToken,
  type ConnectionId,
  type DurationMs,
  type GrantOf,
  type JwtBearerRequest,
  type NotSentBecause,
  type TokenExchangeRequest,
} from '@tokenkeep/core'
import { readAssertionFile } from './client-assertion-file.ts'
import { audienceOf, signedByClient, type ToProve } from './client-proof.ts'

/**
 * The access token of another connection, refreshed where needed.
 *
 * @param withinMs null: for as long as a caller waits
 * @returns null: it has none now, or not in time
 */
export type SourceToken = (id: ConnectionId, withinMs: DurationMs | null) => Promise<AccessToken | null>

export interface ToAsk extends ToProve {
  readonly grant: GrantOf
}

/** @returns the parameters of the request, or why it has nothing to bring: then nothing is sent */
export async function materialOf(
  of: ToAsk,
  tokenOf: (id: ConnectionId) => Promise<AccessToken | null>,
): Promise<URLSearchParams | NotSentBecause> {
  const { grantRequest } = of.grant
  if (grantRequest === null) return new URLSearchParams()
  switch (grantRequest.kind) {
    case 'jwt_bearer': {
      const assertion = await assertionOf(of, grantRequest)
      return 'because' in assertion ? assertion.because : new URLSearchParams({ assertion: assertion.jwt })
    }
    case 'token_exchange': {
      const subject = await subjectTokenOf(grantRequest, tokenOf)
      return typeof subject === 'string' ? subject : exchanging(grantRequest, subject.reveal())
    }
    default:
      return assertNever(grantRequest)
  }
}

async function assertionOf(
  of: ToAsk,
  { assertion }: JwtBearerRequest,
): Promise<{ readonly jwt: string } | { readonly because: NotSentBecause }> {
  if (assertion.from === 'file') {
    const read = await readAssertionFile(assertion.path)
    return read === null ? { because: 'grant_file' } : { jwt: read.reveal() }
  }
  const iss = assertion.issuer ?? of.client.clientId
  const aud = audienceOf(of, assertion.audience)
  if (aud === null) return { because: 'client' }
  const jwt = await signedByClient(of, { ...assertion.claims, iss, sub: of.grant.subject ?? iss, aud })
  return jwt === null ? { because: 'client' } : { jwt }
}

async function subjectTokenOf(
  { subjectToken }: TokenExchangeRequest,
  tokenOf: (id: ConnectionId) => Promise<AccessToken | null>,
) {
  if (subjectToken.from === 'connection') return (await tokenOf(subjectToken.id)) ?? 'source_connection'
  return (await readAssertionFile(subjectToken.path)) ?? 'grant_file'
}

function exchanging(request: TokenExchangeRequest, subjectToken: string): URLSearchParams {
  const parameters = new URLSearchParams({ subject_token: subjectToken, subject_token_type: request.subjectTokenType })
  if (request.requestedTokenType !== null) parameters.set('requested_token_type', request.requestedTokenType)
  for (const audience of request.audiences) parameters.append('audience', audience)
  for (const resource of request.resources) parameters.append('resource', resource)
  return parameters
}
