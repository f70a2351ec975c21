import { fromSeconds } from '@tokenkeep/core'
import { authorization, days, official, preset, quoted, recalled, secondary, words, type Preset } from './preset.ts'

const OVERVIEW = 'https://developers.google.com/identity/protocols/oauth2'
const WEB_SERVER = 'https://developers.google.com/identity/protocols/oauth2/web-server'

export const google: Preset = preset('Google', {
  issuer: recalled(
    'https://accounts.google.com',
    'https://developers.google.com/identity/openid-connect/openid-connect',
  ),
  tokenEndpoint: official('https://oauth2.googleapis.com/token', WEB_SERVER),
  revocationEndpoint: recalled('https://oauth2.googleapis.com/revoke', WEB_SERVER),
  tokenEndpointAuthMethods: quoted(['client_secret_post', 'none'], WEB_SERVER),
  authorization: recalled(
    authorization({ parameters: { access_type: 'offline', prompt: 'consent' }, scope: 'openid' }),
    WEB_SERVER,
    'Without access_type=offline there is no refresh token, and without prompt=consent only the first consent brings one.',
  ),
  reuse: quoted(
    { kind: 'reusable' },
    WEB_SERVER,
    'A refresh brings an access token alone. 100 refresh tokens for each account and client: the next one ends the oldest.',
  ),
  accessTokenLifetimeMs: secondary(fromSeconds(3600), 'https://www.unipile.com/google-oauth-refresh-token/'),
  refreshTokenIdleMs: quoted(
    days(180),
    OVERVIEW,
    'Six months. 7 days after sign-in for external apps in testing, which has to be said at import (refresh token end).',
  ),
  words: quoted(
    words({ misconfigured: ['admin_policy_enforced'] }),
    OVERVIEW,
    "A policy of the user's organization: an administrator has to act, signing in again does not help.",
  ),
})
