import { fromSeconds } from '@tokenkeep/core'
import {
  authorization,
  days,
  official,
  preset,
  quoted,
  recalled,
  sourceCode,
  STRING_SEARCH,
  thirdPartyCode,
  words,
  type Preset,
} from './preset.ts'

const HYDRA_GRANT =
  'https://github.com/ory/docs/blob/003fcc24b5bdcd4073002a9c838afb0c569d1668/docs/oauth2-oidc/refresh-token-grant.mdx'
const HYDRA_CONFIG = 'https://github.com/ory/hydra/blob/master/driver/config/provider.go'
const HYDRA_API = 'https://www.ory.com/docs/hydra/reference/api'

export const oryHydra: Preset = preset('Ory Hydra', {
  issuer: recalled(null, HYDRA_API, 'Its public address.'),
  tokenEndpoint: recalled('{issuer}/oauth2/token', HYDRA_API),
  revocationEndpoint: recalled('{issuer}/oauth2/revoke', HYDRA_API),
  authorization: official(
    authorization({ scope: 'openid offline_access' }),
    HYDRA_GRANT,
    'Without offline_access there is no refresh token; a consent page of your own has to grant it, too.',
  ),
  reuse: sourceCode(
    { kind: 'strict' },
    [HYDRA_CONFIG, HYDRA_GRANT],
    'Unless rotation_grace_period is set: then "grace" with its seconds. Beyond it a replay ends the whole chain.',
  ),
  refreshKillsAccessToken: official(true, HYDRA_GRANT),
  refreshTokenIdleMs: official(days(30), HYDRA_GRANT, 'The default.'),
  words: recalled(words({ rejected: ['token_inactive'] }), HYDRA_CONFIG, 'With status 401; else invalid_grant.'),
})

const DUENDE =
  'https://github.com/DuendeSoftware/docs.duendesoftware.com/blob/0034477186ec2545c2b473583f80f256d36726b9/src/content/docs/identityserver/tokens/refresh.md'

export const duende: Preset = preset('Duende IdentityServer', {
  issuer: official(null, DUENDE, 'Its base address.'),
  tokenEndpoint: official('{issuer}/connect/token', DUENDE),
  revocationEndpoint: recalled(
    '{issuer}/connect/revocation',
    'https://docs.duendesoftware.com/identityserver/reference/endpoints/revocation/',
  ),
  introspectionEndpoint: recalled(
    '{issuer}/connect/introspect',
    'https://docs.duendesoftware.com/identityserver/reference/endpoints/introspection/',
  ),
  authorization: official(
    authorization({ scope: 'openid offline_access' }),
    DUENDE,
    'Without offline_access, which the client has to be allowed, there is no refresh token.',
  ),
  reuse: official(
    { kind: 'unknown' },
    DUENDE,
    'A setting of each client. ReUse (the default since version 7): "reusable". OneTime: a spent token is refused ("strict").',
  ),
})

const OIDC_PROVIDER =
  'https://github.com/panva/node-oidc-provider/blob/b95c294475d7c858a3ea63276dbc8eed77c0bfd2/docs/README.md'
const OIDC_PROVIDER_SCOPE =
  'https://github.com/panva/node-oidc-provider/blob/010e452d009d1066b278ed45f4ebc38d0552880b/lib/actions/authorization/check_scope.js'
const OIDC_PROVIDER_REFRESH =
  'https://github.com/panva/node-oidc-provider/blob/b95c294475d7c858a3ea63276dbc8eed77c0bfd2/lib/actions/grants/refresh_token.js'

export const nodeOidcProvider: Preset = preset('node-oidc-provider', {
  issuer: official(null, OIDC_PROVIDER),
  tokenEndpoint: official('{issuer}/token', OIDC_PROVIDER, 'The path is a setting.'),
  authorization: sourceCode(
    authorization({ parameters: { prompt: 'consent' }, scope: 'openid offline_access' }),
    [OIDC_PROVIDER_SCOPE, OIDC_PROVIDER],
    'By default a refresh token needs offline_access, which is passed over without prompt=consent.',
  ),
  reuse: sourceCode(
    { kind: 'strict' },
    [OIDC_PROVIDER_REFRESH, OIDC_PROVIDER],
    "A replay ends the whole grant. By default it rotates for public clients, and for others late in a token's life.",
  ),
  accessTokenLifetimeMs: official(fromSeconds(3600), OIDC_PROVIDER, 'The default.'),
  refreshTokenIdleMs: official(days(14), OIDC_PROVIDER, 'The default, also of the grant.'),
})

const ZITADEL_ENDPOINTS = 'https://zitadel.com/docs/apis/openidoauth/endpoints'
const ZITADEL_DEFAULTS = 'https://zitadel.com/docs/self-hosting/manage/production'

export const zitadel: Preset = preset('Zitadel', {
  issuer: recalled(null, ZITADEL_ENDPOINTS, 'Its own domain.'),
  tokenEndpoint: recalled('{issuer}/oauth/v2/token', ZITADEL_ENDPOINTS),
  revocationEndpoint: recalled('{issuer}/oauth/v2/revoke', ZITADEL_ENDPOINTS),
  introspectionEndpoint: recalled('{issuer}/oauth/v2/introspect', ZITADEL_ENDPOINTS),
  tokenEndpointAuthMethods: thirdPartyCode(['client_secret_basic', 'client_secret_post', 'none'], STRING_SEARCH),
  authorization: official(
    authorization({ scope: 'openid offline_access' }),
    [
      'https://zitadel.com/apis/openidoauth/scopes',
      'https://help.zitadel.com/how-to-enable-and-receive-refresh-tokens',
    ],
    'Without offline_access there is no refresh token, which the application has to have turned on, too.',
  ),
  accessTokenLifetimeMs: quoted(fromSeconds(43_200), ZITADEL_DEFAULTS, 'The default.'),
  refreshTokenIdleMs: quoted(days(30), ZITADEL_DEFAULTS, 'The default.'),
  refreshTokenAbsoluteMs: quoted(null, ZITADEL_DEFAULTS, '90 days by default: set it here if that was not changed.'),
})

const AUTHENTIK =
  'https://github.com/goauthentik/authentik/blob/005f3a9fdf3a0047465a4789ee016cbacb3a3777/authentik/providers/oauth2/views/token.py'

export const authentik: Preset = preset('authentik', {
  issuer: recalled(
    null,
    'https://docs.goauthentik.io/add-secure-apps/providers/oauth2/',
    '{base}/application/o/{application}/; its endpoints are discovered from it.',
  ),
  authorization: sourceCode(
    authorization({ scope: 'openid offline_access' }),
    AUTHENTIK,
    'Without offline_access, which the provider has to have among its scopes, there is no refresh token.',
  ),
  reuse: thirdPartyCode(
    { kind: 'unknown' },
    STRING_SEARCH,
    'A refresh token is renewed when less than the refresh token threshold is left; 0 means at each use.',
  ),
  narrowing: sourceCode('unknown', AUTHENTIK, 'Scopes that it does not know are dropped without a word.'),
})

const WORKERS =
  'https://github.com/cloudflare/workers-oauth-provider/blob/742e222c55f5adbd8975c964f2248ea8a1670770/README.md'

export const workersOauthProvider: Preset = preset('Cloudflare workers-oauth-provider (many MCP servers)', {
  issuer: official(null, WORKERS, 'Set by the deployment; its endpoints are discovered from it.'),
  authorization: official(authorization({}), WORKERS, 'PKCE with S256; plain only where the deployment allows it.'),
  reuse: official(
    { kind: 'grace', until: 'successor_used', winner: 'newest' },
    WORKERS,
    'The refresh token before works until its successor is used for the first time.',
  ),
})
