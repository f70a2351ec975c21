/** Endpoints beside the token endpoint: RFC 7009 (revocation), RFC 7662 (introspection), RFC 8414 (metadata). */
import { rfc } from './requirement.ts'

export const RFC_7009 = rfc(7009, 'Token Revocation', [
  {
    id: '2-https',
    level: 'MUST',
    binds: 'client',
    says: 'The URL of a revocation endpoint is https.',
    shownBy: [
      'node/address-rules: plain http is refused for everything but loopback, also inside an allowed private network',
    ],
  },
  {
    id: '2-refresh-tokens',
    level: 'MUST',
    binds: 'drop-in',
    says: 'Refresh tokens can be revoked.',
    shownBy: [
      'server/drop-in-tokens: a client revokes its own local refresh token, which is refused at once; nothing happens upstream',
    ],
  },
  {
    id: '2-access-tokens',
    level: 'SHOULD',
    binds: 'drop-in',
    says: 'Access tokens can be revoked.',
    otherwise: 'they are the provider’s, and others share them: refused as `unsupported_token_type`',
  },
  {
    id: '2.1-request',
    level: 'MUST',
    binds: 'client',
    says: 'The request has the token, and what proves the client.',
    shownBy: [
      'node/token-endpoint: revocation names the token and its kind, with the client`s proof (RFC 7009 section 2.1)',
    ],
  },
  {
    id: '2.1-authenticated',
    level: 'text',
    binds: 'drop-in',
    says: 'The client is authenticated first.',
    shownBy: ['server/drop-in-tokens: ${endpoint}: nobody unknown is told anything, and nothing happens'],
  },
  {
    id: '2.1-of-another-client',
    level: 'text',
    binds: 'drop-in',
    says: 'The token of another client is refused with an error.',
    otherwise: 'nothing is revoked, and the answer is 200 as for an unknown token: nobody learns that it exists',
  },
  {
    id: '2.1-wrong-hint',
    level: 'MUST',
    binds: 'drop-in',
    says: 'Where the hint does not lead to the token, the other kinds are searched too.',
    shownBy: ["server/drop-in-tokens: ${endpoint}: what is said to be an access token is the provider's"],
  },
  {
    id: '2.2-unknown',
    level: 'text',
    binds: 'drop-in',
    says: 'An unknown token is answered with 200.',
    shownBy: [
      "server/drop-in-tokens: another client's, another realm's, an unknown and a revoked token: 200, and nothing happens",
    ],
  },
  {
    id: '2.2.1-still-there',
    level: 'text',
    binds: 'client',
    says: 'After a 503 the token is taken to exist still, and the request is made again later.',
    shownBy: ['node/token-endpoint: a revocation answered ${status} ${body} is ${outcome}'],
  },
  {
    id: '5-guessing',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The countermeasures of the token endpoint against abuse hold here, too.',
    shownBy: [
      'server/drop-in-tokens: ${endpoint}: nobody unknown is told anything, and nothing happens',
      'server/drop-in-authentication: too many wrong keys from one address are 429; a right one from there is served',
    ],
    note: 'All endpoints of the drop-in know their clients by the same desk, which counts.',
  },
])

export const RFC_7662 = rfc(7662, 'Token Introspection', [
  {
    id: '2.1-authorized',
    level: 'MUST',
    binds: 'drop-in',
    says: 'Nobody introspects without authorization.',
    shownBy: ['server/drop-in-tokens: ${endpoint}: nobody unknown is told anything, and nothing happens'],
  },
  {
    id: '2.1-token',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The token comes in the body of a POST.',
    shownBy: [
      'server/drop-in-tokens: ${endpoint}: a request without a token, with two, or with one in the URL is invalid_request',
    ],
  },
  {
    id: '2.1-wrong-hint',
    level: 'MUST',
    binds: 'drop-in',
    says: 'Where the hint does not lead to the token, the other kinds are searched too.',
    shownBy: ["server/drop-in-tokens: ${endpoint}: what is said to be an access token is the provider's"],
  },
  {
    id: '2.2-active',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The answer has `active`.',
    shownBy: ['server/drop-in-tokens: a client learns that its own local refresh token is in force, and for what'],
  },
  {
    id: '2.2-not-active',
    level: 'MUST',
    binds: 'drop-in',
    says: 'What is unknown, over, or not for who asks is `active: false`.',
    shownBy: ['server/drop-in-tokens: any other token is not active, and no more is said'],
  },
  {
    id: '2.2-no-more',
    level: 'SHOULD NOT',
    binds: 'drop-in',
    says: 'Of a token that is not active more is said.',
    shownBy: ['server/drop-in-tokens: any other token is not active, and no more is said'],
  },
  {
    id: '2.1-request',
    level: 'MUST',
    binds: 'client',
    says: 'The question is a POST of a form with the token, and says who asks.',
    shownBy: [
      'node/client-authentication: client_secret_jwt by ${alg} is taken at every endpoint',
      'node/expiries: introspection notices a revoked access token, and the next call has another one',
    ],
  },
  {
    id: '2.2-read',
    level: 'text',
    binds: 'client',
    says: 'Only an answer with `active: false` says that a token is not active; an error says nothing about it.',
    shownBy: ['node/token-endpoint: an introspection answered ${status} ${body} is ${outcome}'],
  },
  {
    id: '4-state-checked',
    level: 'MUST',
    binds: 'drop-in',
    says: 'Whether the token was revoked, or has ended, is looked at.',
    shownBy: ['server/drop-in-tokens: any other token is not active, and no more is said'],
  },
  {
    id: '4-cached',
    level: 'MUST NOT',
    binds: 'client',
    says: 'An answer is kept beyond the `exp` in it.',
    doesNotApply: 'an answer is acted on once and not kept; tokens are handed out until their end at most',
  },
  {
    id: '4-tls',
    level: 'MUST',
    binds: 'client',
    says: 'The endpoint is asked over TLS, and its certificate is validated.',
    shownBy: [
      'node/address-rules: plain http is refused for everything but loopback, also inside an allowed private network',
      'node/line-dial: a certificate that nobody trusts, or for another name, is a fault of TLS',
    ],
  },
])

export const RFC_8414 = rfc(8414, 'Authorization Server Metadata', [
  {
    id: '2-required',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The metadata has `issuer`, `token_endpoint` and `response_types_supported`.',
    shownBy: ['server/drop-in-tokens: ${path} says what is served, and nothing else'],
  },
  {
    id: '3-place',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The document stands at the well-known path, inserted before the path of the issuer.',
    shownBy: [
      'server/drop-in-tokens: ${path} says what is served, and nothing else',
      'server/drop-in-tokens: openid-client finds the endpoints by itself, algorithm ${algorithm}',
    ],
  },
  {
    id: '3.1-place-asked',
    level: 'MUST',
    binds: 'client',
    says: 'The document is asked for by GET there, without the slash at the end of the issuer.',
    shownBy: [
      'node/discovery: finds endpoints at the place of RFC 8414, inserted before the path, after that of OpenID Connect',
    ],
  },
  {
    id: '3.2-json',
    level: 'MUST',
    binds: 'drop-in',
    says: 'It is a JSON object, sent with 200 as `application/json`.',
    shownBy: ['server/drop-in-tokens: ${path} says what is served, and nothing else'],
  },
  {
    id: '3.2-no-empty-lists',
    level: 'MUST',
    binds: 'drop-in',
    says: 'Claims without an element are left out.',
    otherwise:
      '`response_types_supported` is required by section 2 and empty here: one of the two has to give way, and libraries insist on the member',
  },
  {
    id: '3.3-issuer',
    level: 'MUST NOT',
    binds: 'client',
    says: 'Metadata is used that names another issuer than the one asked for.',
    shownBy: ['node/discovery: metadata ${what} is refused'],
    note: 'Compared as URLs: without a path, a slash at the end makes no other issuer. `iss` in tokens and answers is compared to the letter.',
  },
  {
    id: '3.3-issuer-served',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The issuer in the document is the one that it was found by.',
    shownBy: [
      'server/drop-in-tokens: openid-client finds the endpoints by itself, algorithm ${algorithm}',
      'server/drop-in-tokens: behind a proxy the documents name the public URL',
    ],
  },
  {
    id: '2.1-signed',
    level: 'MUST',
    binds: 'client',
    says: 'Signed metadata takes precedence, where it is supported.',
    doesNotApply: '`signed_metadata` is not supported and is passed over, which section 2.1 allows',
  },
  {
    id: '6.1-certificate',
    level: 'MUST',
    binds: 'client',
    says: 'The certificate of the server of the document is checked.',
    shownBy: ['node/line-dial: a certificate that nobody trusts, or for another name, is a fault of TLS'],
    note: 'One way to connect serves discovery, keys and tokens.',
  },
])
