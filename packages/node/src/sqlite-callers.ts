/** Callers in SQLite: API keys, their sources, and local refresh tokens. */
import type { ApiKey, CallerRows, LimitedKey, LocalRefreshToken, Shared } from './callers.ts'
import type { ApiKeyScope } from './api-key-input.ts'
import { integer, integerOrNull, json, text, textOrNull, type SqliteRecord } from './sqlite-cells.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

// The sources come along as one JSON object, so that a key is read in one statement.
const SELECT_API_KEY = `
  SELECT k.id, k.name, k.scopes, k.labels, k.created_at, k.expires_at, k.revoked_at,
    (SELECT json_group_object(s.provider, s.connection) FROM api_key_source s WHERE s.api_key = k.id) AS sources
  FROM api_key k`

const HAS_LABELS = `NOT EXISTS (
    SELECT 1 FROM json_each(?) j
    WHERE NOT EXISTS (SELECT 1 FROM label l WHERE l.uid = c.uid AND l.name = j.key AND l.value = j.value))`

const LIVING = `c.status NOT IN ('erased', 'deleting')`

const SELECT_LOCAL_REFRESH_TOKEN = `
  SELECT t.id, c.id AS connection, t.api_key, t.created_at, t.revoked_at
  FROM local_refresh_token t JOIN connection c ON c.uid = t.uid`

/** Prepared when the first of them is asked for: most processes never meet a caller. */
function prepared(sql: SqliteDatabase['sql']) {
  return {
    addApiKey: sql.prepare(
      `INSERT INTO api_key (id, name, digest, scopes, labels, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    apiKeys: sql.prepare(`${SELECT_API_KEY} ORDER BY k.created_at, k.id`),
    apiKeyById: sql.prepare(`${SELECT_API_KEY} WHERE k.id = ?`),
    apiKeyByDigest: sql.prepare(`${SELECT_API_KEY} WHERE k.digest = ?`),
    revokeApiKey: sql.prepare('UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL'),
    ofProvider: sql.prepare(
      `SELECT 1 FROM connection c WHERE c.id = ? AND c.status <> 'erased' AND c.provider = ? AND ${HAS_LABELS}`,
    ),
    putSource: sql.prepare(
      `INSERT INTO api_key_source (api_key, provider, connection) VALUES (?, ?, ?)
       ON CONFLICT (api_key, provider) DO UPDATE SET connection = excluded.connection`,
    ),
    dropSource: sql.prepare('DELETE FROM api_key_source WHERE api_key = ? AND provider = ?'),
    source: sql.prepare(
      `SELECT c.id FROM api_key_source s JOIN connection c ON c.id = s.connection AND c.status <> 'erased'
       WHERE s.api_key = ? AND s.provider = ? AND c.provider = s.provider AND ${HAS_LABELS}`,
    ),
    admits: sql.prepare(`SELECT 1 FROM connection c WHERE c.id = ? AND c.status <> 'erased' AND ${HAS_LABELS}`),
    uidOf: sql.prepare(`SELECT c.uid FROM connection c WHERE c.id = ? AND c.status <> 'erased'`),
    addToken: sql.prepare(
      'INSERT INTO local_refresh_token (id, digest, api_key, uid, created_at) VALUES (?, ?, ?, ?, ?)',
    ),
    tokens: sql.prepare(
      `${SELECT_LOCAL_REFRESH_TOKEN} WHERE c.id = ? AND c.status <> 'erased' ORDER BY t.created_at, t.id`,
    ),
    token: sql.prepare(`${SELECT_LOCAL_REFRESH_TOKEN} WHERE t.id = ?`),
    revokeToken: sql.prepare('UPDATE local_refresh_token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL'),
    shared: sql.prepare(
      `SELECT t.id, c.id AS connection, t.api_key, t.created_at, t.revoked_at, c.provider, c.subject, c.scope,
         c.refresh_token IS NOT NULL OR c.grant_type = 'client_credentials' AS renewable
       FROM local_refresh_token t
       JOIN api_key k ON k.id = t.api_key AND k.revoked_at IS NULL
       JOIN connection c ON c.uid = t.uid AND ${LIVING}
       WHERE t.digest = ? AND t.revoked_at IS NULL`,
    ),
  }
}

export function sqliteCallers({ sql, read, write }: SqliteDatabase): CallerRows {
  let known: ReturnType<typeof prepared> | null = null
  const statements = (): ReturnType<typeof prepared> => (known ??= prepared(sql))

  const isSource = (connection: string, provider: string, labels: LimitedKey['labels']): boolean =>
    statements().ofProvider.get(connection, provider, JSON.stringify(labels)) !== undefined

  return {
    addApiKey: (apiKey, digest) =>
      write(() => {
        const { id, name, scopes, labels, sources, createdAt, expiresAt } = apiKey
        const named = Object.entries(sources)
        const wrong = named.find(([provider, connection]) => !isSource(connection, provider, labels))
        if (wrong !== undefined) return { unknown: wrong[0] }
        const cells = [id, name, digest, JSON.stringify(scopes), JSON.stringify(labels), createdAt, expiresAt] as const
        statements().addApiKey.run(...cells)
        for (const [provider, connection] of named) statements().putSource.run(id, provider, connection)
        return 'added'
      }),
    apiKeys: () => read(() => statements().apiKeys.all().map(readApiKey)),
    apiKey: (by) =>
      read(() => {
        const record = 'id' in by ? statements().apiKeyById.get(by.id) : statements().apiKeyByDigest.get(by.digest)
        return record === undefined ? null : readApiKey(record)
      }),
    revokeApiKey: (id, at) => write(() => void statements().revokeApiKey.run(at, id)),
    setSource: ({ id, labels }, provider, connection) =>
      write(() => {
        if (connection === null) statements().dropSource.run(id, provider)
        else if (!isSource(connection, provider, labels)) return 'unknown'
        else statements().putSource.run(id, provider, connection)
        return 'set'
      }),
    source: ({ id, labels }, provider) =>
      read(() => {
        const record = statements().source.get(id, provider, JSON.stringify(labels))
        return record === undefined ? null : text(record, 'id')
      }),
    admits: (connection, labels) =>
      read(() => statements().admits.get(connection, JSON.stringify(labels)) !== undefined),
    addLocalRefreshToken: (token, digest) =>
      write(() => {
        const record = statements().uidOf.get(token.connection)
        if (record === undefined) return 'unknown'
        statements().addToken.run(token.id, digest, token.apiKey, text(record, 'uid'), token.createdAt)
        return 'added'
      }),
    localRefreshTokens: (connection) => read(() => statements().tokens.all(connection).map(readLocalRefreshToken)),
    localRefreshToken: (id) =>
      read(() => {
        const record = statements().token.get(id)
        return record === undefined ? null : readLocalRefreshToken(record)
      }),
    revokeLocalRefreshToken: (id, at) => write(() => void statements().revokeToken.run(at, id)),
    shared: (digest) =>
      read(() => {
        const record = statements().shared.get(digest)
        return record === undefined ? null : readShared(record)
      }),
  }
}

const readApiKey = (record: SqliteRecord): ApiKey => ({
  id: text(record, 'id'),
  name: text(record, 'name'),
  scopes: json(record, 'scopes') as readonly ApiKeyScope[],
  labels: json(record, 'labels') as ApiKey['labels'],
  sources: json(record, 'sources') as ApiKey['sources'],
  createdAt: integer(record, 'created_at'),
  expiresAt: integerOrNull(record, 'expires_at'),
  revokedAt: integerOrNull(record, 'revoked_at'),
})

const readLocalRefreshToken = (record: SqliteRecord): LocalRefreshToken => ({
  id: text(record, 'id'),
  connection: text(record, 'connection'),
  apiKey: text(record, 'api_key'),
  createdAt: integer(record, 'created_at'),
  revokedAt: integerOrNull(record, 'revoked_at'),
})

const readShared = (record: SqliteRecord): Shared => ({
  ...readLocalRefreshToken(record),
  provider: text(record, 'provider'),
  subject: textOrNull(record, 'subject'),
  scope: textOrNull(record, 'scope'),
  renewable: integer(record, 'renewable') === 1,
})
