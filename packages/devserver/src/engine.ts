import type { EventEmitter } from 'node:events'
import { TLSSocket } from 'node:tls'
import Provider, { type Configuration, type KoaContextWithOIDC } from 'oidc-provider'
import { finishCallback } from './callback.ts'
import { DEVICE_PAGES } from './device-pages.ts'
import { createAdapter, JWT_BEARER_GRANT, TOKEN_EXCHANGE_GRANT } from './engine-adapter.ts'
import { answerExchange } from './exchange.ts'
import { NO_END_SECONDS } from './lifetimes.ts'
import { createJwtBearerGrant, JWT_BEARER_PARAMETERS } from './jwt-bearer-grant.ts'
import { openSession } from './open-session.ts'
import { escapeHtml, page } from './page.ts'
import type { Realm } from './realm.ts'
import { createRefreshGrant } from './refresh-grant.ts'
import type { KilledBecause } from './sessions.ts'
import { createTokenExchangeGrant, TOKEN_EXCHANGE_PARAMETERS } from './token-exchange-grant.ts'

const ENDPOINTS = '/protocol/openid-connect'
const FORTNIGHT_SECONDS = 1_209_600
const HOUR_SECONDS = 3600
const ASSERTION_ALGS = [
  'HS256',
  'HS384',
  'HS512',
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
] as const

/**
 * Sets up oidc-provider for one realm.
 *
 * Every function whose default prints a notice is given here, so that the engine has no reason to write to the console.
 */
export function createEngine(realm: Realm, scopes: readonly string[]): Provider {
  const provider = new Provider(realm.issuer, configurationOf(realm, scopes))
  provider.registerGrantType(
    'refresh_token',
    createRefreshGrant(realm),
    ['refresh_token', 'scope', 'resource'],
    'resource',
  )
  provider.registerGrantType(TOKEN_EXCHANGE_GRANT, createTokenExchangeGrant(realm), TOKEN_EXCHANGE_PARAMETERS)
  provider.registerGrantType(JWT_BEARER_GRANT, createJwtBearerGrant(realm), JWT_BEARER_PARAMETERS)
  provider.use((ctx, next) => answerExchange(realm, ctx, next))
  provider.use(async (ctx, next) => {
    await next()
    // Whoever signs out learns of it when the clients have. Others must not wait: a client that hears of it may ask us
    // for our keys before it answers.
    if (ctx.path.endsWith(`${ENDPOINTS}/logout/confirm`)) await realm.logouts.settled()
  })
  provider.use(async (ctx, next) => {
    await next()
    finishCallback(realm, ctx as unknown as KoaContextWithOIDC)
    if (ctx.path.includes('/.well-known/') && !realm.settings.authorizationResponseIss) {
      ctx.body = { ...(ctx.body as object), authorization_response_iss_parameter_supported: undefined }
    }
  })
  provider.on('grant.revoked', (ctx, grantId) => {
    const because = REVOKED_BY_ROUTE[ctx.oidc.route]
    if (because) realm.sessions.kill(grantId, because, Date.now())
    else void realm.signOut(grantId)
  })
  provider.on('end_session.success', (ctx) => {
    const browser = ctx.oidc.session?.uid
    for (const sessionId of browser === undefined ? [] : realm.sessions.idsOf(browser)) void realm.signOut(sessionId)
  })
  provider.on('server_error', (_ctx, error) => process.emitWarning(error))
  // The engine's types hide Koa's own event; with a listener Koa does not write to the console.
  const koa: EventEmitter = provider
  koa.on('error', (error: Error) => process.emitWarning(error))
  return provider
}

const REVOKED_BY_ROUTE: Readonly<Record<string, KilledBecause>> = {
  revocation: 'revoked_by_client',
  token: 'code_reuse',
}

function configurationOf(realm: Realm, scopes: readonly string[]): Configuration {
  const base = `/realms/${realm.name}`
  const parts = {
    state: realm.state,
    realm: realm.name,
    sessions: realm.sessions,
    client: (clientId: string) => realm.client(clientId),
    settings: realm.settings,
    recordId: (shown: string) => realm.recordId(shown),
  }
  return {
    adapter: (model: string) => createAdapter(parts, model),
    jwks: { keys: [realm.keys.signing] },
    cookies: {
      keys: [...realm.keys.cookies],
      long: { path: base, signed: true, httpOnly: true, sameSite: 'lax' }, // One browser, several realms.
      short: { signed: true, httpOnly: true, sameSite: 'lax' },
    },
    routes: {
      authorization: `${ENDPOINTS}/auth`,
      token: `${ENDPOINTS}/token`,
      revocation: `${ENDPOINTS}/revoke`,
      introspection: `${ENDPOINTS}/token/introspect`,
      pushed_authorization_request: `${ENDPOINTS}/ext/par/request`,
      device_authorization: `${ENDPOINTS}/auth/device`,
      code_verification: '/device',
      jwks: `${ENDPOINTS}/certs`,
      userinfo: `${ENDPOINTS}/userinfo`,
      end_session: `${ENDPOINTS}/logout`,
    },
    scopes: [...scopes],
    claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email', 'email_verified'] },
    responseTypes: ['code'],
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'tls_client_auth',
      'self_signed_tls_client_auth',
      'none',
    ],
    enabledJWA: { clientAuthSigningAlgValues: ASSERTION_ALGS },
    assertJwtClientAuthClaimsAndHeader: async () => undefined,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientBasedCORS: () => false, // Tokens are no business of scripts in a page.
    discovery: { backchannel_logout_supported: true, backchannel_logout_session_supported: true },
    interactions: { url: (_ctx, interaction) => `${base}/interaction/${interaction.uid}` },
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => claimsOf(accountId) }),
    loadExistingGrant: (ctx) => signIn(realm, ctx),
    // As in Keycloak, a refresh token needs no offline_access; only the client decides.
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: async () => false,
    ttl: timesToLive(realm),
    features: features(realm),
    renderError: (ctx, out) => {
      ctx.type = 'html'
      ctx.body = page('Something is wrong with this request', `<pre>${escapeHtml(JSON.stringify(out, null, 2))}</pre>`)
    },
  }
}

function features(realm: Realm): NonNullable<Configuration['features']> {
  return {
    devInteractions: { enabled: false },
    dPoP: {
      enabled: realm.settings.dpop !== 'off',
      ...(realm.settings.dpopNonce ? { nonceSecret: realm.nonceSecret, requireNonce: () => true } : {}),
    },
    pushedAuthorizationRequests: {
      enabled: realm.settings.pushedAuthorizationRequests !== 'off',
      requirePushedAuthorizationRequests: realm.settings.pushedAuthorizationRequests === 'required',
    },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: (ctx) => peerOf(ctx)?.getPeerX509Certificate(),
      certificateAuthorized: (ctx) => peerOf(ctx)?.authorized === true,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_subject_dn' &&
        peerOf(ctx)?.getPeerX509Certificate()?.subject.replaceAll('\n', ',') === expected,
    },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: realm.settings.deviceFlow, deviceInfo: () => ({}), ...DEVICE_PAGES },
    userinfo: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) => client.clientAuthMethod !== 'none' || token.clientId === client.clientId,
    },
    revocation: {
      enabled: true,
      async allowedPolicy(_ctx, client, token) {
        if (token.clientId !== client.clientId) return false
        if (token.kind === 'RefreshToken') return true
        // Allowed, but done here: the engine would end the whole grant with one access token (RFC 7009 section 2.1
        // leaves that open), and no server our users meet does so.
        await token.destroy()
        return false
      },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, _client, oneOf) => oneOf ?? [],
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: realm.scopes,
        audience: resource,
        accessTokenFormat: 'opaque' as const, // The JWT is made from the saved token, see Realm.presentable.
      }),
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Sign out', `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`)
      },
      postLogoutSuccessSource: (ctx) => {
        ctx.body = page('Signed out', '<p>You are signed out.</p>')
      },
    },
  }
}

/** The connection that a certificate can have come by; null: it is not TLS. */
function peerOf(ctx: KoaContextWithOIDC): TLSSocket | null {
  return ctx.req.socket instanceof TLSSocket ? ctx.req.socket : null
}

/** Every sign-in is a session of its own, with consent given: two connections never share their refresh tokens' fate. */
async function signIn(realm: Realm, ctx: KoaContextWithOIDC) {
  const { client, account, params, result } = ctx.oidc
  const begun = result?.consent?.grantId
  if (begun !== undefined) return realm.provider.Grant.find(begun)
  if (!client || !account) return undefined

  const scope = typeof params?.['scope'] === 'string' ? params['scope'] : ''
  const resources = [params?.['resource']].flat().filter((it) => typeof it === 'string')
  const { grant } = await openSession(realm, {
    clientId: client.clientId,
    subject: account.accountId,
    scope,
    resources,
  })
  return grant
}

function timesToLive(realm: Realm): NonNullable<Configuration['ttl']> {
  const lifetimes = (token: { grantId?: string | undefined }) => {
    const session = token.grantId === undefined ? null : realm.sessions.find(token.grantId)
    return session && realm.lifetimes(session, Date.now())
  }
  return {
    AccessToken: (_ctx, token) => Math.max(1, lifetimes(token)?.accessSeconds ?? realm.settings.accessTokenSeconds),
    RefreshToken: (_ctx, token) => Math.max(1, lifetimes(token)?.refreshSeconds ?? NO_END_SECONDS),
    ClientCredentials: (_ctx, token) =>
      realm.client(token.clientId ?? '')?.accessTokenSeconds ?? realm.settings.accessTokenSeconds,
    AuthorizationCode: 60,
    DeviceCode: () => realm.settings.deviceCodeSeconds,
    IdToken: HOUR_SECONDS,
    Interaction: HOUR_SECONDS,
    Session: FORTNIGHT_SECONDS,
    Grant: NO_END_SECONDS, // The session ends with its refresh token or at sessionSeconds, not with the engine's grant.
  }
}

function claimsOf(accountId: string) {
  return {
    sub: accountId,
    preferred_username: accountId,
    email: `${encodeURIComponent(accountId)}@example.org`,
    email_verified: true,
  }
}
