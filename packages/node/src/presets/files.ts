import { fromSeconds } from '@tokenkeep/core'
import { authorization, days, official, preset, recalled, type Preset } from './preset.ts'

const BOX_REFRESH = 'https://developer.box.com/reference/post-oauth2-token--refresh/'
const BOX_EXPIRATION = 'https://developer.box.com/guides/api-calls/permissions-and-errors/expiration/'

const BOX_AUTHORIZE = [
  'https://developer.box.com/reference/get-authorize/',
  'https://developer.box.com/guides/authentication/oauth2/without-sdk/',
]

export const box: Preset = preset('Box', {
  tokenEndpoint: official('https://api.box.com/oauth2/token', BOX_REFRESH),
  authorizationEndpoint: official(
    'https://account.box.com/api/oauth2/authorize',
    BOX_AUTHORIZE,
    'https://ent.box.com/api/oauth2/authorize for a Box Verified Enterprise.',
  ),
  authorization: official(authorization({}), BOX_AUTHORIZE, 'Where no scope is asked for, all of the app are given.'),
  revocationEndpoint: recalled(
    'https://api.box.com/oauth2/revoke',
    'https://developer.box.com/reference/post-oauth2-revoke/',
  ),
  tokenEndpointAuthMethods: official(
    ['client_secret_post'],
    'https://box.dev/en/guides/authentication/access-tokens/refresh/',
  ),
  reuse: official(
    { kind: 'strict' },
    [BOX_EXPIRATION, 'https://developer.box.com/guides/authentication/tokens/refresh'],
    'One use.',
  ),
  accessTokenLifetimeMs: official(fromSeconds(3600), BOX_EXPIRATION),
  refreshTokenIdleMs: official(days(60), BOX_EXPIRATION),
})

const DOCUSIGN = 'https://www.docusign.com/blog/developers/authorization-code-grant-refresh-tokens'

const DOCUSIGN_SCOPES = 'https://developers.docusign.com/platform/auth/reference/scopes/'

export const docusign: Preset = preset('Docusign', {
  issuer: official('https://account.docusign.com', DOCUSIGN, 'https://account-d.docusign.com for trying.'),
  tokenEndpoint: official('{issuer}/oauth/token', DOCUSIGN),
  authorization: recalled(
    authorization({ scope: 'signature extended' }),
    DOCUSIGN_SCOPES,
    'With extended a refresh brings a refresh token that lives 30 days anew.',
  ),
  tokenEndpointAuthMethods: official(['client_secret_basic'], DOCUSIGN),
  accessTokenLifetimeMs: official(fromSeconds(28_800), DOCUSIGN),
  refreshTokenIdleMs: official(days(30), DOCUSIGN, '30 days for each refresh token, which answers do not say.'),
})
