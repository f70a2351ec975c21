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
  words,
  type Preset,
} from './preset.ts'

const ATLASSIAN_REFRESH = 'https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens'
const ATLASSIAN_LEEWAY =
  'https://community.developer.atlassian.com/t/the-old-access-token-will-be-revoked-during-the-refresh-token-exchange/83103'
const ATLASSIAN_CLIENT = 'https://mrrefactoring.github.io/jira.js/api/functions/index.isReauthorizationRequired.html'

const ATLASSIAN_AUTHORIZE = [
  'https://developer.atlassian.com/cloud/oauth/getting-started/implementing-oauth-3lo',
  'https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/',
]

export const atlassian: Preset = preset('Atlassian Cloud (3LO)', {
  tokenEndpoint: secondary('https://auth.atlassian.com/oauth/token', PROVIDER_LIST),
  authorizationEndpoint: official('https://auth.atlassian.com/authorize', ATLASSIAN_AUTHORIZE),
  authorization: official(
    authorization({
      parameters: { audience: 'api.atlassian.com', prompt: 'consent' },
      scope: 'offline_access',
    }),
    [...ATLASSIAN_AUTHORIZE, ATLASSIAN_REFRESH],
    'Without offline_access there is no refresh token. Add the scopes of its APIs, such as read:jira-work.',
  ),
  tokenEndpointAuthMethods: official(['client_secret_post'], ATLASSIAN_REFRESH),
  reuse: official(
    { kind: 'grace', seconds: 600, winner: 'newest' },
    [ATLASSIAN_REFRESH, ATLASSIAN_LEEWAY],
    'For 10 minutes both old tokens work on; after that a replay ends the sign-in. Which of several answers lives on is not said.',
  ),
  refreshKillsAccessToken: official(
    false,
    ATLASSIAN_LEEWAY,
    'The access token before ends 10 minutes after a refresh.',
  ),
  accessTokenLifetimeMs: recalled(fromSeconds(3600), ATLASSIAN_REFRESH),
  refreshTokenIdleMs: secondary(days(90), ATLASSIAN_CLIENT),
  words: secondary(
    words({ misconfigured: ['access_denied'] }),
    ATLASSIAN_CLIENT,
    'A wrong client secret; a dead refresh token is invalid_grant, with status 403.',
  ),
})

const NOTION_REFRESH = 'https://developers.notion.com/reference/refresh-a-token'

export const notion: Preset = preset('Notion', {
  tokenEndpoint: official('https://api.notion.com/v1/oauth/token', NOTION_REFRESH),
  authorizationEndpoint: secondary('https://api.notion.com/v1/oauth/authorize', SIGN_IN_LIST),
  authorization: secondary(
    authorization({ parameters: { owner: 'user' } }),
    SIGN_IN_LIST,
    'There are no scopes: the capabilities of the connection count.',
  ),
  revocationEndpoint: recalled(
    'https://api.notion.com/v1/oauth/revoke',
    'https://developers.notion.com/reference/revoke-token',
  ),
  introspectionEndpoint: recalled(
    'https://api.notion.com/v1/oauth/introspect',
    'https://developers.notion.com/reference/introspect-token',
  ),
  tokenEndpointAuthMethods: official(['client_secret_basic'], NOTION_REFRESH),
  reuse: official(
    { kind: 'unknown' },
    NOTION_REFRESH,
    'Each refresh brings a new refresh token. A replay is not described.',
  ),
  request: recalled(
    request({ encoding: 'json', headers: { 'Notion-Version': '2022-06-28' } }),
    NOTION_REFRESH,
    'JSON and the header are documented; the version is remembered.',
  ),
})

const LINEAR = 'https://linear.app/developers/oauth-2-0-authentication'

export const linear: Preset = preset('Linear', {
  tokenEndpoint: secondary('https://api.linear.app/oauth/token', PROVIDER_LIST),
  authorizationEndpoint: official('https://linear.app/oauth/authorize', LINEAR),
  authorization: official(
    authorization({ scope: 'read' }),
    LINEAR,
    'A scope is needed; read is always among those given. Refresh tokens need none.',
  ),
  revocationEndpoint: recalled('https://api.linear.app/oauth/revoke', LINEAR),
  tokenEndpointAuthMethods: recalled(['client_secret_basic', 'client_secret_post'], LINEAR),
  accessTokenLifetimeMs: reported(fromSeconds(86_400), 'https://github.com/ceedaragents/cyrus/issues/285'),
  request: official(request({ scopeSeparator: ',' }), LINEAR),
  answer: official(answer({ scopeSeparator: ',' }), LINEAR),
})

const FIGMA_MOVED = 'https://community.auth0.com/t/figma-tokenurl-migration/182728'

export const figma: Preset = preset('Figma', {
  tokenEndpoint: official('https://api.figma.com/v1/oauth/token', [FIGMA_MOVED, PROVIDER_LIST]),
  authorizationEndpoint: secondary('https://www.figma.com/oauth', SIGN_IN_LIST),
  authorization: secondary(
    authorization({ pkce: 'none' }),
    [SIGN_IN_LIST, 'https://www.ruby-toolbox.com/projects/omniauth-figma-oauth2'],
    'The list turns PKCE off, and does not say why; other code was seen that sends it: say S256 to try. A scope is needed.',
  ),
  refreshEndpoint: secondary('https://api.figma.com/v1/oauth/refresh', PROVIDER_LIST),
  tokenEndpointAuthMethods: secondary(['client_secret_basic'], PROVIDER_LIST),
  reuse: secondary(
    { kind: 'unknown' },
    'https://docs.aws.amazon.com/goto/WebAPI/amplifyuibuilder-2021-08-11/RefreshToken',
    'A refresh seems to bring an access token alone, so probably "reusable". Seen through another company\'s interface only.',
  ),
  accessTokenLifetimeMs: recalled(days(90), 'https://developers.figma.com/docs/rest-api/authentication/'),
  request: secondary(request({ scopeSeparator: ',' }), PROVIDER_LIST),
})

const CALENDLY_ROTATION = 'https://developer.calendly.com/refresh-token-rotation-guide'
const CALENDLY_TOKEN = 'https://calendly-preview.mintlify.app/api-reference/auth/oauth/get-access-token'
const CALENDLY_ACCESS = 'https://developer.calendly.com/how-to-access-calendly-data-on-behalf-of-authenticated-users'

export const calendly: Preset = preset('Calendly', {
  tokenEndpoint: secondary('https://auth.calendly.com/oauth/token', CALENDLY_TOKEN),
  authorizationEndpoint: official(
    'https://auth.calendly.com/oauth/authorize',
    'https://developer.calendly.com/api-docs/calendly-o-auth/o-auth/get-oauth-authorize',
  ),
  authorization: official(
    authorization({}),
    'https://developer.calendly.com/creating-an-oauth-app',
    'PKCE with S256 is asked of every app. Scopes are chosen for the app.',
  ),
  tokenEndpointAuthMethods: secondary(['client_secret_post'], CALENDLY_TOKEN),
  reuse: official({ kind: 'strict' }, CALENDLY_ROTATION, 'The refresh token is revoked at once by its use.'),
  accessTokenLifetimeMs: official(fromSeconds(7200), CALENDLY_ACCESS),
  refreshTokenIdleMs: official(null, CALENDLY_ACCESS, 'It lives until it is used.'),
})

const ZENDESK_REFRESH = 'https://support.zendesk.com/hc/en-us/articles/9182123625370'
const ZENDESK_EXPIRY =
  'https://support.zendesk.com/hc/en-us/articles/10212201463962-Announcing-the-required-expiration-of-global-OAuth-access-and-refresh-tokens'

export const zendesk: Preset = preset('Zendesk', {
  variables: { subdomain: 'the name before .zendesk.com' },
  tokenEndpoint: official('https://{subdomain}.zendesk.com/oauth/tokens', ZENDESK_REFRESH),
  authorizationEndpoint: secondary('https://{subdomain}.zendesk.com/oauth/authorizations/new', SIGN_IN_LIST),
  authorization: official(
    authorization({}),
    'https://support.zendesk.com/hc/en-us/articles/4408845965210',
    'PKCE is required of public clients, and others may send it.',
  ),
  tokenEndpointAuthMethods: recalled(['client_secret_post'], ZENDESK_REFRESH),
  reuse: official({ kind: 'strict' }, ZENDESK_REFRESH, 'A refresh deletes both tokens before it.'),
  refreshKillsAccessToken: official(true, ZENDESK_REFRESH),
  accessTokenLifetimeMs: official(fromSeconds(1800), ZENDESK_EXPIRY, 'The default; 5 minutes to 48 hours.'),
  refreshTokenIdleMs: official(null, ZENDESK_EXPIRY, '30 days by default; refresh_token_expires_in says it.'),
})

const CANVA = 'https://www.canva.dev/docs/connect/api-reference/authentication/generate-access-token'
const CANVA_SDK = 'https://github.com/PromoRepublic/canva-openapi-sdk/blob/master/docs/Api/OauthApi.md'

export const canva: Preset = preset('Canva Connect', {
  tokenEndpoint: official('https://api.canva.com/rest/v1/oauth/token', CANVA),
  authorizationEndpoint: secondary('https://www.canva.com/api/oauth/authorize', SIGN_IN_LIST),
  authorization: official(
    authorization({}),
    'https://www.canva.dev/docs/connect/authentication/',
    'PKCE with S256 is required. Scopes are those that the integration was set up with.',
  ),
  revocationEndpoint: secondary('https://api.canva.com/rest/v1/oauth/revoke', CANVA_SDK),
  introspectionEndpoint: secondary('https://api.canva.com/rest/v1/oauth/introspect', CANVA_SDK),
  tokenEndpointAuthMethods: official(['client_secret_basic', 'client_secret_post'], CANVA),
  reuse: official({ kind: 'unknown' }, CANVA, 'Each refresh brings a new refresh token. A replay is not described.'),
  accessTokenLifetimeMs: official(fromSeconds(14_400), CANVA),
})
