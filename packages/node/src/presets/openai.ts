import {
  authorization,
  preset,
  recalled,
  reported,
  STRING_SEARCH,
  thirdPartyCode,
  words,
  type Preset,
} from './preset.ts'

const REPORTS = [
  'https://github.com/decolua/9router/pull/1821',
  'https://github.com/Menci/Floway/issues/340',
  'https://github.com/openai/codex/issues/9634',
]

export const openai: Preset = preset('OpenAI (auth.openai.com)', {
  tokenEndpoint: reported('https://auth.openai.com/oauth/token', REPORTS),
  authorizationEndpoint: thirdPartyCode('https://auth.openai.com/oauth/authorize', STRING_SEARCH),
  authorization: thirdPartyCode(
    authorization({ scope: 'openid profile email offline_access' }),
    STRING_SEARCH,
    'Seen with PKCE and the client id of its own programs, which come back to http://localhost:1455/auth/callback alone.',
  ),
  tokenEndpointAuthMethods: recalled(['none'], 'https://github.com/openai/codex'),
  reuse: reported({ kind: 'strict' }, [...REPORTS, 'https://github.com/openai/codex/issues/6028']),
  words: reported(
    words({
      reused: ['refresh_token_reused'],
      rejected: ['refresh_token_expired', 'refresh_token_invalidated', 'token_expired'],
    }),
    REPORTS,
    'In `error.code`, with status 401.',
  ),
})
