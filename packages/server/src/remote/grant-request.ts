/** What a grant that is run again brings, as the library has it. */
import { assertNever, type ConnectionId, type GrantRequest } from '@tokenkeep/core'
import type { GrantRequestWire, JwtBearerWire, TokenExchangeWire } from '../api/grant-wire.ts'
import { textItem, type Members } from './members.ts'

/** The members of both, of which `kind` says which there are. */
export interface EitherGrantRequest extends Omit<JwtBearerWire, 'kind'>, Omit<TokenExchangeWire, 'kind'> {
  readonly kind: GrantRequestWire['kind']
}

interface EitherAssertion {
  readonly from: 'client_key' | 'file'
  readonly issuer: string | null
  readonly audience: string | null
  readonly claims: Readonly<Record<string, unknown>>
  readonly path: string
}

interface EitherSubjectToken {
  readonly from: 'connection' | 'file'
  readonly id: string
  readonly path: string
}

const KINDS = ['jwt_bearer', 'token_exchange'] as const

/** @throws UnlikeTheWire */
export function readGrantRequest(request: Members<EitherGrantRequest>): GrantRequest {
  const kind = request.oneOf('kind', KINDS)
  const clientAuthentication = request.flag('client_authentication')
  switch (kind) {
    case 'jwt_bearer': {
      const assertion = readAssertion(request.nested<EitherAssertion>('assertion'))
      return { kind, assertion, clientAuthentication }
    }
    case 'token_exchange':
      return {
        kind,
        subjectToken: readSubjectToken(request.nested<EitherSubjectToken>('subject_token')),
        subjectTokenType: request.text('subject_token_type'),
        requestedTokenType: request.textOrNull('requested_token_type'),
        audiences: request.list('audience', textItem),
        resources: request.list('resource', textItem),
        clientAuthentication,
      }
    default:
      return assertNever(kind)
  }
}

function readAssertion(assertion: Members<EitherAssertion>) {
  const from = assertion.oneOf('from', ['client_key', 'file'])
  if (from === 'file') return { from, path: assertion.text('path') }
  const [issuer, audience] = [assertion.textOrNull('issuer'), assertion.textOrNull('audience')]
  return { from, issuer, audience, claims: assertion.record('claims') }
}

function readSubjectToken(token: Members<EitherSubjectToken>) {
  const from = token.oneOf('from', ['connection', 'file'])
  return from === 'file' ? { from, path: token.text('path') } : { from, id: token.text('id') as ConnectionId }
}
