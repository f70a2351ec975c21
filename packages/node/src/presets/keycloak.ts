import { fromSeconds, NO_WORDS } from '@tokenkeep/core'
import {
  authorization,
  concluded,
  official,
  preset,
  recalled,
  reported,
  STRING_SEARCH,
  thirdPartyCode,
  unknown,
  type Preset,
} from './preset.ts'

const LAYERS = 'https://www.keycloak.org/securing-apps/oidc-layers'
const TIMEOUTS =
  'https://github.com/keycloak/keycloak/blob/68a58dbffbf0a0847b1044c0fc4bf3da3e0807e5/docs/documentation/server_admin/topics/sessions/timeouts.adoc'
const CONSTANTS =
  'https://github.com/keycloak/keycloak/blob/0371c53d07802fb562136f7ab456f71a01959b35/server-spi/src/main/java/org/keycloak/models/Constants.java'
const TOKEN_MANAGER =
  'https://github.com/keycloak/keycloak/blob/main/services/src/main/java/org/keycloak/protocol/oidc/TokenManager.java'
const ERRORS = 'https://keycloak.discourse.group/t/keycloak-server-issuing-already-expired-tokens/15900'

export const keycloak: Preset = preset('Keycloak', {
  issuer: recalled(null, LAYERS, '{base}/realms/{realm}'),
  tokenEndpoint: recalled('{issuer}/protocol/openid-connect/token', LAYERS),
  revocationEndpoint: recalled('{issuer}/protocol/openid-connect/revoke', LAYERS),
  introspectionEndpoint: recalled(
    '{issuer}/protocol/openid-connect/token/introspect',
    LAYERS,
    'Since 26.6.2 it calls every token inactive to a client that is not in its audience, as a new client is not: give the ' +
      'client an audience mapper. One that tells nothing is noticed, and not asked for an hour.',
  ),
  tokenEndpointAuthMethods: recalled(
    ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'none'],
    LAYERS,
  ),
  authorization: recalled(
    authorization({ scope: 'openid' }),
    LAYERS,
    'With openid an ID token says whose sign-in it is. A sign-in that outlives the session needs offline_access, too.',
  ),
  reuse: official(
    { kind: 'unknown' },
    [TIMEOUTS, TOKEN_MANAGER],
    'A setting of each realm. Revoke Refresh Token off: the old token stays usable ("reusable"). On: Refresh Token Max ' +
      'Reuse 0 is "strict", n above 0 is "counted"; a replay then ends the session. There is no grace in time.',
  ),
  refreshKillsAccessToken: unknown(false, 'Access tokens are JWTs, which APIs mostly check without asking Keycloak.'),
  accessTokenLifetimeMs: thirdPartyCode(
    fromSeconds(300),
    STRING_SEARCH,
    'The default of a realm; realm and client settings override it, and expires_in says it in every answer.',
  ),
  refreshTokenIdleMs: official(
    null,
    [TIMEOUTS, CONSTANTS],
    'Not assumed, because refresh_expires_in says it in every answer. By default 30 minutes (SSO Session Idle, within ' +
      'SSO Session Max of 10 hours), but 30 days for offline tokens, whose answers say 0: no fixed end.',
  ),
  words: reported(
    NO_WORDS,
    [ERRORS, TOKEN_MANAGER],
    'Dead refresh tokens are always invalid_grant; only the description differs, which is for people.',
  ),
})

const LIKE_KEYCLOAK = 'Concluded from the path of the token endpoint, which is laid out as Keycloak does it.'

export const jobrad: Preset = preset('JobRad (Keycloak realm external)', {
  issuer: concluded('https://id.jobrad.org/realms/external', LAYERS, LIKE_KEYCLOAK),
  tokenEndpoint: thirdPartyCode(
    '{issuer}/protocol/openid-connect/token',
    STRING_SEARCH,
    'Seen as https://id.jobrad.org/realms/external/protocol/openid-connect/token.',
  ),
  revocationEndpoint: concluded('{issuer}/protocol/openid-connect/revoke', LAYERS, LIKE_KEYCLOAK),
  introspectionEndpoint: concluded('{issuer}/protocol/openid-connect/token/introspect', LAYERS, LIKE_KEYCLOAK),
  tokenEndpointAuthMethods: thirdPartyCode(
    ['client_secret_post'],
    STRING_SEARCH,
    'Client credentials stand in the form where it was seen.',
  ),
  authorization: concluded(authorization({ scope: 'openid' }), LAYERS, LIKE_KEYCLOAK),
  reuse: unknown({ kind: 'unknown' }, 'Whether its refresh tokens rotate, and whether it issues any, is not known.'),
  accessTokenLifetimeMs: unknown(null, 'expires_in says it.'),
  refreshTokenIdleMs: unknown(null, 'refresh_expires_in says it, if it is Keycloak.'),
})
