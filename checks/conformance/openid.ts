/** OpenID Connect, as far as a client needs it to know who signed in, and that they signed out. */
import type { Specification } from './requirement.ts'

export const OPENID_CORE: Specification = {
  name: 'OpenID Connect Core',
  title: '1.0, ID tokens',
  url: 'https://openid.net/specs/openid-connect-core-1_0.html',
  without:
    'The provider’s side, the user info endpoint and other flows than that of the code are left out: none of it is used.',
  requirements: [
    {
      id: '2-none',
      level: 'MUST NOT',
      binds: 'client',
      says: 'An ID token with `alg: none` is taken.',
      shownBy: [
        'node/id-token: one of another sign-in, client, issuer, key or time is not authentic',
        'node/id-token: a provider without keys, or whose keys cannot be had, is believed by the claims of what it sent itself',
      ],
    },
    {
      id: '3.1.2.1-nonce',
      level: 'text',
      binds: 'client',
      says: 'The nonce is unguessable, and of one sign-in (also section 15.5.2).',
      shownBy: [
        'node/sign-in: the browser is sent with a code challenge, a state and a nonce, each parameter once, and the endpoint keeps its query',
        'node/sign-in: without the scope openid no nonce is sent',
      ],
      note: '32 random bytes, sealed with the session.',
    },
    {
      id: '3.1.3.3-there',
      level: 'MUST',
      binds: 'client',
      says: 'The token response to a sign-in with `openid` has an ID token.',
      shownBy: [
        'node/sign-in: a sign-in that asked for an ID token and got none is not authentic: whose code it was cannot be told',
        'node/connect-sessions: whoever takes openid out of the request, so that nobody could tell the account, ends with nothing',
      ],
    },
    {
      id: '3.1.3.7-issuer',
      level: 'MUST',
      binds: 'client',
      says: '`iss` is exactly the issuer.',
      shownBy: ['node/id-token: one of another sign-in, client, issuer, key or time is not authentic'],
      note: 'A provider that was added without an issuer has none to compare with.',
    },
    {
      id: '3.1.3.7-audience',
      level: 'MUST',
      binds: 'client',
      says: '`aud` names the client; a token for others, too, is rejected unless they are trusted.',
      shownBy: ['node/id-token: one of another sign-in, client, issuer, key or time is not authentic'],
      note: 'Of several audiences `azp` has to be the client.',
    },
    {
      id: '3.1.3.7-azp',
      level: 'SHOULD',
      binds: 'client',
      says: 'An `azp` is the client.',
      shownBy: ['node/id-token: one of another sign-in, client, issuer, key or time is not authentic'],
    },
    {
      id: '3.1.3.7-signature',
      level: 'MUST',
      binds: 'client',
      says: 'The signature is validated by the keys of the issuer.',
      shownBy: [
        'node/id-token: one of another sign-in, client, issuer, key or time is not authentic',
        'node/signed-token: what is forged, of somebody else, for somebody else, of another kind or of another time is not',
      ],
      note: 'Where the keys cannot be had, the token is believed for having come over TLS from the token endpoint, as step 6 allows.',
    },
    {
      id: '3.1.3.7-algorithm',
      level: 'SHOULD',
      binds: 'client',
      says: '`alg` is `RS256`, or the one that was registered.',
      open: 'no algorithm is registered here: each that is asymmetric is taken, and a MAC by the secret of the client',
    },
    {
      id: '3.1.3.7-mac',
      level: 'text',
      binds: 'client',
      says: 'A MAC is by the secret of the client.',
      shownBy: [
        'node/id-token: one signed with the secret of the client is believed, and none that claims so without it',
      ],
    },
    {
      id: '3.1.3.7-expiry',
      level: 'MUST',
      binds: 'client',
      says: 'Now is before `exp`.',
      shownBy: ['node/id-token: one of another sign-in, client, issuer, key or time is not authentic'],
      note: 'Clocks may differ by a minute.',
    },
    {
      id: '3.1.3.7-nonce',
      level: 'MUST',
      binds: 'client',
      says: 'Where a nonce was sent, it is there, and the same.',
      shownBy: ['node/id-token: one of another sign-in, client, issuer, key or time is not authentic'],
    },
    {
      id: '3.1.3.7-acr',
      level: 'SHOULD',
      binds: 'client',
      says: 'Where `acr` or `max_age` were asked for, `acr` and `auth_time` are looked at.',
      open: 'they can be asked for by parameters of the provider, and nobody looks at what comes back',
    },
    {
      id: '9-assertion-audience',
      level: 'SHOULD',
      binds: 'client',
      says: 'The `aud` of a client assertion is the URL of the token endpoint.',
      otherwise:
        'it is the issuer wherever one is known ([why](client-authentication.md)), and the URL where `assertionAudience` says so',
    },
    {
      id: '12.2-refreshed',
      level: 'MUST',
      binds: 'client',
      says: 'An ID token of a refresh has the issuer, subject and audience of the first one.',
      doesNotApply: 'an ID token that comes with a refresh is not read: whose sign-in it is, is known',
    },
    {
      id: '16.17-tls',
      level: 'MUST',
      binds: 'client',
      says: 'Endpoints are asked over TLS, with a check of the certificate.',
      shownBy: [
        'node/address-rules: plain http is refused for everything but loopback, also inside an allowed private network',
        'node/line-dial: a certificate that nobody trusts, or for another name, is a fault of TLS',
      ],
    },
  ],
}

export const OPENID_DISCOVERY: Specification = {
  name: 'OpenID Connect Discovery',
  title: '1.0',
  url: 'https://openid.net/specs/openid-connect-discovery-1_0.html',
  requirements: [
    {
      id: '3-required',
      level: 'MUST',
      binds: 'drop-in',
      says: 'The metadata of an OpenID provider has `authorization_endpoint`, `jwks_uri`, `subject_types_supported` and more.',
      doesNotApply:
        'the drop-in is no OpenID provider: nobody signs in and no ID token is issued; the document is that of RFC 8414, where clients look',
    },
    {
      id: '4-place',
      level: 'MUST',
      binds: 'client',
      says: 'The document is asked for at the well-known path after the issuer, without the slash at its end.',
      shownBy: ['node/discovery: finds endpoints at the place of OpenID Connect'],
    },
    {
      id: '4.3-issuer',
      level: 'MUST',
      binds: 'client',
      says: 'The issuer in it is the one asked for, and the `iss` of ID tokens.',
      shownBy: [
        'node/discovery: metadata ${what} is refused',
        'node/id-token: one of another sign-in, client, issuer, key or time is not authentic',
      ],
    },
    {
      id: '7.1-certificate',
      level: 'MUST',
      binds: 'client',
      says: 'The certificate of the server of the document is checked.',
      shownBy: ['node/line-dial: a certificate that nobody trusts, or for another name, is a fault of TLS'],
    },
  ],
}

export const BACK_CHANNEL_LOGOUT: Specification = {
  name: 'Back-Channel Logout',
  title: 'OpenID Connect, 1.0',
  url: 'https://openid.net/specs/openid-connect-backchannel-1_0.html',
  requirements: [
    {
      id: '2.5-request',
      level: 'text',
      binds: 'receiver',
      says: 'The token comes in a POST of a form.',
      shownBy: ['server/receivers: a body of another kind, a second token, or one in the URL is refused'],
    },
    {
      id: '2.6-signature',
      level: 'MUST',
      binds: 'receiver',
      says: 'The signature is validated as that of an ID token.',
      shownBy: [
        'node/logout-token: what is not of the provider, not for us, not of now or no logout token is refused, and ends nothing',
        'node/signed-token: what is forged, of somebody else, for somebody else, of another kind or of another time is not',
      ],
    },
    {
      id: '2.6-none',
      level: 'MUST NOT',
      binds: 'receiver',
      says: '`alg: none` is taken.',
      shownBy: [
        'node/signed-token: what is forged, of somebody else, for somebody else, of another kind or of another time is not',
      ],
    },
    {
      id: '2.6-claims',
      level: 'text',
      binds: 'receiver',
      says: '`iss`, `aud`, `iat` and `exp` are validated as those of an ID token; `sub`, `sid` or both are there, and the event.',
      shownBy: [
        'node/logout-token: what is not of the provider, not for us, not of now or no logout token is refused, and ends nothing',
        'node/logout-token: a token without exp is taken for a day',
      ],
      note: 'Servers in use send no `exp`; such a token is too old after a day.',
    },
    {
      id: '2.6-nonce',
      level: 'text',
      binds: 'receiver',
      says: 'There is no `nonce`: else it could be an ID token.',
      shownBy: [
        'node/logout-token: what is not of the provider, not for us, not of now or no logout token is refused, and ends nothing',
      ],
    },
    {
      id: '2.6-replayed',
      level: 'text',
      binds: 'receiver',
      says: 'A `jti` that came before is known.',
      shownBy: ['node/logout-token: a token that comes again is known, also to another process, and does nothing'],
    },
    {
      id: '2.7-refresh-tokens',
      level: 'SHOULD',
      binds: 'receiver',
      says: 'Refresh tokens end with the session, but not those of offline access.',
      shownBy: [
        'node/logout-token: a logout token stops the hand-outs of its session, and of no other',
        'node/logout-token: offline access ends only with the claim that revokes it',
      ],
    },
    {
      id: '2.8-ok',
      level: 'MUST',
      binds: 'receiver',
      says: 'A logout is answered with 200, one that is not valid with 400.',
      shownBy: [
        'server/receivers: a logout token is answered 200 with nothing in it, kept by nobody, and again when it comes again',
        'server/receivers: a logout token that is refused is told so as OpenID Connect has it',
      ],
    },
    {
      id: '2.8-no-store',
      level: 'SHOULD',
      binds: 'receiver',
      says: 'The answer says `Cache-Control: no-store`.',
      shownBy: [
        'server/receivers: a logout token is answered 200 with nothing in it, kept by nobody, and again when it comes again',
      ],
    },
  ],
}
