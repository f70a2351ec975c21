/** Callers in SQLite: API keys, their sources, the identities that they trust, and local refresh tokens. */
import type { StatementSync } from 'node:sqlite'
import type { CallerRows, LimitedKey } from './callers.ts'
import { apiKeyValues, identityValues, readApiKey, readLocalRefreshToken, readShared } from './callers-codec.ts'
import { text } from './cells.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

// The sources and identities come along as JSON, so that a key is read in one statement.
const SELECT_API_KEY = `
  SELECT k.id, k.name, k.scopes, k.labels, k.created_at, k.expires_at, k.revoked_at,
    (SELECT json_group_object(s.provider, s.connection) FROM api_key_source s WHERE s.api_key = k.id) AS sources,
    (SELECT json_group_array(json_object('id', i.id, 'issuer', i.issuer, 'subject', i.subject,
        'settings', json(i.settings), 'created_at', i.created_at))
      FROM api_key_identity i WHERE i.api_key = k.id) AS identities
  FROM api_key k`

const HAS_LABELS = `NOT EXISTS (
    SELECT 1 FROM json_each(?) j
    WHERE NOT EXISTS (SELECT 1 FROM label l WHERE l.uid = c.uid AND l.name = j.key AND l.value = j.value))`

// The first half alone lets the partial index be used.
const LIVING = `c.status <> 'erased' AND c.status <> 'deleting'`

const SELECT_LOCAL_REFRESH_TOKEN = `
  SELECT t.id, c.id AS connection, t.api_key, t.created_at, t.revoked_at
  FROM local_refresh_token t JOIN connection c ON c.uid = t.uid`

/** Every statement by what it is for. */
export const CALLER_STATEMENTS = {
  addApiKey: `INSERT INTO api_key (id, name, digest, scopes, labels, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  apiKeys: `${SELECT_API_KEY} ORDER BY k.created_at, k.id`,
  apiKeyById: `${SELECT_API_KEY} WHERE k.id = ?`,
  apiKeyByDigest: `${SELECT_API_KEY} WHERE k.digest = ?`,
  apiKeyTrusting: `
    ${SELECT_API_KEY} WHERE k.id = (SELECT t.api_key FROM api_key_identity t WHERE t.issuer = ? AND t.subject = ?)`,
  // A key that is revoked or past its end holds no identity.
  dropIdentity: `
    DELETE FROM api_key_identity AS i WHERE i.issuer = ? AND i.subject = ? AND NOT EXISTS (
      SELECT 1 FROM api_key k
      WHERE k.id = i.api_key AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?))`,
  putIdentity: `
    INSERT INTO api_key_identity (id, api_key, issuer, subject, settings, created_at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (issuer, subject) DO UPDATE SET settings = excluded.settings WHERE api_key = excluded.api_key`,
  untrust: 'DELETE FROM api_key_identity WHERE id = ? AND api_key = ?',
  revokeApiKey: 'UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL',
  provider: 'SELECT 1 FROM provider WHERE id = ?',
  ofProvider: `SELECT 1 FROM connection c WHERE c.id = ? AND ${LIVING} AND c.provider = ? AND ${HAS_LABELS}`,
  putSource: `
    INSERT INTO api_key_source (api_key, provider, connection) VALUES (?, ?, ?)
    ON CONFLICT (api_key, provider) DO UPDATE SET connection = excluded.connection`,
  dropSource: 'DELETE FROM api_key_source WHERE api_key = ? AND provider = ?',
  source: `
    SELECT c.id FROM api_key_source s JOIN connection c ON c.id = s.connection AND ${LIVING}
    WHERE s.api_key = ? AND s.provider = ? AND c.provider = s.provider AND ${HAS_LABELS}`,
  exists: `SELECT 1 FROM connection c WHERE c.id = ? AND c.status <> 'erased'`,
  // Labels go when their connection is erased, so they alone say that it is there. Nothing else is looked at, and each of
  // them always is: the time that it takes tells nobody whether it was the connection or a label that was missing.
  labelled: `
    SELECT count(*) > 0 AND count(l.id) = count(*) AS has_all
    FROM json_each(?) j LEFT JOIN label l ON l.name = j.key AND l.value = j.value AND l.id = ?`,
  shareable: `SELECT c.uid FROM connection c WHERE c.id = ? AND ${LIVING} AND ${HAS_LABELS}`,
  addToken: 'INSERT INTO local_refresh_token (id, digest, api_key, uid, created_at) VALUES (?, ?, ?, ?, ?)',
  tokens: `${SELECT_LOCAL_REFRESH_TOKEN} WHERE c.id = ? AND c.status <> 'erased' ORDER BY t.created_at, t.id`,
  token: `${SELECT_LOCAL_REFRESH_TOKEN} WHERE t.id = ? AND c.status <> 'erased'`,
  revokeToken: 'UPDATE local_refresh_token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL',
  shared: `
    SELECT t.id, c.id AS connection, t.api_key, t.created_at, t.revoked_at, c.provider, c.subject, c.scope,
      c.refresh_token IS NOT NULL OR c.grant_type = 'client_credentials' AS renewable
    FROM local_refresh_token t
    JOIN api_key k ON k.id = t.api_key AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)
    JOIN connection c ON c.uid = t.uid AND ${LIVING}
    WHERE t.digest = ? AND t.revoked_at IS NULL`,
} as const

/** Prepared when the first of them is asked for: most processes never meet a caller. */
function prepared(sql: SqliteDatabase['sql']): Readonly<Record<keyof typeof CALLER_STATEMENTS, StatementSync>> {
  const statements = Object.entries(CALLER_STATEMENTS).map(([name, text]) => [name, sql.prepare(text)])
  return Object.fromEntries(statements) as Record<keyof typeof CALLER_STATEMENTS, StatementSync>
}

export function sqliteCallers({ sql, read, write }: SqliteDatabase): CallerRows {
  let known: ReturnType<typeof prepared> | null = null
  const statements = (): ReturnType<typeof prepared> => (known ??= prepared(sql))

  const wrongSource = (
    connection: string,
    provider: string,
    labels: LimitedKey['labels'],
  ): 'unknown_provider' | 'unknown_connection' | null => {
    if (statements().provider.get(provider) === undefined) return 'unknown_provider'
    const found = statements().ofProvider.get(connection, provider, JSON.stringify(labels))
    return found === undefined ? 'unknown_connection' : null
  }

  return {
    addApiKey: (apiKey, digest) =>
      write(() => {
        const { id, labels, sources } = apiKey
        for (const [provider, connection] of Object.entries(sources)) {
          const wrong = wrongSource(connection, provider, labels)
          if (wrong !== null) return { wrong, provider }
        }
        statements().addApiKey.run(...apiKeyValues(apiKey, digest))
        for (const [provider, connection] of Object.entries(sources))
          statements().putSource.run(id, provider, connection)
        return 'added'
      }),
    apiKeys: () => read(() => statements().apiKeys.all().map(readApiKey)),
    apiKey: (by) =>
      read(() => {
        const record = 'id' in by ? statements().apiKeyById.get(by.id) : statements().apiKeyByDigest.get(by.digest)
        return record === undefined ? null : readApiKey(record)
      }),
    apiKeyTrusting: ({ issuer, subject }) =>
      read(() => {
        const record = statements().apiKeyTrusting.get(issuer, subject)
        return record === undefined ? null : readApiKey(record)
      }),
    trust: (apiKey, identity, now) =>
      write(() => {
        statements().dropIdentity.run(identity.issuer, identity.subject, now)
        const { changes } = statements().putIdentity.run(...identityValues(apiKey, identity))
        return changes === 0 ? 'taken' : 'trusted'
      }),
    untrust: (apiKey, identity) =>
      write(() => (statements().untrust.run(identity, apiKey).changes === 0 ? 'unknown' : 'untrusted')),
    revokeApiKey: (id, at) => write(() => void statements().revokeApiKey.run(at, id)),
    setSource: ({ id, labels }, provider, connection) =>
      write(() => {
        if (connection === null) {
          if (statements().provider.get(provider) === undefined) return 'unknown_provider'
          statements().dropSource.run(id, provider)
          return 'set'
        }
        const wrong = wrongSource(connection, provider, labels)
        if (wrong !== null) return wrong
        statements().putSource.run(id, provider, connection)
        return 'set'
      }),
    source: ({ id, labels }, provider) =>
      read(() => {
        const record = statements().source.get(id, provider, JSON.stringify(labels))
        return record === undefined ? null : text(record, 'id')
      }),
    admits: (connection, labels) =>
      read(() => {
        const { labelled, exists } = statements()
        if (Object.keys(labels).length === 0) return exists.get(connection) !== undefined
        return labelled.get(JSON.stringify(labels), connection)?.['has_all'] === 1
      }),
    addLocalRefreshToken: (token, digest, labels) =>
      write(() => {
        const record = statements().shareable.get(token.connection, JSON.stringify(labels))
        if (record === undefined) return 'unknown'
        statements().addToken.run(token.id, digest, token.apiKey, text(record, 'uid'), token.createdAt)
        return 'added'
      }),
    localRefreshTokens: (connection) =>
      read(() => {
        const records = statements().tokens.all(connection)
        if (records.length === 0 && statements().exists.get(connection) === undefined) return 'unknown'
        return records.map(readLocalRefreshToken)
      }),
    localRefreshToken: (id) =>
      read(() => {
        const record = statements().token.get(id)
        return record === undefined ? null : readLocalRefreshToken(record)
      }),
    revokeLocalRefreshToken: (id, at) => write(() => void statements().revokeToken.run(at, id)),
    shared: (digest, now) =>
      read(() => {
        const record = statements().shared.get(now, digest)
        return record === undefined ? null : readShared(record)
      }),
  }
}
