import { fromSeconds } from '@tokenkeep/core'
import { answer, official, preset, quoted, recalled, reported, sourceCode, words, type Preset } from './preset.ts'

const SLACK_ROTATION = 'https://docs.slack.dev/authentication/using-token-rotation'
const SLACK_ACCESS = 'https://docs.slack.dev/reference/methods/oauth.v2.access'
const SLACK_EXCHANGE = 'https://api.slack.com/methods/oauth.v2.exchange'

export const slack: Preset = preset('Slack (token rotation)', {
  tokenEndpoint: official('https://slack.com/api/oauth.v2.access', SLACK_ROTATION),
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
    answer({ tokensIn: ['authed_user'], tokenType: 'Bearer', scopeSeparator: ',' }),
    ['https://github.com/slackapi/node-slack-sdk (packages/oauth, InstallProvider)', SLACK_ACCESS],
    'A refresh answers at the top and calls the type bot or user. A sign-in may have the tokens of a user in authed_user.',
  ),
})

const DISCORD =
  'https://github.com/discord/discord-api-docs/blob/00995c3ea89ff9b40879f1c5b029e04a58666e0e/docs/topics/OAuth2.md'

export const discord: Preset = preset('Discord', {
  tokenEndpoint: official('https://discord.com/api/oauth2/token', DISCORD),
  revocationEndpoint: official('https://discord.com/api/oauth2/token/revoke', DISCORD),
  tokenEndpointAuthMethods: official(['client_secret_basic', 'client_secret_post'], DISCORD),
  accessTokenLifetimeMs: official(fromSeconds(604_800), DISCORD),
})

const ZOOM_ARTICLE =
  'https://devsupport.zoom.us/hc/en-us/articles/360060332931-Extending-the-expiration-for-an-OAuth-access-token'
const ZOOM_ERRORS = 'https://developers.zoom.us/docs/integrations/oauth-error-messages/'

export const zoom: Preset = preset('Zoom', {
  tokenEndpoint: official('https://zoom.us/oauth/token', ZOOM_ARTICLE),
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
