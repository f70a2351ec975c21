/** The framework itself: RFC 6749, and bearer tokens: RFC 6750. */
import { rfc } from './requirement.ts'

export const RFC_6749 = rfc(
  6749,
  'The OAuth 2.0 Authorization Framework',
  [
    {
      id: '2.3-one-method',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A request carries more than one client authentication.',
      shownBy: [
        'node/sign-in: where requests can be pushed all is pushed, by the client that proves itself, and the browser carries the reference alone',
        'node/sign-in: the code is exchanged by POST with its verifier, the very same redirect URI and the proof of the client, once, in the body',
      ],
    },
    {
      id: '2.3-one-method-taken',
      level: 'MUST NOT',
      binds: 'drop-in',
      says: 'A client uses two authentications in a request: such a request is refused.',
      shownBy: [
        'server/drop-in-authentication: two proofs in one request are refused, be they both right (RFC 6749 section 2.3)',
      ],
    },
    {
      id: '2.3.1-basic',
      level: 'MUST',
      binds: 'drop-in',
      says: 'HTTP Basic is supported for clients with a password, both halves form-encoded before they are joined.',
      shownBy: [
        'server/drop-in: a client may prove itself by the header or in the body',
        'server/drop-in-authentication: both halves of the header are form-encoded (RFC 6749 section 2.3.1)',
      ],
    },
    {
      id: '2.3.1-encoded',
      level: 'text',
      binds: 'client',
      says: 'Client id and secret are form-encoded before they are joined for HTTP Basic.',
      shownBy: [
        'node/token-endpoint: basic authentication encodes id and secret as a form before base64 (RFC 6749 section 2.3.1)',
        'node/client-proof: id and secret stand in a Basic header as in a form, and as they are where the provider wants that',
      ],
    },
    {
      id: '2.3.1-never-in-the-uri',
      level: 'MUST NOT',
      binds: 'client',
      says: 'Client credentials stand in the request URI.',
      shownBy: [
        'node/sign-in: the code is exchanged by POST with its verifier, the very same redirect URI and the proof of the client, once, in the body',
        'node/token-endpoint: a refresh sends the ticket`s refresh token with the client`s proof in the form',
      ],
    },
    {
      id: '2.3.1-uri-refused',
      level: 'MUST NOT',
      binds: 'drop-in',
      says: 'Client credentials stand in the request URI.',
      shownBy: [
        'server/drop-in-authentication: parameters in the URL are refused, with a hint that they have been seen',
      ],
    },
    {
      id: '2.3.1-brute-force',
      level: 'MUST',
      binds: 'drop-in',
      says: 'An endpoint that takes passwords is protected against guessing.',
      shownBy: [
        'server/drop-in-authentication: too many wrong keys from one address are 429; a right one from there is served',
      ],
    },
    {
      id: '2.3.1-tls',
      level: 'MUST',
      binds: 'drop-in',
      says: 'TLS is required where a client proves itself by a password; section 3.2 says so of every token request.',
      shownBy: [
        'server/serve: with a certificate it speaks https',
        'server/serve: plain http beyond this machine is warned of, unless https is spoken before it',
      ],
      note: 'Plain http stays possible, for a proxy in front that ends TLS; nobody can see from here whether there is one.',
    },
    {
      id: '3.1-query-kept',
      level: 'MUST',
      binds: 'client',
      says: 'The query of the authorization endpoint is kept when parameters are added.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
      ],
    },
    {
      id: '3.1-no-fragment',
      level: 'MUST NOT',
      binds: 'client',
      says: 'The URI of an authorization or token endpoint (section 3.2) has a fragment.',
      shownBy: [
        'node/address-rules: other schemes, credentials, fragments, white space, control characters and endless URLs are refused',
      ],
    },
    {
      id: '3.1-once-sent',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A parameter of a request comes more than once.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
      ],
    },
    {
      id: '3.1-once-received',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A parameter of an authorization response comes more than once: such a response is not taken.',
      shownBy: [
        'node/connect-sessions: an answer counts only with its state, its browser, its provider and its issuer, and nothing is lost by others',
        'node/connect-sessions: an answer that is not authentic, denied or refused ends that attempt, and the person can begin again',
      ],
    },
    {
      id: '3.1.1-response-type',
      level: 'MUST',
      binds: 'client',
      says: '`response_type` is sent; ours is `code`.',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
      ],
    },
    {
      id: '3.1.2-absolute',
      level: 'MUST',
      binds: 'client',
      says: 'The redirection URI is absolute, and has no fragment.',
      shownBy: [
        'node/connect-sessions: what cannot become a connection is refused before a person signs in for nothing',
      ],
    },
    {
      id: '3.1.2.1-tls',
      level: 'SHOULD',
      binds: 'client',
      says: 'The redirection endpoint requires TLS.',
      shownBy: [
        'node/connect-sessions: what cannot become a connection is refused before a person signs in for nothing',
      ],
      note: 'http is taken for loopback alone.',
    },
    {
      id: '3.1.2.5-no-scripts',
      level: 'SHOULD NOT',
      binds: 'client',
      says: 'The page at the redirection endpoint has scripts of others.',
      shownBy: [
        'server/connect: the pages have no script, nothing from elsewhere, and no secret; the way back has no referrer',
      ],
    },
    {
      id: '3.2-post',
      level: 'MUST',
      binds: 'client',
      says: 'Token requests are made by POST.',
      shownBy: [
        'node/token-endpoint: a refresh sends the ticket`s refresh token with the client`s proof in the form',
        'node/sign-in: the code is exchanged by POST with its verifier, the very same redirect URI and the proof of the client, once, in the body',
      ],
    },
    {
      id: '3.2-empty-and-unknown',
      level: 'MUST',
      binds: 'drop-in',
      says: 'A parameter without a value counts as left out; one that is not known is ignored.',
      shownBy: ['server/drop-in: parameters without a value, and unknown ones, change nothing'],
    },
    {
      id: '3.2-once',
      level: 'MUST NOT',
      binds: 'drop-in',
      says: 'A parameter comes more than once.',
      shownBy: [
        'server/drop-in-authentication: a duplicate of any parameter is invalid_request, and no secret is in the answer',
        'server/drop-in-form: each parameter but resource may come once',
      ],
    },
    {
      id: '3.2.1-authenticates',
      level: 'MUST',
      binds: 'client',
      says: 'A client with credentials authenticates at the token endpoint.',
      shownBy: [
        'node/client-proof: without its secret a client proves nothing, whatever the method',
        'node/token-endpoint: for a client without the secret that its method needs nothing is sent, and the word says that it is the client',
      ],
    },
    {
      id: '3.2.1-authenticated',
      level: 'MUST',
      binds: 'drop-in',
      says: 'Client authentication is required of clients with credentials, which here all are (also sections 4.4.2 and 6).',
      shownBy: [
        'server/drop-in-authentication: a client without a secret is not served, and told why',
        'server/drop-in-authentication: a client that is not who it says it is gets 401 invalid_client, the same whatever is wrong',
      ],
    },
    {
      id: '3.2.1-public-names-itself',
      level: 'MUST',
      binds: 'client',
      says: 'A client that does not authenticate sends its `client_id` with the code.',
      shownBy: [
        'node/sign-in: a public client names itself with the code, and proves nothing',
        'node/token-endpoint: a public client sends its id alone',
      ],
    },
    {
      id: '3.3-scope-told',
      level: 'MUST',
      binds: 'drop-in',
      says: 'Where the scope granted is not the one asked for, the answer tells it.',
      shownBy: [
        'server/drop-in: a narrower scope narrows one token, says so, and the next un-narrowed one has the full scope again',
      ],
    },
    {
      id: '4.1.2-once',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A code is used more than once.',
      shownBy: [
        'node/connect-sessions: an answer is taken once, however often and wherever it is brought',
        'core/connect-session: an answer is taken once, within an hour of the beginning, also after the link has expired',
      ],
    },
    {
      id: '4.1.2-unknown',
      level: 'MUST',
      binds: 'client',
      says: 'Parameters of an authorization response that are not known are ignored.',
      shownBy: [
        'node/sign-in: what nobody knows in an answer, of the browser or of the token endpoint, is passed over',
      ],
    },
    {
      id: '4.1.3-request',
      level: 'MUST',
      binds: 'client',
      says: 'The exchange has `grant_type`, the code, and the very `redirect_uri` of the authorization request.',
      shownBy: [
        'node/sign-in: the code is exchanged by POST with its verifier, the very same redirect URI and the proof of the client, once, in the body',
      ],
    },
    {
      id: '4.1.3-codes',
      level: 'MUST',
      binds: 'drop-in',
      says: 'A code is bound to its client and its redirection URI, and short-lived.',
      doesNotApply: 'no code is issued or taken: nobody signs in at the drop-in',
    },
    {
      id: '4.2-implicit',
      level: 'MUST',
      binds: 'client',
      says: 'The rules of the implicit grant.',
      doesNotApply: 'no access token is ever asked for in an authorization response (RFC 9700 section 2.1.2)',
    },
    {
      id: '4.3-password',
      level: 'MUST',
      binds: 'client',
      says: 'The rules of the password grant.',
      doesNotApply: 'a password of a person is never asked for, kept or sent (RFC 9700 section 2.4)',
    },
    {
      id: '4.4-confidential',
      level: 'MUST',
      binds: 'client',
      says: 'Client credentials are used by confidential clients only.',
      shownBy: ['node/bad-input: client credentials of a client that has none are refused'],
    },
    {
      id: '4.4-confidential-served',
      level: 'MUST',
      binds: 'drop-in',
      says: 'Client credentials are taken of confidential clients only.',
      shownBy: ['server/drop-in-authentication: a client without a secret is not served, and told why'],
    },
    {
      id: '4.4.3-no-refresh-token',
      level: 'SHOULD NOT',
      binds: 'drop-in',
      says: 'The answer to client credentials has a refresh token.',
      shownBy: [
        'server/drop-in: own credentials bring the token of the connection that the key names, without a refresh token',
      ],
    },
    {
      id: '5.1-answer',
      level: 'MUST',
      binds: 'drop-in',
      says: 'A successful answer is JSON with `access_token` and `token_type`.',
      shownBy: ["server/drop-in: the origin page's request is answered with its five members, in its order"],
    },
    {
      id: '5.1-no-store',
      level: 'MUST',
      binds: 'drop-in',
      says: 'An answer with tokens says `Cache-Control: no-store` and `Pragma: no-cache`.',
      shownBy: [
        'server/drop-in: no answer with a token is kept by a cache, and each says that it is JSON (RFC 6749 section 5.1)',
      ],
    },
    {
      id: '5.1-unknown',
      level: 'MUST',
      binds: 'client',
      says: 'Members of a token response that are not known are ignored.',
      shownBy: [
        'node/sign-in: what nobody knows in an answer, of the browser or of the token endpoint, is passed over',
      ],
    },
    {
      id: '5.2-errors',
      level: 'MUST',
      binds: 'drop-in',
      says: 'An error has a code of the list, and is a 400 unless said otherwise.',
      shownBy: [
        'server/drop-in-authentication: ${JSON.stringify(form)}: ${error}',
        'server/drop-in: ${name}: ${error}, and the connection is not hurt',
      ],
    },
    {
      id: '5.2-challenge',
      level: 'MUST',
      binds: 'drop-in',
      says: 'A client that tried the header is refused by 401 and `WWW-Authenticate` with its scheme.',
      shownBy: [
        'server/drop-in-authentication: a header Authorization with ${name} is 401 invalid_client, with a challenge',
      ],
    },
    {
      id: '5.2-characters',
      level: 'MUST NOT',
      binds: 'drop-in',
      says: 'A description has characters beyond those of the list.',
      shownBy: ['server/drop-in-refusal: every description has only the characters that RFC 6749 section 5.2 allows'],
    },
    {
      id: '6-scope',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A refresh asks for a scope that was not granted.',
      shownBy: [
        'core/grant: the form leaves the scope out unless something narrower is asked for, or the grant has none of its own',
        'node/expiries: a scope beyond the grant is refused to that caller alone',
      ],
      note: 'What was granted is not always known; where a caller asks for more, the provider says so, and only that caller hears it.',
    },
    {
      id: '6-replaced',
      level: 'MUST',
      binds: 'client',
      says: 'A new refresh token takes the place of the old one, which is discarded.',
      shownBy: [
        'node/expiries: 200 expiries one after another at a strict server lose no session',
        'node/contract/answers-contract: a granted answer replaces the pair, and the refresh token that is lent next is the new one',
        'core/grant-hostile: a refresh token that came replaces the old one whatever its characters: it travels in a form, not in a header',
      ],
      note: 'Where a provider issued two, the one that lost is kept as a last resort, sealed, until the other one proves itself.',
    },
    {
      id: '6-bound',
      level: 'MUST',
      binds: 'drop-in',
      says: 'A refresh token is validated, and is good for the client only to which it was issued (also section 10.4).',
      shownBy: [
        'server/drop-in: a token that is unknown, revoked, another client’s, another realm’s or no token at all: the same answer',
      ],
    },
    {
      id: '7.1-type',
      level: 'MUST NOT',
      binds: 'client',
      says: 'An access token is used whose type is not understood.',
      shownBy: [
        'node/fetch-for: a token of a type other than Bearer is not sent',
        'server/proxy: a token of a type that nobody here can write is not sent',
        'core/grant: an unknown token type is not invented, and a missing one means Bearer',
      ],
    },
    {
      id: '10.3-confidential',
      level: 'MUST',
      binds: 'client',
      says: 'Access tokens stay confidential in transit and in storage (section 10.4 says the same of refresh tokens).',
      shownBy: [
        'node/canary: no secret is in any file, event, error or answer about a connection, in use, after faults, and after deletion',
        'node/fetch-for: a token is not sent over plain http to another machine',
        'server/api-canary: tokens are in the bodies of the answers that hand them out; no secret is in another, in a header, a metric or the log',
      ],
    },
    {
      id: '10.4-unguessable',
      level: 'MUST',
      binds: 'drop-in',
      says: 'Refresh tokens cannot be made, changed or guessed (section 10.10: by a chance of 2 to the -128 at most).',
      shownBy: [
        'node/contract/local-refresh-tokens-contract: a local refresh token stands for its connection at once, also to another process',
        'node/contract/local-refresh-tokens-contract: nobody is served for anything but the whole token',
      ],
    },
    {
      id: '10.8-never-in-the-clear',
      level: 'MUST NOT',
      binds: 'client',
      says: 'Tokens and credentials are sent in the clear.',
      shownBy: [
        'node/address-rules: plain http is refused for everything but loopback, also inside an allowed private network',
        'node/client-authentication: a certificate is shown over TLS only: nothing is sent without it',
      ],
    },
    {
      id: '10.9-certificate',
      level: 'MUST',
      binds: 'client',
      says: 'The certificate of the authorization server is validated.',
      shownBy: ['node/line-dial: a certificate that nobody trusts, or for another name, is a fault of TLS'],
    },
    {
      id: '10.12-csrf',
      level: 'MUST',
      binds: 'client',
      says: 'The redirection URI is protected against CSRF by a value that cannot be guessed and is bound to the browser.',
      shownBy: [
        'node/connect-sessions: an answer counts only with its state, its browser, its provider and its issuer, and nothing is lost by others',
        'server/connect: an answer that another browser brings is refused, and the one that began still ends well',
      ],
    },
    {
      id: '10.14-sanitized',
      level: 'MUST',
      binds: 'client',
      says: 'What is received is sanitized, `state` first of all.',
      shownBy: [
        'server/connect-fuzz: no generated answer connects anything, fails on our side, tells a secret, or costs the sign-in that waits',
        'server/connect: the pages have no script, nothing from elsewhere, and no secret; the way back has no referrer',
      ],
    },
    {
      id: '10.14-sanitized-here',
      level: 'MUST',
      binds: 'drop-in',
      says: 'What is received is sanitized.',
      shownBy: [
        'server/drop-in-fuzz: the token endpoint answers generated requests without a failure of its own and without telling a secret',
      ],
    },
    {
      id: 'B-encoding',
      level: 'MUST',
      binds: 'drop-in',
      says: 'A form is UTF-8, then form-encoded.',
      shownBy: ['server/drop-in-form: reads ${name}', 'server/drop-in-form: refuses ${name}'],
    },
  ],
  'What binds an authorization endpoint is left out: nobody signs in here.',
)

export const RFC_6750 = rfc(
  6750,
  'Bearer Token Usage',
  [
    {
      id: '2-one-place',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A token is sent in more than one place of a request.',
      shownBy: [
        'node/fetch-for: an Authorization header of the caller`s own is refused, wherever it stands',
        'node/forward: what a caller writes of the connection, the body`s length or the token is written here',
      ],
    },
    {
      id: '2.1-header',
      level: 'SHOULD',
      binds: 'client',
      says: 'A token is sent in the header `Authorization`.',
      shownBy: ['node/fetch-for: sends the token of the connection in the Authorization header'],
    },
    {
      id: '2.2-form',
      level: 'MUST NOT',
      binds: 'client',
      says: 'A token is sent in a body that is no form of one part.',
      doesNotApply: 'no token is ever sent in a body',
    },
    {
      id: '2.3-query',
      level: 'SHOULD NOT',
      binds: 'client',
      says: 'A token is sent in the query (RFC 9700 section 4.3.2: never).',
      doesNotApply: 'no token is ever sent in a URL',
    },
    {
      id: '5.3-unintended',
      level: 'MUST',
      binds: 'client',
      says: 'Tokens are not leaked to those that they are not meant for.',
      shownBy: [
        'node/fetch-for: with apiBaseUrls a token goes below them only, by whole path segments',
        'node/fetch-for: a redirect within the origin keeps the token, one across origins does not, and its 401 is not the token`s fault',
        'server/proxy-hostile: of ${RUNS} hostile requests none reaches another address, takes another path, or brings the token back',
      ],
    },
    {
      id: '5.3-certificate',
      level: 'MUST',
      binds: 'client',
      says: 'The certificate of an API is validated.',
      shownBy: ['node/forward: a certificate for another name, or that nobody trusts, is no connection'],
      note: '`fetchFor` uses the `fetch` of the platform, which does so.',
    },
    {
      id: '5.3-tls',
      level: 'MUST',
      binds: 'client',
      says: 'A request with a token goes over TLS.',
      shownBy: ['node/fetch-for: a token is not sent over plain http to another machine'],
    },
    {
      id: '5.3-cookies',
      level: 'MUST NOT',
      binds: 'client',
      says: 'Tokens stand in cookies that can be sent in the clear.',
      doesNotApply: 'no token stands in a cookie; the one cookie is of a sign-in that is on its way',
    },
  ],
  'What binds a resource server is left out.',
)
