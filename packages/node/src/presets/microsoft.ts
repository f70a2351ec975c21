import {
  answer,
  authorization,
  days,
  official,
  preset,
  recalled,
  STRING_SEARCH,
  thirdPartyCode,
  unknown,
  words,
  type Preset,
} from './preset.ts'

const REFRESH_TOKENS = 'https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens'
const CODE_FLOW =
  'https://github.com/MicrosoftDocs/entra-docs/blob/0c1ac842ddc96d49ce2897f751c6298dc524b9a5/docs/identity-platform/v2-oauth2-auth-code-flow.md'

const DEVICE_CODE =
  'https://github.com/MicrosoftDocs/entra-docs/blob/0358995965b03e866d4b22a25625f4c558f121b9/docs/identity-platform/v2-oauth2-device-code.md'

export const entra: Preset = preset('Microsoft Entra ID', {
  variables: { tenant: 'the directory id, one of its domains, or common, organizations, consumers' },
  issuer: unknown(null, 'Not needed: its metadata names another issuer for tenants such as common.'),
  tokenEndpoint: official('https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token', CODE_FLOW),
  authorizationEndpoint: official('https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize', CODE_FLOW),
  deviceAuthorizationEndpoint: official(
    'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode',
    DEVICE_CODE,
    'A refusal is called authorization_declined. There is no verification_uri_complete.',
  ),
  jwksUri: recalled(
    'https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys',
    'https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens',
    'An ID token is checked where an issuer is given: https://login.microsoftonline.com/{directory id}/v2.0.',
  ),
  authorization: official(
    authorization({ scope: 'openid offline_access' }),
    [CODE_FLOW, DEVICE_CODE],
    'Without offline_access there is no refresh token. Add scopes of one API, such as https://graph.microsoft.com/mail.read. ' +
      'PKCE is recommended for all, and required of single page apps.',
  ),
  revocationEndpoint: official(
    null,
    'https://learn.microsoft.com/en-us/answers/questions/1158831/invalidate-old-refresh-token-after-using-it-to-get',
    'There is none for one token.',
  ),
  tokenEndpointAuthMethods: official(['client_secret_post', 'client_secret_basic', 'none'], CODE_FLOW),
  reuse: official(
    { kind: 'reusable' },
    [CODE_FLOW, REFRESH_TOKENS],
    'Each refresh brings a new refresh token, and the old one is not revoked. It lives until its own end.',
  ),
  narrowing: official(
    'token_only',
    CODE_FLOW,
    'A refresh token is valid for everything that was consented to, whatever scope it came with.',
  ),
  refreshTokenIdleMs: official(
    days(90),
    REFRESH_TOKENS,
    'Each refresh brings one with another 90 days. 24 hours from sign-in, not moved by refreshes, for single page apps.',
  ),
  words: thirdPartyCode(
    words({
      interactionRequired: ['basic_action', 'additional_action', 'user_password_expired'],
      misconfigured: ['invalid_resource'],
    }),
    [STRING_SEARCH, CODE_FLOW],
    'invalid_resource, interaction_required and consent_required are documented; the words of `suberror` are not.',
  ),
  answer: thirdPartyCode(
    answer({ words: ['suberror'] }),
    STRING_SEARCH,
    'Conditional access says invalid_grant in `error`, and in `suberror` that the user has to do something.',
  ),
})
