import type { Adapter, AdapterPayload, SigningAlgorithm } from 'oidc-provider'
import type { ClientOptions, RealmSettings, TokenEndpointAuthMethod } from './options.ts'
import type { Sessions } from './sessions.ts'
import { storedName } from './fingerprint.ts'
import type { Row, State } from './state.ts'

/** In a JWT access token `jti` is the stored name of the token's record; this prefix says so to {@link recordName}. */
export const BY_NAME = 'name.'

export const JWT_BEARER_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
export const TOKEN_EXCHANGE_GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** What the engine's store needs beside the state file. */
export interface AdapterParts {
  readonly state: State
  readonly realm: string
  readonly sessions: Sessions
  readonly client: (clientId: string) => ClientOptions | null
  readonly settings: RealmSettings
  /** The id of the record that an access token names, see Realm.recordId. */
  readonly recordId: (shown: string) => string
}

/**
 * oidc-provider's storage over the state file, one adapter a model.
 *
 * Records are kept under the hash of their id, and without it: the id of an opaque token *is* the token.
 * Revoked records stay (marked) so that the demo API can tell a revoked token from one it never saw.
 */
export function createAdapter(parts: AdapterParts, model: string): Adapter {
  return model === 'Client' ? clientAdapter(parts) : recordAdapter(parts, model)
}

export function recordName(id: string): string {
  return id.startsWith(BY_NAME) ? id.slice(BY_NAME.length) : storedName(id)
}

function recordAdapter({ state, realm, sessions, recordId }: AdapterParts, model: string): Adapter {
  const living = (row: Row | null, id: string | null): AdapterPayload | undefined => {
    if (row === null || row['revoked_ms'] !== null) return undefined
    const over = row['expires_ms'] !== null && Number(row['expires_ms']) <= Date.now()
    // Of a device code the engine must see that it was there: `expired_token` is not `invalid_grant`.
    if (over && model !== 'DeviceCode') return undefined
    const payload = JSON.parse(String(row['payload'])) as AdapterPayload
    const exp = over ? { exp: Math.floor(Number(row['expires_ms']) / 1000) } : {}
    return id === null ? { ...payload, ...exp } : { ...payload, ...exp, jti: id }
  }

  return {
    async upsert(id, payload, expiresIn) {
      const expiresMs = expiresIn === undefined ? null : Date.now() + expiresIn * 1000
      // The engine counts in whole seconds and rounds down, which would cut up to a second off a short-lived token.
      const exp = expiresMs === null ? {} : { exp: Math.ceil(expiresMs / 1000) }
      const byUid = secondName(model, payload)
      const { jti, ...other } = payload
      // A session is what ends, so its id is the `sid` of every token: the engine's own would be one a browser.
      const rest = other.grantId === undefined ? other : { ...other, sid: other.grantId }
      state.write(
        `INSERT INTO artifact (realm, model, name, grant_id, uid, payload, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET grant_id = excluded.grant_id, uid = excluded.uid, payload = excluded.payload,
           expires_ms = excluded.expires_ms, revoked_ms = NULL`,
        realm,
        model,
        recordName(id),
        model === 'Grant' ? id : (payload.grantId ?? null),
        byUid,
        // The engine finds a browser session by uid too and needs its id then; for nothing else is the id kept.
        JSON.stringify(model === 'Session' ? { ...rest, ...exp, jti } : { ...rest, ...exp }),
        expiresMs,
      )
      if (model === 'RefreshToken' && payload.grantId !== undefined && payload.clientId !== undefined) {
        sessions.enter(id, {
          sessionId: payload.grantId,
          clientId: payload.clientId,
          expiresMs: expiresMs ?? Number.MAX_SAFE_INTEGER,
        })
      }
    },
    async find(id) {
      // The engine hashes an access token as it was shown, to compare that with a proof; so it is resolved here only.
      const known = model === 'AccessToken' && !id.startsWith(BY_NAME) ? recordId(id) : id
      return living(
        state.row('SELECT * FROM artifact WHERE realm = ? AND model = ? AND name = ?', realm, model, recordName(known)),
        id,
      )
    },
    async findByUid(uid) {
      return living(
        state.row('SELECT * FROM artifact WHERE realm = ? AND model = ? AND uid = ?', realm, model, uid),
        null,
      )
    },
    async findByUserCode(userCode) {
      const row = state.row('SELECT * FROM artifact WHERE realm = ? AND model = ? AND uid = ?', realm, model, userCode)
      return row === null ? undefined : living(row, `${BY_NAME}${String(row['name'])}`)
    },
    async consume(id) {
      state.write(
        `UPDATE artifact SET payload = json_set(payload, '$.consumed', ?) WHERE realm = ? AND model = ? AND name = ?`,
        Math.floor(Date.now() / 1000),
        realm,
        model,
        recordName(id),
      )
    },
    async destroy(id) {
      state.write(
        'UPDATE artifact SET revoked_ms = ? WHERE realm = ? AND model = ? AND name = ?',
        Date.now(),
        realm,
        model,
        recordName(id),
      )
    },
    async revokeByGrantId(grantId) {
      state.write(
        'UPDATE artifact SET revoked_ms = ? WHERE realm = ? AND model = ? AND grant_id = ? AND revoked_ms IS NULL',
        Date.now(),
        realm,
        model,
        grantId,
      )
    },
  }
}

function secondName(model: string, payload: AdapterPayload): string | null {
  if (model === 'Session') return payload.uid ?? null
  return model === 'DeviceCode' ? (payload.userCode ?? null) : null
}

function clientAdapter({ client, settings }: AdapterParts): Adapter {
  const fixed = async () => undefined // Clients are put through the control API, never by the engine.
  return {
    async find(id) {
      const options = client(id)
      return options === null ? undefined : engineClient(options, settings, await keysOf(options))
    },
    upsert: fixed,
    findByUid: fixed,
    findByUserCode: fixed,
    consume: fixed,
    destroy: fixed,
    revokeByGrantId: fixed,
  }
}

/**
 * The client's public keys. A set that is fetched is fetched each time: the engine itself would keep it for a minute at least,
 * and it fetches from no private network, where everything here is.
 */
async function keysOf({ jwks, jwksUri }: ClientOptions): Promise<ClientOptions['jwks']> {
  if (jwksUri === undefined) return jwks
  const answer = await fetch(jwksUri, { redirect: 'error', signal: AbortSignal.timeout(FETCH_MS) }).catch(() => null)
  // Without its keys the client is one that nobody can authenticate as.
  return answer?.ok === true ? ((await answer.json()) as ClientOptions['jwks']) : NO_KEYS
}
const FETCH_MS = 2500
const NO_KEYS = { keys: [] }

function engineClient(options: ClientOptions, settings: RealmSettings, jwks: ClientOptions['jwks']): AdapterPayload {
  const codeFlow = (options.redirectUris?.length ?? 0) > 0
  const method = authMethod(options)
  return {
    client_id: options.clientId,
    ...(options.clientSecret === undefined ? {} : { client_secret: options.clientSecret }),
    token_endpoint_auth_method: method,
    ...(options.tokenEndpointAuthSigningAlg === undefined
      ? {}
      : { token_endpoint_auth_signing_alg: options.tokenEndpointAuthSigningAlg as SigningAlgorithm }),
    ...(options.tlsClientAuthSubjectDn === undefined
      ? {}
      : { tls_client_auth_subject_dn: options.tlsClientAuthSubjectDn }),
    ...(jwks === undefined ? {} : { jwks: { keys: jwks.keys.map((key) => ({ ...key })) } }),
    redirect_uris: [...(options.redirectUris ?? [])],
    ...(codeFlow && options.redirectUris?.every(isOfAnyPort) === true ? { application_type: 'native' as const } : {}),
    response_types: codeFlow ? ['code'] : [],
    grant_types: [
      ...(codeFlow ? ['authorization_code'] : []),
      ...(options.mayRefresh === false ? [] : ['refresh_token']),
      ...(method === 'none' ? [] : ['client_credentials']),
      ...(options.jwtBearer === false ? [] : [JWT_BEARER_GRANT]),
      ...((options.tokenExchange ?? method !== 'none') ? [TOKEN_EXCHANGE_GRANT] : []),
      ...(settings.deviceFlow && options.deviceFlow !== false ? [DEVICE_GRANT] : []),
    ],
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    ...(settings.dpop === 'required' || (settings.dpop === 'allowed' && options.dpopBoundAccessTokens === true)
      ? { dpop_bound_access_tokens: true }
      : {}),
    ...(options.requirePushedAuthorizationRequests === true ? { require_pushed_authorization_requests: true } : {}),
  }
}

/** RFC 8252 section 7.3: on loopback the port is the one that a program has just been given. */
const isOfAnyPort = (uri: string): boolean => /^http:\/\/127\.0\.0\.1\//.test(uri)

function authMethod(options: ClientOptions): TokenEndpointAuthMethod {
  return options.tokenEndpointAuthMethod ?? (options.clientSecret === undefined ? 'none' : 'client_secret_basic')
}
