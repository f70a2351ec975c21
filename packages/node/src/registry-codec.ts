/** Providers and clients as rows of tables, and back. `docs/storage.md` says what each column means. */
import { Buffer } from 'node:buffer'
import {
  CLIENT_DEFAULTS,
  type Client,
  type ClientId,
  type Provider,
  type ProviderId,
  type Revision,
} from '@tokenkeep/core'
import { integer, json, jsonOrNull, sealedBytes, text, textOrNull, type Cell, type CellRecord } from './cells.ts'
import type { StoredClient, StoredKey } from './registry.ts'
import { readStoredProvider, storedSettings } from './stored-provider.ts'

export const CLIENT_COLUMNS = `id, revision, provider, client_id, token_endpoint_auth_method, settings,
  secret, secret_serial, secret_fingerprint`

export const readProvider = (record: CellRecord): Provider =>
  readStoredProvider(
    { id: text(record, 'id') as ProviderId, revision: integer(record, 'revision') as Revision },
    json(record, 'settings'),
  )

/** Settings of a client beside its columns; a client of before they existed has none of them. */
type ClientSettings = typeof CLIENT_DEFAULTS

export const readClient = (record: CellRecord): Client => ({
  id: text(record, 'id') as ClientId,
  revision: integer(record, 'revision') as Revision,
  provider: text(record, 'provider') as ProviderId,
  clientId: text(record, 'client_id'),
  tokenEndpointAuthMethod: text(record, 'token_endpoint_auth_method') as Client['tokenEndpointAuthMethod'],
  ...CLIENT_DEFAULTS,
  ...(jsonOrNull(record, 'settings') as Partial<ClientSettings> | null),
})

/** @param record with its keys in `keys`: a JSON array of [kid, use, facts, sealed in hexadecimal digits, serial] */
export function readStoredClient(record: CellRecord): StoredClient {
  const hasSecret = textOrNull(record, 'secret_serial') !== null
  const secret = hasSecret
    ? {
        sealed: sealedBytes(record, 'secret'),
        serial: text(record, 'secret_serial'),
        fingerprint: text(record, 'secret_fingerprint'),
      }
    : null
  const keys = json(record, 'keys') as readonly (readonly [string, string, string | object, string, string])[]
  return { client: readClient(record), secret: secret as StoredClient['secret'], keys: keys.map(readKey) }
}

function readKey([kid, use, facts, sealed, serial]: readonly [
  string,
  string,
  string | object,
  string,
  string,
]): StoredKey {
  const of = { ...(typeof facts === 'string' ? (JSON.parse(facts) as object) : facts), kid }
  return { use, of, sealed: new Uint8Array(Buffer.from(sealed, 'hex')), serial } as unknown as StoredKey
}

/** id, revision, settings. */
export const providerValues = (provider: Provider): Cell[] => [provider.id, provider.revision, storedSettings(provider)]

/** In the order of {@link CLIENT_COLUMNS}. */
export function clientValues({ client, secret }: Pick<StoredClient, 'client' | 'secret'>): Cell[] {
  const { tokenEndpointAuthSigningAlg, clientAssertionFile, certificate, dpopBoundAccessTokens } = client
  const settings: ClientSettings = {
    tokenEndpointAuthSigningAlg,
    clientAssertionFile,
    certificate,
    dpopBoundAccessTokens,
  }
  return [
    client.id,
    client.revision,
    client.provider,
    client.clientId,
    client.tokenEndpointAuthMethod,
    JSON.stringify(settings),
    secret?.sealed ?? null,
    secret?.serial ?? null,
    secret?.fingerprint ?? null,
  ]
}

/** What may be seen of a key, as its row has it. */
export function factsOf({ of: { kid: _, ...facts } }: StoredKey): string {
  return JSON.stringify(facts)
}
