import { fromSeconds } from '@tokenkeep/core'
import {
  answer,
  authorization,
  official,
  preset,
  PROVIDER_LIST,
  recalled,
  request,
  secondary,
  SIGN_IN_LIST,
  STRING_SEARCH,
  thirdPartyCode,
  words,
  type Preset,
} from './preset.ts'

const HUBSPOT_ENDPOINTS = 'https://developers.hubspot.com/changelog/v1-oauth-api-deprecation'
const HUBSPOT_REFRESH = 'https://developers.hubspot.com/docs/methods/oauth2/refresh-access-token'
const HUBSPOT_ERRORS =
  'https://developers.hubspot.com/changelog/new-oauth-v3-api-endpoints-and-standardized-error-responses'

export const hubspot: Preset = preset('HubSpot', {
  tokenEndpoint: official('https://api.hubapi.com/oauth/2026-03/token', HUBSPOT_ENDPOINTS),
  authorizationEndpoint: secondary('https://app.hubspot.com/oauth/authorize', SIGN_IN_LIST),
  authorization: recalled(
    authorization({}),
    'https://developers.hubspot.com/docs/apps/legacy-apps/authentication/working-with-oauth',
    'Each scope asked for has to be one of the app; those of accounts that may lack them go in the parameter optional_scope.',
  ),
  revocationEndpoint: official('https://api.hubapi.com/oauth/2026-03/token/revoke', HUBSPOT_ENDPOINTS),
  introspectionEndpoint: official('https://api.hubapi.com/oauth/2026-03/token/introspect', HUBSPOT_ENDPOINTS),
  tokenEndpointAuthMethods: official(['client_secret_post'], HUBSPOT_REFRESH),
  accessTokenLifetimeMs: official(fromSeconds(1800), HUBSPOT_REFRESH),
  words: official(
    words({ rejected: ['BAD_REFRESH_TOKEN'] }),
    HUBSPOT_ERRORS,
    'In `status`; newer answers have invalid_grant in `error` beside it, older ones do not.',
  ),
})

const SALESFORCE_FLOW =
  'https://help.salesforce.com/apex/HTViewHelpDoc?id=remoteaccess_oauth_refresh_token_flow.htm&language=en_US'
const SALESFORCE_INTRO =
  'https://developer.salesforce.com/docs/atlas.en-us.222.0.api_rest.meta/api/intro_understanding_refresh_token_oauth.htm'

export const salesforce: Preset = preset('Salesforce', {
  issuer: recalled('https://login.salesforce.com', SALESFORCE_INTRO, "Or the organization's own domain."),
  tokenEndpoint: secondary('{issuer}/services/oauth2/token', PROVIDER_LIST),
  revocationEndpoint: recalled(
    '{issuer}/services/oauth2/revoke',
    'https://help.salesforce.com/s/articleView?id=sf.remoteaccess_revoke_token.htm',
  ),
  introspectionEndpoint: recalled(
    '{issuer}/services/oauth2/introspect',
    'https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oidc_token_introspection.htm',
  ),
  authorization: recalled(
    authorization({}),
    'https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_tokens_scopes.htm',
    'Where no scope is asked for, all of the app are given; without refresh_token (or offline_access) there is no refresh token.',
  ),
  tokenEndpointAuthMethods: official(['client_secret_post', 'none'], SALESFORCE_INTRO),
  reuse: official(
    { kind: 'unknown' },
    SALESFORCE_FLOW,
    'A setting of each app. Rotation off: the refresh token works on ("reusable"). On: the one before is invalidated ' +
      '("strict"). Five sign-ins for each user and app: the next one ends the oldest.',
  ),
  accessTokenLifetimeMs: official(
    null,
    SALESFORCE_INTRO,
    'The session timeout of the organization, which answers do not say: set it here.',
  ),
  answer: secondary(
    answer({ subject: ['id'] }),
    'https://anthonyreilly.github.io/NetCoreForce/api/NetCoreForce.Client.Models.AccessTokenResponse.html',
    'A URL that names organization and user; with openid the sub of the ID token is the same.',
  ),
  words: thirdPartyCode(words({ rejected: ['inactive_user'] }), [
    STRING_SEARCH,
    'https://docs.oracle.com/en/cloud/paas/integration-cloud/sforce-adapter/error-when-connected-app-attempts-access-your-salesforce-data.html',
  ]),
})

const ZOHO_VALIDITY = 'https://zoho.com/crm/developer/docs/api/v3/token-validity.html'
const ZOHO_VALIDITY_V2 = 'https://zoho.com/crm/developer/docs/api/v2/token-validity.html'

const ZOHO_AUTHORIZE = 'https://zoho.com/accounts/protocol/oauth/web-apps/authorization.html'
const ZOHO_COMMERCE = 'https://www.zoho.com/commerce/api/step-2-generating-grant-tokens.html'

export const zoho: Preset = preset('Zoho', {
  variables: { dc: 'the ending of its data centre, such as com, eu, in, com.au' },
  tokenEndpoint: secondary('https://accounts.zoho.{dc}/oauth/v2/token', PROVIDER_LIST),
  authorizationEndpoint: official('https://accounts.zoho.{dc}/oauth/v2/auth', ZOHO_AUTHORIZE),
  authorization: official(
    authorization({ parameters: { access_type: 'offline', prompt: 'consent' } }),
    [ZOHO_AUTHORIZE, ZOHO_COMMERCE, 'https://zoho.com/meeting/api-integration/authentication.html'],
    'Without access_type=offline there is no refresh token, and without prompt=consent only the first consent brings one. ' +
      'A scope is needed.',
  ),
  request: official(request({ scopeSeparator: ',' }), ZOHO_COMMERCE),
  revocationEndpoint: recalled(
    'https://accounts.zoho.{dc}/oauth/v2/token/revoke',
    'https://www.zoho.com/accounts/protocol/oauth/revoke-tokens.html',
  ),
  tokenEndpointAuthMethods: recalled(['client_secret_post'], 'https://www.zoho.com/accounts/protocol/oauth.html'),
  reuse: official(
    { kind: 'reusable' },
    ZOHO_VALIDITY,
    '20 refresh tokens for each user: the next one deletes the first. 15 access tokens for each: the next one ends the oldest.',
  ),
  accessTokenLifetimeMs: official(fromSeconds(3600), ZOHO_VALIDITY),
  refreshTokenIdleMs: official(null, ZOHO_VALIDITY, 'It lives until it is revoked.'),
  words: official(
    words({ rejected: ['invalid_code'], unavailable: ['Access Denied'] }),
    [ZOHO_VALIDITY_V2, ZOHO_VALIDITY],
    'In the body, also with status 200. Access Denied: more than 10 access tokens in 10 minutes.',
  ),
  answer: recalled(
    answer({ expiresIn: ['expires_in_sec'] }),
    'https://www.zoho.com/accounts/protocol/oauth.html',
    'Where expires_in_sec stands, expires_in is in milliseconds.',
  ),
})
