/** How people sign in: RFC 7636 (PKCE), RFC 8707 (resources), RFC 9126 (pushed requests), RFC 9207 (issuer), RFC 9700 (security). */
import { rfc } from './requirement.ts'

export const RFC_7636 = rfc(
  7636,
  'Proof Key for Code Exchange',
  [
    {
      id: '4.1-verifier',
      level: 'text',
      binds: 'client',
      says: 'The verifier is a random string of 43 to 128 unreserved characters, another one for each request.',
      shownBy: [
        'node/connect-sessions: a person signs in, and the connection hands out and refreshes',
        'node/connect-sessions: a code that another sign-in got is refused: its verifier is not ours',
      ],
      note: '32 random bytes in base64url (section 7.1 recommends them); the server of these tests refuses a verifier of another form.',
    },
    {
      id: '4.2-s256',
      level: 'MUST',
      binds: 'client',
      says: 'A client that can do `S256` uses it.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
      ],
    },
    {
      id: '4.3-challenge',
      level: 'MUST',
      binds: 'client',
      says: 'The authorization request has the challenge.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
        'node/sign-in: where requests can be pushed all is pushed, by the client that proves itself, and the browser carries the reference alone',
      ],
    },
    {
      id: '4.5-verifier-sent',
      level: 'MUST',
      binds: 'client',
      says: 'The exchange has the verifier.',
      shownBy: [
        'node/sign-in: the code is exchanged by POST with its verifier, the very same redirect URI and the proof of the client, once, in the body',
      ],
    },
    {
      id: '7.2-downgrade',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A client falls back to `plain`.',
      shownBy: [
        'node/provider-input: a provider with ${inspect(changes, { breakLength: Infinity, maxStringLength: 40, maxArrayLength: 1 })} is refused',
      ],
      note: '`plain` is not known here, not even as a setting.',
    },
  ],
  'What binds the authorization server is left out: no code is issued here.',
)

export const RFC_8707 = rfc(8707, 'Resource Indicators', [
  {
    id: '2-absolute',
    level: 'MUST',
    binds: 'client',
    says: 'A resource is an absolute URI.',
    shownBy: ['core/variant: ${name} is refused with a sentence'],
  },
  {
    id: '2-no-fragment',
    level: 'MUST NOT',
    binds: 'client',
    says: 'A resource has a fragment.',
    shownBy: ['core/variant: ${name} is refused with a sentence'],
  },
  {
    id: '2-several',
    level: 'text',
    binds: 'client',
    says: 'Each resource is a parameter of its own.',
    shownBy: ['node/token-endpoint: scope and every resource are sent as asked'],
  },
  {
    id: '2-invalid-target',
    level: 'text',
    binds: 'drop-in',
    says: 'A resource that cannot be served is `invalid_target`.',
    shownBy: [
      'server/drop-in-refusal: a refusal of scope is one of the target where only resource was asked for (RFC 8707 section 2)',
      'server/drop-in-form: resource may come more than once (RFC 8707 section 2)',
    ],
  },
])

export const RFC_9126 = rfc(9126, 'Pushed Authorization Requests', [
  {
    id: '2.1-no-request-uri',
    level: 'MUST NOT',
    binds: 'client',
    says: '`request_uri` is pushed.',
    shownBy: [
      'node/sign-in: where requests can be pushed all is pushed, by the client that proves itself, and the browser carries the reference alone',
    ],
  },
  {
    id: '2-authenticated',
    level: 'text',
    binds: 'client',
    says: 'The client proves itself as at the token endpoint, in a POST of a form.',
    shownBy: [
      'node/sign-in: where requests can be pushed all is pushed, by the client that proves itself, and the browser carries the reference alone',
    ],
  },
  {
    id: '4-reference',
    level: 'text',
    binds: 'client',
    says: 'The browser carries `client_id` and `request_uri`.',
    shownBy: [
      'node/sign-in: where requests can be pushed all is pushed, by the client that proves itself, and the browser carries the reference alone',
      'server/connect: the pages have no script, nothing from elsewhere, and no secret; the way back has no referrer',
    ],
  },
  {
    id: '4-once',
    level: 'MUST',
    binds: 'client',
    says: 'A reference is used once.',
    shownBy: [
      'node/connect-sessions: an answer that is not authentic, denied or refused ends that attempt, and the person can begin again',
    ],
    note: 'Each attempt pushes anew; the server of these tests takes a reference once.',
  },
  {
    id: '5-required',
    level: 'text',
    binds: 'client',
    says: 'Where the server takes pushed requests only, nothing else is sent.',
    shownBy: ['node/sign-in: nobody is sent to a provider that refused the pushed request, or did not answer it'],
    note: 'Wherever the endpoint is known, requests are pushed, required or not.',
  },
])

export const RFC_9207 = rfc(9207, 'Authorization Server Issuer Identification', [
  {
    id: '2.4-read',
    level: 'MUST',
    binds: 'client',
    says: '`iss` is read, decoded, and compared as a string with the issuer that the person was sent to.',
    shownBy: [
      'node/sign-in: an answer of another issuer is refused, announced or not, and one without where issuers are named',
    ],
  },
  {
    id: '2.4-rejected',
    level: 'MUST',
    binds: 'client',
    says: 'With another issuer the answer is rejected, and the grant goes no further.',
    shownBy: [
      'node/sign-in: an answer of another issuer is refused, announced or not, and one without where issuers are named',
      'node/connect-sessions: an answer that is not authentic, denied or refused ends that attempt, and the person can begin again',
    ],
  },
  {
    id: '2.4-errors',
    level: 'MUST NOT',
    binds: 'client',
    says: 'An error of another issuer is taken for one of the server that was asked.',
    shownBy: [
      'node/sign-in: an answer of another issuer is refused, announced or not, and one without where issuers are named',
    ],
  },
  {
    id: '2.4-remembered',
    level: 'MUST',
    binds: 'client',
    says: 'It is known of each server whether it names its issuer; from one that does, an answer without is rejected.',
    shownBy: [
      'node/sign-in: an answer of another issuer is refused, announced or not, and one without where issuers are named',
    ],
  },
  {
    id: '2.4-unannounced',
    level: 'SHOULD',
    binds: 'client',
    says: 'An answer with `iss` from a server that does not announce it is discarded.',
    otherwise: 'it is compared and, where it is right, taken: section 2.4 leaves that to local policy',
  },
  {
    id: '4-unique',
    level: 'MUST',
    binds: 'client',
    says: 'No two authorization servers of the configuration have one issuer.',
    open: 'two providers can be added with one issuer, which is how one server is kept in two ways; nobody compares their endpoints',
  },
  {
    id: '4-several',
    level: 'MUST',
    binds: 'client',
    says: 'An answer with several issuers that differ is rejected.',
    shownBy: [
      'node/connect-sessions: an answer that is not authentic, denied or refused ends that attempt, and the person can begin again',
    ],
  },
])

export const RFC_9700 = rfc(
  9700,
  'Best Current Practice for OAuth 2.0 Security',
  [
    {
      id: '2.1-open-redirector',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A URL of ours forwards a browser to wherever a query says (also section 4.11.1).',
      shownBy: [
        'server/connect: who comes back goes on to where the session says, which learns no more than that it ended',
        'node/connect-sessions: what cannot become a connection is refused before a person signs in for nothing',
      ],
    },
    {
      id: '2.1-csrf',
      level: 'MUST',
      binds: 'client',
      says: 'CSRF is prevented: by one-time values in `state`, bound to the browser (also section 4.7.1).',
      shownBy: [
        'node/connect-sessions: an answer counts only with its state, its browser, its provider and its issuer, and nothing is lost by others',
        'node/connect-sessions: beginning again makes the answer to the time before worthless',
        'server/connect: an answer that another browser brings is refused, and the one that began still ends well',
        'server/connect: a page of another site cannot begin for a person, but a link and the way back may come from anywhere',
      ],
    },
    {
      id: '2.1-mix-up',
      level: 'MUST',
      binds: 'client',
      says: 'A client of several servers defends itself against mix-up (also section 4.4.2): by `iss`.',
      shownBy: [
        'node/sign-in: an answer of another issuer is refused, announced or not, and one without where issuers are named',
      ],
    },
    {
      id: '2.1.1-public-pkce',
      level: 'MUST',
      binds: 'client',
      says: 'Public clients use PKCE.',
      shownBy: [
        'node/sign-in: a public client is sent nowhere without PKCE; one that proves itself is, where the provider takes none',
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
      ],
    },
    {
      id: '2.1.1-pkce',
      level: 'SHOULD',
      binds: 'client',
      says: 'Confidential clients use PKCE, with a method that does not expose the verifier.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
        'node/presets: preset ${id} leaves PKCE out, or sends to an address, on better than memory or a conclusion',
      ],
    },
    {
      id: '2.1.1-injection',
      level: 'MUST',
      binds: 'client',
      says: 'Injection of codes is prevented: challenge and nonce are of one transaction, bound to client and browser (also section 4.5.3).',
      shownBy: [
        'node/connect-sessions: a code that another sign-in got is refused: its verifier is not ours',
        'node/sign-in: a sign-in that asked for an ID token and got none is not authentic: whose code it was cannot be told',
        'node/id-token: one of another sign-in, client, issuer, key or time is not authentic',
      ],
      note: 'Where a provider takes no PKCE and gives no ID token, the binding of `state` alone is left.',
    },
    {
      id: '2.1.2-implicit',
      level: 'SHOULD NOT',
      binds: 'client',
      says: 'Access tokens are asked for in the authorization response.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
      ],
    },
    {
      id: '2.2.2-public-refresh',
      level: 'MUST',
      binds: 'drop-in',
      says: 'Refresh tokens of public clients rotate or are bound to their sender.',
      shownBy: ['server/drop-in-authentication: a client without a secret is not served, and told why'],
    },
    {
      id: '2.3-least',
      level: 'SHOULD',
      binds: 'client',
      says: 'Access tokens may no more than what they are used for needs.',
      shownBy: [
        'node/expiries: a narrower token is handed out beside the full one, and the full scope again afterwards',
        'node/token-endpoint: scope and every resource are sent as asked',
      ],
      note: 'Callers can ask for less; what is asked for is theirs to say.',
    },
    {
      id: '2.4-password',
      level: 'MUST NOT',
      binds: 'client',
      says: 'The password grant is used.',
      doesNotApply: 'there is no code for it',
    },
    {
      id: '2.4-password-served',
      level: 'MUST NOT',
      binds: 'drop-in',
      says: 'The password grant is used.',
      shownBy: ['server/drop-in-authentication: ${JSON.stringify(form)}: ${error}'],
    },
    {
      id: '2.5-asymmetric',
      level: 'SHOULD',
      binds: 'client',
      says: 'Clients prove themselves by keys: certificates or signed assertions.',
      shownBy: [
        'node/client-authentication: a key made for ${alg} is taken at every endpoint once the provider has its public half',
        'node/client-authentication: tls_client_auth shows the certificate in the handshake, at every endpoint',
      ],
    },
    {
      id: '2.6-metadata',
      level: 'SHOULD',
      binds: 'client',
      says: 'Clients configure themselves by metadata.',
      shownBy: ['node/discovery: a discovered endpoint is connected to'],
    },
    {
      id: '2.6-metadata-served',
      level: 'SHOULD',
      binds: 'drop-in',
      says: 'Metadata is published.',
      shownBy: ['server/drop-in-tokens: ${path} says what is served, and nothing else'],
    },
    {
      id: '2.6-unencrypted',
      level: 'MUST NOT',
      binds: 'client',
      says: 'Authorization responses come over an unencrypted network.',
      shownBy: [
        'node/connect-sessions: what cannot become a connection is refused before a person signs in for nothing',
      ],
      note: 'http is taken for loopback alone, as RFC 8252 section 7.3 has it.',
    },
    {
      id: '4.2.4-page',
      level: 'SHOULD NOT',
      binds: 'client',
      says: 'The page that follows an authorization response has resources of others, or links to them.',
      shownBy: [
        'server/connect: the pages have no script, nothing from elsewhere, and no secret; the way back has no referrer',
      ],
    },
    {
      id: '4.2.4-state-once',
      level: 'SHOULD',
      binds: 'client',
      says: 'A `state` is good once.',
      shownBy: [
        'node/connect-sessions: an answer is taken once, however often and wherever it is brought',
        'node/connect-sessions: an answer that is not authentic, denied or refused ends that attempt, and the person can begin again',
      ],
    },
    {
      id: '4.3.2-query',
      level: 'MUST NOT',
      binds: 'client',
      says: 'Access tokens stand in a query.',
      doesNotApply: 'no token is ever sent in a URL',
    },
    {
      id: '4.4.2-stored',
      level: 'MUST',
      binds: 'client',
      says: 'For each request it is kept to which server the person was sent, bound to the browser.',
      shownBy: [
        'node/connect-sessions: an answer counts only with its state, its browser, its provider and its issuer, and nothing is lost by others',
      ],
    },
    {
      id: '4.4.2.1-compared',
      level: 'MUST',
      binds: 'client',
      says: 'The issuer of the answer is compared with the one that was kept; where they differ, it ends there.',
      shownBy: [
        'node/sign-in: an answer of another issuer is refused, announced or not, and one without where issuers are named',
      ],
    },
    {
      id: '4.4.2.2-own-address',
      level: 'MUST',
      binds: 'client',
      says: 'Where addresses tell servers apart, each has its own, and an answer at another one is not taken.',
      shownBy: ['server/connect: an answer at the address of another provider, or of no sign-in, is not taken'],
      note: 'In process the program says at whose address an answer came.',
    },
    {
      id: '4.14.2-bound',
      level: 'MUST',
      binds: 'drop-in',
      says: 'Refresh tokens are bound to the scope and the resources that were consented to.',
      shownBy: [
        'server/drop-in: ${name}: ${error}, and the connection is not hurt',
        'server/drop-in: a narrower scope is refused where it would narrow the whole grant',
      ],
      note: 'What was consented to, the provider knows and judges.',
    },
    {
      id: '4.14.2-expire',
      level: 'SHOULD',
      binds: 'drop-in',
      says: 'Refresh tokens that are not used for some time expire.',
      otherwise:
        'a local refresh token lives as long as its key and its connection; keys can have an end, and the provider ends what nobody uses',
    },
  ],
  'What binds authorization endpoints and resource servers is left out.',
)
