/** Signed tokens that are sent to us: RFC 7519 (JWT), RFC 8725 (JWT practice), RFC 8417 (security events), RFC 8935 (push). */
import { rfc } from './requirement.ts'

const WRONG_TOKENS =
  'node/signed-token: what is forged, of somebody else, for somebody else, of another kind or of another time is not'
const WRONG_WORKLOADS =
  'node/shown-jwt: what is forged, of somebody else, for somebody else, of another kind or of another time shows nobody'
const WRONG_EVENTS = 'node/security-event: what is no security event for us is refused'

export const RFC_7519 = rfc(7519, 'JSON Web Token', [
  {
    id: '4.1.3-audience',
    level: 'MUST',
    binds: 'receiver',
    says: 'A token that is for others is rejected.',
    shownBy: [WRONG_TOKENS, WRONG_WORKLOADS],
  },
  {
    id: '4.1.4-expiry',
    level: 'MUST NOT',
    binds: 'receiver',
    says: 'A token is taken after its `exp`.',
    shownBy: [WRONG_TOKENS, WRONG_WORKLOADS],
    note: 'Clocks may differ by a minute.',
  },
  {
    id: '4.1.5-not-before',
    level: 'MUST NOT',
    binds: 'receiver',
    says: 'A token is taken before its `nbf`.',
    shownBy: [WRONG_TOKENS, WRONG_WORKLOADS],
  },
  {
    id: '7.2-rejected',
    level: 'MUST',
    binds: 'receiver',
    says: 'A token of which any step of the validation fails is rejected.',
    shownBy: [
      WRONG_TOKENS,
      'server/receivers-fuzz: ${path} takes 10,000 generated requests without a failure, tells nothing and signs nobody out',
      'server/jwt-fuzz: of generated JWTs none but the right one is known, and no address is asked that none may name',
    ],
  },
])

export const RFC_8725 = rfc(8725, 'JSON Web Token Best Current Practices', [
  {
    id: '3.1-algorithms',
    level: 'MUST NOT',
    binds: 'receiver',
    says: 'Another algorithm than those that were chosen is used.',
    shownBy: [WRONG_TOKENS, WRONG_WORKLOADS],
  },
  {
    id: '3.3-operations',
    level: 'MUST',
    binds: 'receiver',
    says: 'All cryptographic operations are validated.',
    shownBy: [WRONG_TOKENS, WRONG_WORKLOADS],
  },
  {
    id: '3.8-issuer',
    level: 'MUST',
    binds: 'receiver',
    says: 'The keys belong to the issuer of the token.',
    shownBy: [
      WRONG_TOKENS,
      'node/signed-token: a provider that publishes no keys, or has no issuer, cannot be believed',
    ],
  },
  {
    id: '3.9-audience',
    level: 'MUST',
    binds: 'receiver',
    says: 'The audience is validated.',
    shownBy: [WRONG_TOKENS, WRONG_WORKLOADS],
  },
  {
    id: '3.10-claims',
    level: 'SHOULD',
    binds: 'receiver',
    says: 'Headers of a token do not lead anywhere: `kid` to a query, `jku` and `x5u` to an address.',
    shownBy: [
      'node/signed-token: a key that was published since is asked for, once in 30 s, however many tokens name keys that are not there',
      'node/shown-jwt: headers that name keys, and parts that have to be understood, lead nowhere',
    ],
    note: '`kid` is compared with the keys that the provider published; `jku`, `x5u` and `jwk` are not read.',
  },
  {
    id: '3.11-typed',
    level: 'SHOULD',
    binds: 'receiver',
    says: 'Tokens are told apart by `typ`.',
    shownBy: [
      WRONG_EVENTS,
      WRONG_WORKLOADS,
      'node/logout-token: the typ that servers in use send is taken: the standard one, JWT, and none',
    ],
  },
  {
    id: '3.12-apart',
    level: 'MUST',
    binds: 'receiver',
    says: 'The rules for different kinds of tokens exclude each other.',
    shownBy: [
      WRONG_EVENTS,
      WRONG_WORKLOADS,
      'node/logout-token: what is not of the provider, not for us, not of now or no logout token is refused, and ends nothing',
    ],
  },
])

export const RFC_8417 = rfc(8417, 'Security Event Token', [
  {
    id: '2.2-claims',
    level: 'MUST',
    binds: 'receiver',
    says: 'A security event has `iss`, `iat`, `jti` and `events`.',
    shownBy: [WRONG_EVENTS],
  },
  {
    id: '2.2-audience',
    level: 'SHOULD',
    binds: 'receiver',
    says: 'A security event has `aud`.',
    shownBy: [WRONG_EVENTS, 'node/security-event: an event is for the clients that it names'],
  },
  {
    id: '2.3-typ',
    level: 'SHOULD',
    binds: 'receiver',
    says: 'A security event says so by its `typ`, `secevent+jwt`.',
    shownBy: [WRONG_EVENTS],
  },
])

export const RFC_8935 = rfc(8935, 'Push-Based Security Event Token Delivery', [
  {
    id: '2-validated',
    level: 'MUST',
    binds: 'receiver',
    says: 'A token is parsed and validated, and is from its issuer and for us, before it is acknowledged.',
    shownBy: ['server/receivers: a security event that is refused is told why, in the words of RFC 8935', WRONG_EVENTS],
  },
  {
    id: '2-retention',
    level: 'MUST',
    binds: 'receiver',
    says: 'What is acknowledged is for the receiver to keep.',
    shownBy: [
      'server/receivers: while the database does not answer it is to send again',
      'server/receivers: while the keys of the provider cannot be had it is to send again, and then it is taken',
    ],
  },
  {
    id: '2.1-request',
    level: 'MUST',
    binds: 'receiver',
    says: 'It comes in a POST of `application/secevent+jwt`.',
    shownBy: ['server/receivers: a body of another kind, a second token, or one in the URL is refused'],
  },
  {
    id: '2.2-accepted',
    level: 'MUST',
    binds: 'receiver',
    says: 'It is answered with 202 and no body, also when it comes again.',
    shownBy: ['server/receivers: a security event is answered 202 with nothing in it, and again when it comes again'],
  },
  {
    id: '2.3-refused',
    level: 'MUST',
    binds: 'receiver',
    says: 'It is refused by 400 and JSON with `err` and `description`, whose language `Content-Language` tells.',
    shownBy: ['server/receivers: a security event that is refused is told why, in the words of RFC 8935'],
  },
  {
    id: '2.1-tls',
    level: 'text',
    binds: 'receiver',
    says: 'Events come over TLS.',
    shownBy: [
      'server/serve: with a certificate it speaks https',
      'server/serve: plain http beyond this machine is warned of, unless https is spoken before it',
    ],
    note: 'Plain http stays possible, for a proxy in front that ends TLS.',
  },
])
