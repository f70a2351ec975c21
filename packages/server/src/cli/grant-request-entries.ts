/** What a grant that is run again brings, for people. */
import { assertNever, type ConnectionInfo } from '@tokenkeep/core'

/** @returns names and texts, none where it brings nothing of its own */
export function grantRequestEntries({
  grantRequest: request,
  client,
}: ConnectionInfo): readonly (readonly [string, string])[] {
  if (request === null) return []
  const beside = [
    'client proves itself',
    request.clientAuthentication ? `${client}, beside it` : 'no, and is not named',
  ] as const
  switch (request.kind) {
    case 'jwt_bearer': {
      const { assertion } = request
      if (assertion.from === 'file') return [['assertion', `in ${assertion.path}`], beside]
      const claims =
        Object.keys(assertion.claims).length === 0 ? [] : [['claims', JSON.stringify(assertion.claims)] as const]
      return [
        ['assertion', `signed by the key of ${client}`],
        ['iss', assertion.issuer ?? 'its client id'],
        ['aud', assertion.audience ?? 'as for its own assertions'],
        ...claims,
        beside,
      ]
    }
    case 'token_exchange': {
      const { subjectToken: token, audiences, resources, requestedTokenType } = request
      const source = token.from === 'file' ? `in ${token.path}` : `the access token of ${token.id}`
      return [
        ['token to exchange', source],
        ['its type', request.subjectTokenType],
        ...(requestedTokenType === null ? [] : [['wanted type', requestedTokenType] as const]),
        ...(audiences.length === 0 ? [] : [['audience', audiences.join(' ')] as const]),
        ...(resources.length === 0 ? [] : [['resource', resources.join(' ')] as const]),
        beside,
      ]
    }
    default:
      return assertNever(request)
  }
}
