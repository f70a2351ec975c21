/** Callers as rows of tables, and back. `docs/storage.md` says what each column means. */
import type { ApiKeyScope } from './api-key-input.ts'
import type { ApiKey, LocalRefreshToken, Shared } from './callers.ts'
import type { TrustedIdentity } from './trusted-identity.ts'
import { integer, integerOrNull, json, text, textOrNull, type Cell, type CellRecord } from './cells.ts'

/** id, name, digest, scopes, labels, created_at, expires_at. */
export const apiKeyValues = (apiKey: ApiKey, digest: string): Cell[] => [
  apiKey.id,
  apiKey.name,
  digest,
  JSON.stringify(apiKey.scopes),
  JSON.stringify(apiKey.labels),
  apiKey.createdAt,
  apiKey.expiresAt,
]

export const readApiKey = (record: CellRecord): ApiKey => ({
  id: text(record, 'id'),
  name: text(record, 'name'),
  scopes: json(record, 'scopes') as readonly ApiKeyScope[],
  labels: json(record, 'labels') as ApiKey['labels'],
  sources: json(record, 'sources') as ApiKey['sources'],
  identities: (json(record, 'identities') as readonly IdentityRow[]).map(readIdentity).toSorted(byAge),
  createdAt: integer(record, 'created_at'),
  expiresAt: integerOrNull(record, 'expires_at'),
  revokedAt: integerOrNull(record, 'revoked_at'),
})

interface IdentityRow extends Pick<TrustedIdentity, 'id' | 'issuer' | 'subject'> {
  readonly settings: Pick<TrustedIdentity, 'audience' | 'jwksUri' | 'allowPrivateNetwork'>
  readonly created_at: number
}

const readIdentity = ({ settings, created_at: createdAt, ...row }: IdentityRow): TrustedIdentity => ({
  ...row,
  ...settings,
  createdAt,
})

const byAge = (one: TrustedIdentity, other: TrustedIdentity): number =>
  one.createdAt === other.createdAt ? (one.id < other.id ? -1 : 1) : one.createdAt - other.createdAt

/** id, api_key, issuer, subject, settings, created_at. */
export const identityValues = (apiKey: string, identity: TrustedIdentity): Cell[] => {
  const { id, issuer, subject, createdAt, ...settings } = identity
  return [id, apiKey, issuer, subject, JSON.stringify(settings), createdAt]
}

export const readLocalRefreshToken = (record: CellRecord): LocalRefreshToken => ({
  id: text(record, 'id'),
  connection: text(record, 'connection'),
  apiKey: text(record, 'api_key'),
  createdAt: integer(record, 'created_at'),
  revokedAt: integerOrNull(record, 'revoked_at'),
})

export const readShared = (record: CellRecord): Shared => ({
  ...readLocalRefreshToken(record),
  provider: text(record, 'provider'),
  subject: textOrNull(record, 'subject'),
  scope: textOrNull(record, 'scope'),
  // SQLite has no booleans: it says 1.
  renewable: record['renewable'] === 1 || record['renewable'] === true,
})
