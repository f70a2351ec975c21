import { fromSeconds } from '@tokenkeep/core'
import {
  answer,
  authorization,
  days,
  official,
  preset,
  recalled,
  secondary,
  SIGN_IN_LIST,
  unknown,
  words,
  type Preset,
} from './preset.ts'

const SPOTIFY = 'https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens'
const SPOTIFY_EXPIRY = 'https://developer.spotify.com/blog/2026-06-18-refresh-token-expiration'

export const spotify: Preset = preset('Spotify', {
  tokenEndpoint: official('https://accounts.spotify.com/api/token', SPOTIFY),
  authorizationEndpoint: secondary('https://accounts.spotify.com/authorize', SIGN_IN_LIST),
  authorization: official(
    authorization({}),
    'https://developer.spotify.com/documentation/web-api/tutorials/code-flow',
    'PKCE is asked of clients that cannot keep a secret. Without a scope only public information is seen.',
  ),
  tokenEndpointAuthMethods: official(['client_secret_basic', 'none'], SPOTIFY),
  userinfoEndpoint: recalled(
    'https://api.spotify.com/v1/me',
    'https://developer.spotify.com/documentation/web-api/reference/get-current-users-profile',
  ),
  answer: recalled(
    answer({ subject: ['id'] }),
    'https://developer.spotify.com/documentation/web-api/reference/get-current-users-profile',
    'What the userinfo endpoint says.',
  ),
  accessTokenLifetimeMs: official(fromSeconds(3600), SPOTIFY),
  refreshTokenAbsoluteMs: official(
    days(180),
    SPOTIFY_EXPIRY,
    'Six months from the sign-in. A refresh does not move it, and answers do not say it.',
  ),
})

const TWITCH = 'https://dev.twitch.tv/docs/authentication/refresh-tokens'

export const twitch: Preset = preset('Twitch', {
  tokenEndpoint: official('https://id.twitch.tv/oauth2/token', TWITCH),
  authorizationEndpoint: secondary('https://id.twitch.tv/oauth2/authorize', SIGN_IN_LIST),
  deviceAuthorizationEndpoint: unknown(
    null,
    'Seen as https://id.twitch.tv/oauth2/device, but not as in RFC 8628: as remembered it takes `scopes` instead of `scope`.',
  ),
  revocationEndpoint: recalled(
    'https://id.twitch.tv/oauth2/revoke',
    'https://dev.twitch.tv/docs/authentication/revoke-tokens',
  ),
  tokenEndpointAuthMethods: official(['client_secret_post'], TWITCH),
  words: recalled(
    words({ rejected: [{ status: 400, word: 'Invalid refresh token' }] }),
    TWITCH,
    'In `message`; `error` says no more than Bad Request.',
  ),
  answer: recalled(answer({ words: ['message'] }), TWITCH, 'Its scope may be a list, which needs no setting.'),
})

const X =
  'https://github.com/xdevplatform/docs/blob/1f38869440a28cbd190492b1dbb1f7dad83b198d/resources/fundamentals/authentication/oauth-2-0/authorization-code.mdx'

export const x: Preset = preset('X', {
  tokenEndpoint: official('https://api.x.com/2/oauth2/token', X),
  authorizationEndpoint: official('https://x.com/i/oauth2/authorize', X),
  authorization: official(
    authorization({ scope: 'tweet.read users.read offline.access' }),
    X,
    'PKCE is required. Without offline.access (with a dot) there is no refresh token. A code is good for 30 seconds.',
  ),
  revocationEndpoint: recalled(
    'https://api.x.com/2/oauth2/revoke',
    'https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token',
  ),
  tokenEndpointAuthMethods: official(['client_secret_basic', 'none'], X),
  accessTokenLifetimeMs: official(fromSeconds(7200), X),
})
