import { fromSeconds } from '@tokenkeep/core'
import { authorization, days, official, preset, PROVIDER_LIST, recalled, secondary, type Preset } from './preset.ts'

const OKTA_GUIDE =
  'https://github.com/okta/okta-developer-docs/blob/01d856d2830659d82fca064181828d2f851fa441/packages/@okta/vuepress-site/docs/guides/refresh-tokens/main/index.md'
const OKTA_API = 'https://developer.okta.com/docs/api/openapi/okta-oauth/oauth/'

export const okta: Preset = preset('Okta', {
  issuer: official(
    null,
    OKTA_GUIDE,
    'https://{domain}/oauth2/{authorization server} or https://{domain}; its endpoints are discovered from it.',
  ),
  tokenEndpointAuthMethods: recalled(
    ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
    OKTA_API,
  ),
  authorization: official(
    authorization({ scope: 'openid offline_access' }),
    OKTA_GUIDE,
    'Without offline_access there is no refresh token, which the app has to have among its grants, too.',
  ),
  reuse: official(
    { kind: 'unknown' },
    OKTA_GUIDE,
    'A setting of each app. No rotation (the default for web and native apps): "reusable". Rotation: a grace of 30 s ' +
      'unless changed (0 to 60 s); a replay after it ends the newest refresh token and all access tokens.',
  ),
  refreshTokenIdleMs: official(
    days(7),
    OKTA_GUIDE,
    'The default of an access policy; refreshing earlier than needed does no harm.',
  ),
})

const AUTH0_TROUBLE =
  'https://community.auth0.com/t/troubleshoot-refresh-token-unknown-or-invalid-before-expiry-403-unknown-or-invalid-refresh-token/120406'

const AUTH0_OFFLINE =
  'https://auth0.github.io/auth0-oidc-client-net/documentation/advanced-scenarios/refresh-tokens.html'

export const auth0: Preset = preset('Auth0', {
  issuer: recalled(null, 'https://auth0.com/docs/get-started/applications', 'https://{domain}/'),
  tokenEndpoint: secondary('{issuer}/oauth/token', PROVIDER_LIST),
  revocationEndpoint: official('{issuer}/oauth/revoke', 'https://auth0.com/docs/tokens/guides/revoke-refresh-tokens'),
  tokenEndpointAuthMethods: recalled(
    ['client_secret_post', 'client_secret_basic', 'none'],
    'https://auth0.com/docs/secure/application-credentials',
  ),
  authorization: official(
    authorization({ scope: 'openid offline_access' }),
    [AUTH0_OFFLINE, 'https://auth0.com/docs/tokens/guides/get-access-tokens'],
    'Without offline_access there is no refresh token, and the API has to allow it. For the tokens of an API its identifier has ' +
      'to be the parameter audience.',
  ),
  reuse: official(
    { kind: 'unknown' },
    [AUTH0_TROUBLE, 'https://auth0.github.io/node-auth0/interfaces/management.ClientRefreshToken.html'],
    'A setting of each app. No rotation: "reusable". Rotation: a leeway of 0 s unless set; a replay after it ends the ' +
      'whole family. 200 refresh tokens for each user and app: the next one ends the oldest. Refusals have status 403.',
  ),
})

const COGNITO =
  'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-refresh-token.html'

export const cognito: Preset = preset('Amazon Cognito', {
  variables: { domain: 'the host name of the user pool, such as NAME.auth.eu-central-1.amazoncognito.com' },
  tokenEndpoint: recalled(
    'https://{domain}/oauth2/token',
    'https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html',
  ),
  revocationEndpoint: recalled(
    'https://{domain}/oauth2/revoke',
    'https://docs.aws.amazon.com/cognito/latest/developerguide/revocation-endpoint.html',
  ),
  authorizationEndpoint: official(
    'https://{domain}/oauth2/authorize',
    'https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html',
  ),
  jwksUri: recalled(
    null,
    'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html',
    'Of the user pool: https://cognito-idp.{region}.amazonaws.com/{pool id}/.well-known/jwks.json, below its issuer.',
  ),
  tokenEndpointAuthMethods: recalled(
    ['client_secret_basic', 'client_secret_post', 'none'],
    'https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html',
  ),
  reuse: official(
    { kind: 'unknown' },
    [
      COGNITO,
      'https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RefreshTokenRotationType.html',
    ],
    'A setting of each app client. No rotation: "reusable". Rotation: a grace of 0 to 60 s that the operator chose.',
  ),
  accessTokenLifetimeMs: secondary(
    fromSeconds(3600),
    'https://docs.gitguardian.com/secrets-detection/secrets-detection-engine/detectors/specifics/aws_cognito_access_token',
  ),
  refreshTokenAbsoluteMs: official(
    null,
    COGNITO,
    '30 days from the sign-in unless changed (60 minutes to 10 years); a rotated token keeps what is left. Set it here.',
  ),
})
