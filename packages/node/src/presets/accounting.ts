import { fromSeconds } from '@tokenkeep/core'
import {
  answer,
  authorization,
  days,
  official,
  preset,
  PROVIDER_LIST,
  recalled,
  reported,
  request,
  secondary,
  SIGN_IN_LIST,
  type Preset,
} from './preset.ts'

const XERO_STAFF = [
  'https://community.xero.com/developer/discussion/105714701/',
  'https://community.xero.com/developer/discussion/127920775',
]

export const xero: Preset = preset('Xero', {
  issuer: recalled('https://identity.xero.com', 'https://identity.xero.com/.well-known/openid-configuration'),
  tokenEndpoint: secondary('https://identity.xero.com/connect/token', PROVIDER_LIST),
  tokenEndpointAuthMethods: reported(['client_secret_basic'], XERO_STAFF),
  authorization: secondary(
    authorization({ scope: 'openid offline_access' }),
    SIGN_IN_LIST,
    'Without offline_access there is no refresh token. Add the scopes of its APIs, such as accounting.transactions.',
  ),
  reuse: official(
    { kind: 'grace', seconds: 1800, winner: 'newest' },
    XERO_STAFF,
    'Xero staff: where the answer was lost, the old refresh token works for 30 minutes, as often as needed. Which of ' +
      'several answers lives on is not said.',
  ),
  accessTokenLifetimeMs: reported(fromSeconds(1800), XERO_STAFF),
  refreshTokenIdleMs: official(
    days(30),
    XERO_STAFF,
    'Staff said 30 days, later 60 (github.com/XeroAPI/Xero-NetStandard/issues/257): the shorter one is kept.',
  ),
})

const INTUIT_FAQ = 'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/faq'
const INTUIT_POLICY = 'https://blogs.a.intuit.com/2025/11/12/important-changes-to-refresh-token-policy'

const INTUIT_METADATA = 'https://developer.intuit.com/.well-known/openid-sandbox-configuration'
const INTUIT_SCOPES = 'https://developer.intuit.com/app/developer/qbo/docs/learn/scopes'

export const intuit: Preset = preset('Intuit QuickBooks', {
  issuer: official(
    null,
    INTUIT_METADATA,
    'Its metadata names https://oauth.platform.intuit.com/op/v1, but stands on another host: nothing can be discovered from it.',
  ),
  tokenEndpoint: secondary('https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer', PROVIDER_LIST),
  revocationEndpoint: recalled('https://developer.api.intuit.com/v2/oauth2/tokens/revoke', INTUIT_FAQ),
  authorizationEndpoint: official('https://appcenter.intuit.com/connect/oauth2', INTUIT_METADATA),
  jwksUri: official('https://oauth.platform.intuit.com/op/v1/jwks', INTUIT_METADATA),
  authorization: recalled(
    authorization({ scope: 'com.intuit.quickbooks.accounting' }),
    INTUIT_SCOPES,
    'A scope is needed. The way back names the company in realmId, beside the code.',
  ),
  tokenEndpointAuthMethods: recalled(['client_secret_basic'], INTUIT_FAQ),
  reuse: official(
    { kind: 'unknown' },
    INTUIT_FAQ,
    'The refresh token of some answers is a new one, and the latest is to be kept. What happens to the one before is not said.',
  ),
  accessTokenLifetimeMs: official(fromSeconds(3600), INTUIT_FAQ),
  refreshTokenIdleMs: official(days(100), INTUIT_POLICY, 'x_refresh_token_expires_in says what is left.'),
  refreshTokenAbsoluteMs: official(null, INTUIT_POLICY, 'Five years, announced in answers: not assumed.'),
})

const SQUARE_OBTAIN = 'https://developer.squareup.com/reference/square/oauth-api/obtain-token'
const SQUARE_RESPONSE = 'https://developer.squareup.com/reference/square/objects/ObtainTokenResponse'

const SQUARE_AUTHORIZE = 'https://developer.squareup.com/reference/square/o-auth/authorize'
const SQUARE_PRACTICES = 'https://developer.squareup.com/docs/oauth-api/best-practices'

export const square: Preset = preset('Square', {
  tokenEndpoint: official('https://connect.squareup.com/oauth2/token', SQUARE_OBTAIN),
  authorizationEndpoint: official('https://connect.squareup.com/oauth2/authorize', SQUARE_AUTHORIZE),
  authorization: official(
    authorization({ pkce: 'none' }),
    [SQUARE_AUTHORIZE, SQUARE_PRACTICES, SQUARE_RESPONSE],
    'A code challenge makes it the flow of clients without a secret, whose refresh tokens are used once: say S256 for such a client.',
  ),
  tokenEndpointAuthMethods: official(['client_secret_post', 'none'], SQUARE_OBTAIN),
  reuse: official(
    { kind: 'unknown' },
    SQUARE_RESPONSE,
    'Depends on how the sign-in was made. Code flow with a secret: the same refresh token works on ("reusable"). With ' +
      'PKCE: single use, 90 days ("strict").',
  ),
  accessTokenLifetimeMs: official(days(30), SQUARE_RESPONSE, 'expires_at says it, as ISO 8601.'),
  request: official(request({ encoding: 'json' }), SQUARE_OBTAIN),
  answer: official(
    answer({ subject: ['merchant_id'] }),
    SQUARE_RESPONSE,
    'Ends are said as moments: expires_at, refresh_token_expires_at.',
  ),
})
