/** Callers in Postgres: API keys, their sources, the identities that they trust, and local refresh tokens. */
import { apiKeyValues, identityValues, readApiKey, readLocalRefreshToken, readShared } from './callers-codec.ts'
import type { CallerRows, LimitedKey, WrongSource } from './callers.ts'
import { text } from './cells.ts'
import type { Ask, PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'

// The first half alone lets the partial index be used.
const LIVING = `c.status <> 'erased' AND c.status <> 'deleting'`

/** Every statement by what it is for. Labels come as two arrays, names and values. */
export function callerStatements(schema: string) {
  const table = tableIn(schema)
  const [connection, label, source] = [table('connection'), table('label'), table('api_key_source')]
  const identity = table('api_key_identity')
  // The sources and identities come along as JSON, so that a key is read in one statement.
  const selectApiKey = `
    SELECT k.id, k.name, k.scopes, k.labels, k.created_at, k.expires_at, k.revoked_at,
      (SELECT coalesce(json_object_agg(s.provider, s.connection), '{}'::json)::text
       FROM ${source} s WHERE s.api_key = k.id) AS sources,
      (SELECT coalesce(json_agg(json_build_object('id', i.id, 'issuer', i.issuer, 'subject', i.subject,
          'settings', i.settings::json, 'created_at', i.created_at)), '[]'::json)::text
       FROM ${identity} i WHERE i.api_key = k.id) AS identities
    FROM ${table('api_key')} k`
  const hasLabels = `NOT EXISTS (
    SELECT FROM unnest(?::text[], ?::text[]) AS j (name, value)
    WHERE NOT EXISTS (SELECT FROM ${label} l WHERE l.uid = c.uid AND l.name = j.name AND l.value = j.value))`
  const selectToken = `
    SELECT t.id, c.id AS connection, t.api_key, t.created_at, t.revoked_at
    FROM ${table('local_refresh_token')} t JOIN ${connection} c ON c.uid = t.uid`
  return {
    addApiKey: statement(`
      INSERT INTO ${table('api_key')} (id, name, digest, scopes, labels, created_at, expires_at)
      VALUES (?, ?, ?, ?, ?, ?, ?)`),
    apiKeys: statement(`${selectApiKey} ORDER BY k.created_at, k.id`),
    apiKeyById: statement(`${selectApiKey} WHERE k.id = ?`),
    apiKeyByDigest: statement(`${selectApiKey} WHERE k.digest = ?`),
    apiKeyTrusting: statement(`
      ${selectApiKey} WHERE k.id = (SELECT t.api_key FROM ${identity} t WHERE t.issuer = ? AND t.subject = ?)`),
    // A key that is revoked or past its end holds no identity.
    dropIdentity: statement(`
      DELETE FROM ${identity} i WHERE i.issuer = ? AND i.subject = ? AND NOT EXISTS (
        SELECT FROM ${table('api_key')} k
        WHERE k.id = i.api_key AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?))`),
    putIdentity: statement(`
      INSERT INTO ${identity} AS i (id, api_key, issuer, subject, settings, created_at) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (issuer, subject) DO UPDATE SET settings = excluded.settings WHERE i.api_key = excluded.api_key
      RETURNING 1 AS put`),
    untrust: statement(`DELETE FROM ${identity} WHERE id = ? AND api_key = ? RETURNING 1 AS removed`),
    revokeApiKey: statement(`UPDATE ${table('api_key')} SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL`),
    provider: statement(`SELECT 1 AS found FROM ${table('provider')} WHERE id = ?`),
    ofProvider: statement(`
      SELECT 1 AS found FROM ${connection} c WHERE c.id = ? AND ${LIVING} AND c.provider = ? AND ${hasLabels}`),
    putSource: statement(`
      INSERT INTO ${source} (api_key, provider, connection) VALUES (?, ?, ?)
      ON CONFLICT (api_key, provider) DO UPDATE SET connection = excluded.connection`),
    dropSource: statement(`DELETE FROM ${source} WHERE api_key = ? AND provider = ?`),
    source: statement(`
      SELECT c.id FROM ${source} s JOIN ${connection} c ON c.id = s.connection AND ${LIVING}
      WHERE s.api_key = ? AND s.provider = ? AND c.provider = s.provider AND ${hasLabels}`),
    exists: statement(`SELECT 1 AS found FROM ${connection} c WHERE c.id = ? AND c.status <> 'erased'`),
    // Labels go when their connection is erased, so they alone say that it is there. Nothing else is looked at, and each
    // of them always is: the time that it takes tells nobody whether it was the connection or a label that was missing.
    labelled: statement(`
      SELECT count(*) > 0 AND count(l.id) = count(*) AS has_all
      FROM unnest(?::text[], ?::text[]) AS j (name, value)
      LEFT JOIN ${label} l ON l.name = j.name AND l.value = j.value AND l.id = ?`),
    addToken: statement(`
      INSERT INTO ${table('local_refresh_token')} (id, digest, api_key, uid, created_at)
      SELECT ?::text, ?::text, ?::text, c.uid, ?::bigint FROM ${connection} c
      WHERE c.id = ? AND ${LIVING} AND ${hasLabels} RETURNING 1 AS added`),
    tokens: statement(`${selectToken} WHERE c.id = ? AND c.status <> 'erased' ORDER BY t.created_at, t.id`),
    token: statement(`${selectToken} WHERE t.id = ? AND c.status <> 'erased'`),
    revokeToken: statement(
      `UPDATE ${table('local_refresh_token')} SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL`,
    ),
    shared: statement(`
      SELECT t.id, c.id AS connection, t.api_key, t.created_at, t.revoked_at, c.provider, c.subject, c.scope,
        c.refresh_token IS NOT NULL OR c.grant_type = 'client_credentials' AS renewable
      FROM ${table('local_refresh_token')} t
      JOIN ${table('api_key')} k ON k.id = t.api_key AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)
      JOIN ${connection} c ON c.uid = t.uid AND ${LIVING}
      WHERE t.digest = ? AND t.revoked_at IS NULL`),
  }
}

export function postgresCallers({ schema, read, write, transaction }: PostgresDatabase): CallerRows {
  const sql = callerStatements(schema)

  async function wrongSource(
    ask: Ask,
    connection: string,
    provider: string,
    labels: LimitedKey['labels'],
  ): Promise<WrongSource | null> {
    if ((await ask(sql.provider, [provider])).length === 0) return 'unknown_provider'
    const found = await ask(sql.ofProvider, [connection, provider, ...asArrays(labels)])
    return found.length === 0 ? 'unknown_connection' : null
  }
  const exists = async (connection: string): Promise<boolean> => (await read(sql.exists, [connection])).length > 0

  return {
    addApiKey: (apiKey, digest) =>
      transaction(async (ask) => {
        const sources = Object.entries(apiKey.sources)
        for (const [provider, connection] of sources) {
          const wrong = await wrongSource(ask, connection, provider, apiKey.labels)
          if (wrong !== null) return { wrong, provider }
        }
        await ask(sql.addApiKey, apiKeyValues(apiKey, digest))
        for (const [provider, connection] of sources) await ask(sql.putSource, [apiKey.id, provider, connection])
        return 'added'
      }),
    apiKeys: async () => (await read(sql.apiKeys)).map(readApiKey),
    apiKey: async (by) => {
      const [record] = await ('id' in by ? read(sql.apiKeyById, [by.id]) : read(sql.apiKeyByDigest, [by.digest]))
      return record === undefined ? null : readApiKey(record)
    },
    apiKeyTrusting: async ({ issuer, subject }) => {
      const [record] = await read(sql.apiKeyTrusting, [issuer, subject])
      return record === undefined ? null : readApiKey(record)
    },
    trust: (apiKey, identity, now) =>
      transaction(async (ask) => {
        await ask(sql.dropIdentity, [identity.issuer, identity.subject, now])
        const put = await ask(sql.putIdentity, identityValues(apiKey, identity))
        return put.length === 0 ? 'taken' : 'trusted'
      }),
    untrust: async (apiKey, identity) =>
      (await write(sql.untrust, [identity, apiKey])).length === 0 ? 'unknown' : 'untrusted',
    revokeApiKey: async (id, at) => void (await write(sql.revokeApiKey, [at, id])),
    setSource: ({ id, labels }, provider, connection) =>
      transaction(async (ask) => {
        if (connection === null) {
          if ((await ask(sql.provider, [provider])).length === 0) return 'unknown_provider'
          await ask(sql.dropSource, [id, provider])
          return 'set'
        }
        const wrong = await wrongSource(ask, connection, provider, labels)
        if (wrong !== null) return wrong
        await ask(sql.putSource, [id, provider, connection])
        return 'set'
      }),
    source: async ({ id, labels }, provider) => {
      const [record] = await read(sql.source, [id, provider, ...asArrays(labels)])
      return record === undefined ? null : text(record, 'id')
    },
    admits: async (connection, labels) => {
      if (Object.keys(labels).length === 0) return exists(connection)
      const [record] = await read(sql.labelled, [...asArrays(labels), connection])
      return record?.['has_all'] === true
    },
    addLocalRefreshToken: async ({ id, apiKey, createdAt, connection }, digest, labels) => {
      const added = await write(sql.addToken, [id, digest, apiKey, createdAt, connection, ...asArrays(labels)])
      return added.length === 0 ? 'unknown' : 'added'
    },
    localRefreshTokens: async (connection) => {
      const records = await read(sql.tokens, [connection])
      if (records.length === 0 && !(await exists(connection))) return 'unknown'
      return records.map(readLocalRefreshToken)
    },
    localRefreshToken: async (id) => {
      const [record] = await read(sql.token, [id])
      return record === undefined ? null : readLocalRefreshToken(record)
    },
    revokeLocalRefreshToken: async (id, at) => void (await write(sql.revokeToken, [at, id])),
    shared: async (digest, now) => {
      const [record] = await read(sql.shared, [now, digest])
      return record === undefined ? null : readShared(record)
    },
  }
}

const asArrays = (labels: LimitedKey['labels']): [string[], string[]] => [Object.keys(labels), Object.values(labels)]
