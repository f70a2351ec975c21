import { fromSeconds } from '@tokenkeep/core'
import { days, official, preset, recalled, type Preset } from './preset.ts'

const BOX_REFRESH = 'https://developer.box.com/reference/post-oauth2-token--refresh/'
const BOX_EXPIRATION = 'https://developer.box.com/guides/api-calls/permissions-and-errors/expiration/'

export const box: Preset = preset('Box', {
  tokenEndpoint: official('https://api.box.com/oauth2/token', BOX_REFRESH),
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

export const docusign: Preset = preset('Docusign', {
  issuer: official('https://account.docusign.com', DOCUSIGN, 'https://account-d.docusign.com for trying.'),
  tokenEndpoint: official('{issuer}/oauth/token', DOCUSIGN),
  tokenEndpointAuthMethods: official(['client_secret_basic'], DOCUSIGN),
  accessTokenLifetimeMs: official(fromSeconds(28_800), DOCUSIGN),
  refreshTokenIdleMs: official(days(30), DOCUSIGN, '30 days for each refresh token, which answers do not say.'),
})
