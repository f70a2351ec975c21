import { fromSeconds } from '@tokenkeep/core'
import {
  answer,
  authorization,
  official,
  preset,
  quoted,
  recalled,
  reported,
  request,
  secondary,
  SIGN_IN_LIST,
  sourceCode,
  STRING_SEARCH,
  thirdPartyCode,
  words,
  type Preset,
} from './preset.ts'

const SLACK_ROTATION = 'https://docs.slack.dev/authentication/using-token-rotation'
const SLACK_ACCESS = 'https://docs.slack.dev/reference/methods/oauth.v2.access'
const SLACK_EXCHANGE = 'https://api.slack.com/methods/oauth.v2.exchange'

const SLACK_PKCE = 'https://docs.slack.dev/authentication/using-pkce'

export const slack: Preset = preset('Slack (token rotation)', {
  tokenEndpoint: official('https://slack.com/api/oauth.v2.access', SLACK_ROTATION),
  authorizationEndpoint: secondary('https://slack.com/oauth/v2/authorize', SIGN_IN_LIST),
  authorization: official(
    authorization({ pkce: 'none' }),
    [SLACK_PKCE, 'https://docs.slack.dev/authentication/installing-with-oauth'],
    'PKCE has to be turned on for the app, which makes it a public one for good and lets its refresh tokens end after 30 days: ' +
      'say S256 for such an app. Scopes are those of the bot; those of a user go in the parameter user_scope.',
  ),
  request: secondary(request({ scopeSeparator: ',' }), SIGN_IN_LIST),
  tokenEndpointAuthMethods: quoted(
    ['client_secret_basic', 'client_secret_post'],
    [SLACK_ACCESS, 'https://repo.hex.pm/docs/slack_kit-1.0.0-alpha.0.tar.gz:Slack.Web.Oauth.V2.html'],
  ),
  reuse: official({ kind: 'strict' }, SLACK_ROTATION, 'The refresh token is revoked by its use.'),
  accessTokenLifetimeMs: official(fromSeconds(43_200), SLACK_ROTATION),
  words: reported(
    words({
      rejected: ['invalid_refresh_token'],
      misconfigured: ['bad_client_secret', 'invalid_client_id'],
      unavailable: ['ratelimited'],
      inDoubt: ['fatal_error', 'internal_error'],
    }),
    [
      'https://github.com/slackapi/python-slack-sdk/issues/1242',
      'https://github.com/slackapi/node-slack-sdk/issues/2038',
      SLACK_EXCHANGE,
    ],
    'Errors come with status 200 and ok: false. Of fatal_error and internal_error Slack says that part may have succeeded.',
  ),
  answer: sourceCode(
    answer({ tokensIn: ['authed_user'], subject: ['authed_user.id'], tokenType: 'Bearer', scopeSeparator: ',' }),
    ['https://github.com/slackapi/node-slack-sdk (packages/oauth, InstallProvider)', SLACK_ACCESS],
    'A refresh answers at the top and calls the type bot or user. A sign-in may have the tokens of a user in authed_user.',
  ),
})

const DISCORD =
  'https://github.com/discord/discord-api-docs/blob/00995c3ea89ff9b40879f1c5b029e04a58666e0e/docs/topics/OAuth2.md'

export const discord: Preset = preset('Discord', {
  tokenEndpoint: official('https://discord.com/api/oauth2/token', DISCORD),
  authorizationEndpoint: official('https://discord.com/api/oauth2/authorize', DISCORD),
  authorization: official(
    authorization({ scope: 'identify' }),
    DISCORD,
    'Sees who signed in, and nothing else. prompt=none passes over a consent that was given before.',
  ),
  revocationEndpoint: official('https://discord.com/api/oauth2/token/revoke', DISCORD),
  tokenEndpointAuthMethods: official(['client_secret_basic', 'client_secret_post'], DISCORD),
  userinfoEndpoint: official('https://discord.com/api/users/@me', DISCORD, 'For sign-ins with the scope identify.'),
  answer: official(answer({ subject: ['id'] }), DISCORD, 'What the userinfo endpoint says.'),
  accessTokenLifetimeMs: official(fromSeconds(604_800), DISCORD),
})

const ZOOM_ARTICLE =
  'https://devsupport.zoom.us/hc/en-us/articles/360060332931-Extending-the-expiration-for-an-OAuth-access-token'
const ZOOM_ERRORS = 'https://developers.zoom.us/docs/integrations/oauth-error-messages/'

const ZOOM_PKCE = 'https://developers.zoom.us/docs/integrations/PKCE/'

export const zoom: Preset = preset('Zoom', {
  tokenEndpoint: official('https://zoom.us/oauth/token', ZOOM_ARTICLE),
  authorizationEndpoint: official('https://zoom.us/oauth/authorize', ZOOM_PKCE),
  deviceAuthorizationEndpoint: thirdPartyCode(
    'https://zoom.us/oauth/devicecode',
    STRING_SEARCH,
    'Has to be turned on for the app.',
  ),
  authorization: official(
    authorization({}),
    ZOOM_PKCE,
    'With PKCE a client without a secret has a client id of its own.',
  ),
  revocationEndpoint: recalled('https://zoom.us/oauth/revoke', 'https://developers.zoom.us/docs/integrations/oauth/'),
  tokenEndpointAuthMethods: official(['client_secret_basic'], ZOOM_ARTICLE),
  reuse: official(
    { kind: 'strict' },
    [ZOOM_ARTICLE, 'https://devforum.zoom.us/t/how-to-protect-against-losing-refresh-token-response/10375'],
    'Only the latest refresh token works; for a lost answer Zoom advises to sign in again.',
  ),
  accessTokenLifetimeMs: official(fromSeconds(3600), ZOOM_ARTICLE),
  words: official(
    words({ rejected: ['Invalid Token!', '4711'], misconfigured: ['4702', '4704', '4717'], inDoubt: ['4700'] }),
    [ZOOM_ARTICLE, ZOOM_ERRORS],
    '4711: the scopes of the app were changed. 4700 stands for any exception.',
  ),
  answer: recalled(answer({ words: ['reason', 'errorCode'] }), ZOOM_ERRORS, 'Where the words stand.'),
})
