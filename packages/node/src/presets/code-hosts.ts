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

const GITHUB_REFRESH =
  'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens'
const GITHUB_PARAMETERS =
  'https://github.com/github/docs/blob/01c499b96e90bdb7002966c7098e13cec5b853e1/data/reusables/apps/user-access-token-response-parameters.md'
const GITHUB_ERRORS =
  'https://github.com/github/docs/blob/058fa63bfe93d4d06889d0d18c601d6c56b66c56/content/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors.md'

const GITHUB_SIGN_IN =
  'https://github.com/github/docs/blob/001a9459faf72bf9482d23201bdcb77016436b8a/content/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-user-access-token-for-a-github-app.md'

export const githubApp: Preset = preset('GitHub Apps (user access tokens)', {
  tokenEndpoint: official('https://github.com/login/oauth/access_token', GITHUB_REFRESH),
  authorizationEndpoint: official('https://github.com/login/oauth/authorize', GITHUB_SIGN_IN),
  deviceAuthorizationEndpoint: official(
    'https://github.com/login/device/code',
    GITHUB_SIGN_IN,
    'Has to be turned on for the app. While it waits, errors come with status 200.',
  ),
  authorization: official(
    authorization({}),
    GITHUB_SIGN_IN,
    'There are no scopes: the permissions of the app count. Refresh tokens come unless the app opted out of expiring tokens.',
  ),
  revocationEndpoint: official(
    null,
    GITHUB_REFRESH,
    'Not RFC 7009: DELETE https://api.github.com/applications/{client_id}/token, with an access token.',
  ),
  tokenEndpointAuthMethods: official(
    ['client_secret_post', 'none'],
    GITHUB_REFRESH,
    'None for tokens that the device flow brought. Documented as query parameters; they are sent in the form.',
  ),
  reuse: official({ kind: 'strict' }, GITHUB_REFRESH, 'A refresh ends the refresh token and the access token at once.'),
  refreshKillsAccessToken: official(true, GITHUB_REFRESH),
  accessTokenLifetimeMs: official(fromSeconds(28_800), GITHUB_PARAMETERS),
  refreshTokenIdleMs: official(
    null,
    GITHUB_PARAMETERS,
    'Six months; refresh_token_expires_in says it in every answer.',
  ),
  words: reported(
    words({
      rejected: ['bad_refresh_token'],
      interactionRequired: ['unverified_user_email'],
      misconfigured: ['incorrect_client_credentials', 'redirect_uri_mismatch'],
    }),
    [GITHUB_ERRORS, 'https://github.com/orgs/community/discussions/24745'],
    'Errors come with status 200. All but bad_refresh_token are documented.',
  ),
  userinfoEndpoint: recalled(
    'https://api.github.com/user',
    'https://docs.github.com/en/rest/users/users#get-the-authenticated-user',
    'Its id is a number that stays when the login changes.',
  ),
  answer: official(
    answer({ scopeSeparator: ',', subject: ['id'] }),
    GITHUB_PARAMETERS,
    'The scope of such a token is an empty string. id is what the userinfo endpoint says (recalled).',
  ),
})

const GITLAB = 'https://github.com/gitlabhq/gitlabhq/blob/04b8ef1303253eb7059349dfa73dfe25df4ac1fb/doc/api/oauth2.md'

export const gitlab: Preset = preset('GitLab', {
  issuer: official('https://gitlab.com', GITLAB, 'Your own address where GitLab is your own.'),
  tokenEndpoint: official('{issuer}/oauth/token', GITLAB),
  authorizationEndpoint: official('{issuer}/oauth/authorize', GITLAB),
  deviceAuthorizationEndpoint: official('{issuer}/oauth/authorize_device', GITLAB, 'Since GitLab 17.3.'),
  authorization: official(
    authorization({}),
    GITLAB,
    'Scopes are those that the application was registered with. Refresh tokens need none.',
  ),
  revocationEndpoint: official('{issuer}/oauth/revoke', GITLAB),
  tokenEndpointAuthMethods: official(['client_secret_post', 'none'], GITLAB),
  reuse: official(
    { kind: 'strict' },
    GITLAB,
    'A refresh ends both tokens. A replay is refused; reports say that it does not end the sign-in.',
  ),
  refreshKillsAccessToken: official(true, GITLAB),
  accessTokenLifetimeMs: official(fromSeconds(7200), GITLAB),
  request: official(
    request({}),
    GITLAB,
    'Its documentation sends redirect_uri with a refresh: give it as a parameter where a refresh is refused without.',
  ),
})

const BITBUCKET_CHANGES =
  'https://community.developer.atlassian.com/t/oauth-2-0-and-api-authentication-changes-for-bitbucket-cloud/99003'

export const bitbucket: Preset = preset('Bitbucket Cloud', {
  tokenEndpoint: secondary('https://bitbucket.org/site/oauth2/access_token', PROVIDER_LIST),
  authorizationEndpoint: secondary('https://bitbucket.org/site/oauth2/authorize', SIGN_IN_LIST),
  authorization: secondary(
    authorization({}),
    ['https://jira.atlassian.com/browse/BCLOUD-23469', 'https://v2.lucia-auth.com/oauth/providers/bitbucket'],
    'It offers no PKCE; that it passes over the parameters is assumed. Scopes are those of the OAuth consumer.',
  ),
  tokenEndpointAuthMethods: recalled(
    ['client_secret_basic', 'client_secret_post'],
    'https://developer.atlassian.com/cloud/bitbucket/oauth-2/',
  ),
  reuse: official(
    { kind: 'unknown' },
    BITBUCKET_CHANGES,
    'Refresh tokens rotate since May 2026. A replay is not described.',
  ),
  accessTokenLifetimeMs: reported(
    fromSeconds(7200),
    'https://community.developer.atlassian.com/t/oauth2-token-lifetime-expiration-clarification/22136',
  ),
  refreshTokenIdleMs: official(days(90), BITBUCKET_CHANGES, 'Three months.'),
  answer: official(answer({ scope: ['scopes'] }), BITBUCKET_CHANGES, 'Older answers say scopes, newer ones scope.'),
})
