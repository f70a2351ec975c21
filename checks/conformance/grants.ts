/** Other ways to a token, and tokens that are bound to a key: RFC 8628 (device), RFC 8693 (token exchange), RFC 9449 (DPoP). */
import { rfc } from './requirement.ts'

export const RFC_8628 = rfc(8628, 'Device Authorization Grant', [
  {
    id: '3.1-authenticated',
    level: 'MUST',
    binds: 'client',
    says: 'The device authorization request says which client asks, and proves it, as at the token endpoint.',
    shownBy: [
      'node/device-sign-ins: scope, resource and parameters go out as the provider has them, and the client proves itself at both endpoints',
    ],
  },
  {
    id: '3.2-interval',
    level: 'MUST',
    binds: 'client',
    says: 'Without an `interval` it is 5 seconds.',
    shownBy: [
      'core/device-poll: the interval is what the server says, five seconds where it says none, and never less than one',
    ],
  },
  {
    id: '3.3.1-code-shown',
    level: 'MUST',
    binds: 'client',
    says: 'The user code is shown also beside a link that has it in it.',
    shownBy: [
      'server/connect-device: people read the address, the code and where it stands in an address, each on a line of its own, and nothing that moves a cursor',
    ],
  },
  {
    id: '3.4-request',
    level: 'MUST',
    binds: 'client',
    says: 'The token request has the `grant_type` of the device flow and the device code.',
    shownBy: ['node/device-sign-ins: a person says yes on another device, and the connection hands out and refreshes'],
  },
  {
    id: '3.5-waits',
    level: 'MUST',
    binds: 'client',
    says: 'Between two requests the interval is waited for.',
    shownBy: [
      'node/device-sign-ins: a provider that counts is never asked too soon',
      'node/device-sign-ins: a person says yes on another device, and the connection hands out and refreshes',
    ],
  },
  {
    id: '3.5-slow-down',
    level: 'MUST',
    binds: 'client',
    says: '`slow_down` adds 5 seconds to the interval, for this and all later requests.',
    shownBy: [
      'core/device-poll: slow_down adds five seconds to this and all later intervals',
      'node/device-sign-ins: slow_down adds five seconds for good, and more where the provider asks for more',
    ],
  },
  {
    id: '3.5-other-errors',
    level: 'MUST',
    binds: 'client',
    says: 'Any other error than `authorization_pending` and `slow_down` ends the asking.',
    shownBy: ['node/device-sign-ins: every other answer ends the waiting, with a word for why'],
    note: 'An answer that is no error of the token endpoint, as a 503, counts as none.',
  },
  {
    id: '3.5-timeout',
    level: 'MUST',
    binds: 'client',
    says: 'After a connection that timed out it is asked less often.',
    shownBy: [
      'core/device-poll: each question in a row without an answer doubles the wait, up to a minute; an answer ends that',
      'node/device-sign-ins: a question that gets no answer is followed more rarely, and the person`s yes is heard when the provider is back',
    ],
  },
])

export const RFC_8693 = rfc(8693, 'Token Exchange', [
  {
    id: '2.1-request',
    level: 'MUST',
    binds: 'client',
    says: 'The request has the `grant_type`, `subject_token` and `subject_token_type`.',
    shownBy: ['node/machine-grants: a subject token is read from its file, with what is asked for it'],
  },
  {
    id: '2.1-actor',
    level: 'MUST NOT',
    binds: 'client',
    says: '`actor_token_type` comes without an `actor_token`.',
    shownBy: ['node/machine-grants: a subject token is read from its file, with what is asked for it'],
  },
  {
    id: '2.1-validated',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The subject token is validated as its type asks for.',
    shownBy: [
      'server/drop-in-exchange: no JWT that is forged, for somebody else, or of another time gets anything anywhere, and all are refused alike',
      'server/jwt-fuzz: generated JWTs sent wherever they are taken: no failure, no token for a wrong one, no secret in an answer or a log',
    ],
  },
  {
    id: '2.2.1-answer',
    level: 'MUST',
    binds: 'drop-in',
    says: 'The answer has `access_token`, `issued_token_type` and `token_type`.',
    shownBy: [
      "server/drop-in-exchange: a workload's JWT is exchanged for the token of the connection that audience names, and nothing else is needed",
    ],
  },
  {
    id: '2.2.2-refused',
    level: 'MUST',
    binds: 'drop-in',
    says: 'A request that is not valid, or whose subject token is not acceptable, is `invalid_request`.',
    shownBy: [
      'server/drop-in-exchange: what is not said, or of another kind, is invalid_request',
      'server/drop-in-exchange: no JWT that is forged, for somebody else, or of another time gets anything anywhere, and all are refused alike',
    ],
  },
  {
    id: '2.2.2-target',
    level: 'SHOULD',
    binds: 'drop-in',
    says: 'Where no token is given for the target that is meant, it is `invalid_target`.',
    shownBy: [
      'server/drop-in-exchange: a connection that is not there, of another realm, being deleted, or hidden from the key is the same invalid_target',
    ],
  },
])

export const RFC_9449 = rfc(9449, 'Demonstrating Proof of Possession (DPoP)', [
  {
    id: '2-https',
    level: 'MUST',
    binds: 'client',
    says: 'DPoP goes over https.',
    shownBy: ['node/fetch-for: a token is not sent over plain http to another machine'],
  },
  {
    id: '4.2-header',
    level: 'MUST',
    binds: 'client',
    says: 'A proof has `typ` `dpop+jwt`, an asymmetric `alg`, and `jwk` with the public key.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '4.2-no-private-key',
    level: 'MUST NOT',
    binds: 'client',
    says: '`jwk` has a private key; `alg` is `none` or symmetric.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '4.2-claims',
    level: 'MUST',
    binds: 'client',
    says: 'A proof has `jti`, `htm`, `htu` (without query and fragment) and `iat`.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '4.2-jti',
    level: 'MUST',
    binds: 'client',
    says: 'No two proofs have one `jti`.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '4.2-ath',
    level: 'MUST',
    binds: 'client',
    says: 'With an access token a proof has its hash in `ath` (also section 7).',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '4.2-nonce',
    level: 'MUST',
    binds: 'client',
    says: 'A proof has the nonce that the server gave.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
      'node/dpop: a nonce that is known is used at once, and one that is stale is replaced',
    ],
  },
  {
    id: '5-token-request',
    level: 'MUST',
    binds: 'client',
    says: 'Each token request for a bound token has a proof, whatever its grant.',
    shownBy: [
      'node/dpop: a bound token is got and used where both servers want nonces, in one attempt each',
      'node/dpop: client credentials are bound, too',
      'node/dpop: a sign-in on another device has a key of its own, which each question proves',
    ],
  },
  {
    id: '5-same-key',
    level: 'MUST',
    binds: 'client',
    says: 'A public client refreshes with the key by which it got the refresh token.',
    shownBy: [
      'node/dpop: a refresh token that is bound to a key comes with it, and works after a restart and in two processes',
    ],
  },
  {
    id: '5-other-type',
    level: 'MUST',
    binds: 'client',
    says: 'Where the protection counts, an answer of another `token_type` is discarded.',
    otherwise: 'an answer of the type Bearer is kept and used as such: it can hold the only refresh token',
  },
  {
    id: '7-resource-request',
    level: 'MUST',
    binds: 'client',
    says: 'A request with a bound token has the token and a proof.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '7.1-scheme',
    level: 'text',
    binds: 'client',
    says: 'A bound token is sent by the scheme `DPoP`.',
    shownBy: [
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '7.3-retry',
    level: 'SHOULD',
    binds: 'client',
    says: 'A request that is made again has a proof of its own.',
    shownBy: ['node/dpop: what goes once more over a new connection, because a kept one had ended, has another proof'],
  },
  {
    id: '8-once-more',
    level: 'text',
    binds: 'client',
    says: 'A token request that is refused with `use_dpop_nonce` is made once more, with the nonce.',
    shownBy: [
      'core/dpop-repetition: a server that asks for a nonce gets the same refresh token once more, inside the same attempt',
      'core/dpop-repetition: a server that asks twice is not asked a third time',
    ],
  },
  {
    id: '8.2-new-nonce',
    level: 'MUST',
    binds: 'client',
    says: 'A new nonce is used from the next request on, until another one comes.',
    shownBy: [
      'node/dpop: a nonce that is known is used at once, and one that is stale is replaced',
      'node/dpop: each request has a proof of its own, for this method, this URL, this token, with the newest nonce',
    ],
  },
  {
    id: '9-nonce-apart',
    level: 'text',
    binds: 'client',
    says: 'A nonce is used at the server that gave it, and nowhere else.',
    shownBy: ['node/dpop: a bound token is got and used where both servers want nonces, in one attempt each'],
  },
  {
    id: '11.6-algorithms',
    level: 'MUST',
    binds: 'client',
    says: 'Only asymmetric algorithms that are deemed secure sign proofs, and never `none`.',
    shownBy: ['node/dpop: an RSA key is of a kind that is not used'],
  },
])
