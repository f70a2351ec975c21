/** How clients prove themselves: RFC 7523 (assertions), RFC 8705 (certificates). */
import { rfc } from './requirement.ts'

const SIGNED = [
  'node/client-proof: private_key_jwt by ${alg} is verified with the public half, and says who asks whom, once and for a minute',
  'node/client-proof: client_secret_jwt signs with the secret by ${alg}',
] as const

export const RFC_7523 = rfc(7523, 'JWT Profile for Client Authentication and Authorization Grants', [
  {
    id: '2.1-grant',
    level: 'MUST',
    binds: 'client',
    says: 'The grant `jwt-bearer` has one assertion, and a scope if any.',
    shownBy: [
      'node/machine-grants: a service account is data: its claims, its key and nothing of the client beside them',
      'node/machine-grants: an assertion is read from its file anew each time, and without one nothing is sent',
    ],
  },
  {
    id: '2.2-one',
    level: 'MUST NOT',
    binds: 'client',
    says: '`client_assertion` has more than one JWT.',
    shownBy: [
      'node/client-proof: what is no signed JWT is sent to nobody: missing, empty, a secret, two of them, endless, a folder, a pipe',
    ],
  },
  {
    id: '3-issuer-and-subject',
    level: 'MUST',
    binds: 'client',
    says: 'The assertion has `iss`, and `sub`, which is the client id.',
    shownBy: SIGNED,
  },
  {
    id: '3-audience',
    level: 'MUST',
    binds: 'client',
    says: 'The assertion has an `aud` that names the authorization server.',
    shownBy: ['node/client-proof: an assertion is for ${what}', ...SIGNED],
  },
  {
    id: '3-expiry',
    level: 'MUST',
    binds: 'client',
    says: 'The assertion has an `exp`.',
    shownBy: SIGNED,
  },
  {
    id: '3-signed',
    level: 'MUST',
    binds: 'client',
    says: 'The assertion is signed, or has a MAC.',
    shownBy: SIGNED,
  },
  {
    id: '3-jti',
    level: 'text',
    binds: 'client',
    says: 'Each assertion has a `jti` of its own, where the server wants one (OpenID Connect Core section 9 does).',
    shownBy: ['node/client-proof: each request has an assertion of its own'],
  },
  {
    id: '3-validated',
    level: 'MUST',
    binds: 'drop-in',
    says: 'An assertion is refused that is not signed by its issuer, is for others, has ended, has no end, or is not good yet.',
    shownBy: [
      'node/shown-jwt: what is forged, of somebody else, for somebody else, of another kind or of another time shows nobody',
      'server/drop-in-exchange: no JWT that is forged, for somebody else, or of another time gets anything anywhere, and all are refused alike',
    ],
  },
  {
    id: '3-subject-here',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The `sub` of an assertion by which a client authenticates is its `client_id`.',
    otherwise:
      'it is whatever the issuer calls the workload, and the key says whom it trusts; `client_id` may be left out, and is compared where it is sent (ADR 0020)',
  },
])

export const RFC_8705 = rfc(8705, 'Mutual-TLS Client Authentication and Certificate-Bound Access Tokens', [
  {
    id: '2-client-id',
    level: 'MUST',
    binds: 'client',
    says: 'Each request that is authenticated by a certificate has `client_id`.',
    shownBy: ['node/client-authentication: tls_client_auth shows the certificate in the handshake, at every endpoint'],
  },
  {
    id: '2.2-registered',
    level: 'text',
    binds: 'client',
    says: 'A self-signed certificate is registered as a key with `x5c`.',
    shownBy: ['node/client-authentication: self_signed_tls_client_auth is known by what we publish of the certificate'],
  },
  {
    id: '3-bound',
    level: 'MUST',
    binds: 'client',
    says: 'A certificate-bound access token is used over TLS with the certificate that it is bound to.',
    open: 'no certificate is shown to an API by `fetchFor`, `forward` or the proxy: an API that looks refuses such a token',
  },
  {
    id: '5-aliases',
    level: 'MUST',
    binds: 'client',
    says: 'Where the metadata has aliases for mutual TLS, they are used.',
    shownBy: ['node/client-authentication: a client is sent to the endpoint that its provider has for certificates'],
  },
])
