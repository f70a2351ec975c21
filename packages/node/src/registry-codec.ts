/** Providers and clients as rows of tables, and back. `docs/storage.md` says what each column means. */
import type { Client, ClientId, Provider, ProviderId, Revision } from '@tokenkeep/core'
import { integer, json, sealedBytes, text, textOrNull, type Cell, type CellRecord } from './cells.ts'
import type { StoredClient } from './registry.ts'
import { readStoredProvider, storedSettings } from './stored-provider.ts'

export const CLIENT_COLUMNS = `id, revision, provider, client_id, token_endpoint_auth_method,
  secret, secret_serial, secret_fingerprint`

export const readProvider = (record: CellRecord): Provider =>
  readStoredProvider(
    { id: text(record, 'id') as ProviderId, revision: integer(record, 'revision') as Revision },
    json(record, 'settings'),
  )

export function readClient(record: CellRecord): StoredClient {
  const client: Client = {
    id: text(record, 'id') as ClientId,
    revision: integer(record, 'revision') as Revision,
    provider: text(record, 'provider') as ProviderId,
    clientId: text(record, 'client_id'),
    tokenEndpointAuthMethod: text(record, 'token_endpoint_auth_method') as Client['tokenEndpointAuthMethod'],
  }
  const hasSecret = textOrNull(record, 'secret_serial') !== null
  const secret = hasSecret
    ? {
        sealed: sealedBytes(record, 'secret'),
        serial: text(record, 'secret_serial'),
        fingerprint: text(record, 'secret_fingerprint'),
      }
    : null
  return { client, secret: secret as StoredClient['secret'] }
}

/** id, revision, settings. */
export const providerValues = (provider: Provider): Cell[] => [provider.id, provider.revision, storedSettings(provider)]

/** In the order of {@link CLIENT_COLUMNS}. */
export const clientValues = ({ client, secret }: StoredClient): Cell[] => [
  client.id,
  client.revision,
  client.provider,
  client.clientId,
  client.tokenEndpointAuthMethod,
  secret?.sealed ?? null,
  secret?.serial ?? null,
  secret?.fingerprint ?? null,
]
