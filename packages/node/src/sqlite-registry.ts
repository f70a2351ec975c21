/** Providers and clients in SQLite, each parsed once for each revision. */
import type { DatabaseSync } from 'node:sqlite'
import type { Client, ClientId, Provider, Revision } from '@tokenkeep/core'
import type { RegistryRows, StoredClient } from './registry.ts'
import {
  CLIENT_COLUMNS,
  clientValues,
  factsOf,
  providerValues,
  readClient,
  readProvider,
  readStoredClient,
} from './registry-codec.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

/** Reads within a transaction or a query; the same object comes back until its revision changes. */
export interface SqliteTerms {
  provider(id: string, revision?: number): Provider | null
  client(id: string, revision?: number): Client | null
  /** What was read inside a transaction that failed may never have been. */
  forget(): void
}

export function sqliteTerms(sql: DatabaseSync): SqliteTerms {
  const selectProvider = sql.prepare('SELECT id, revision, settings FROM provider WHERE id = ?')
  const selectClient = sql.prepare(`SELECT ${CLIENT_COLUMNS} FROM client WHERE id = ?`)
  const providers = new Map<string, Provider>()
  const clients = new Map<string, Client>()

  function remembered<Item extends { readonly revision: Revision }>(
    known: Map<string, Item>,
    id: string,
    revision: number | undefined,
    load: () => Item | null,
  ): Item | null {
    const kept = known.get(id)
    if (kept !== undefined && kept.revision === revision) return kept
    const loaded = load()
    if (loaded === null) return null
    if (kept !== undefined && kept.revision === loaded.revision) return kept
    known.set(id, loaded)
    return loaded
  }

  return {
    provider: (id, revision) =>
      remembered(providers, id, revision, () => {
        const record = selectProvider.get(id)
        return record === undefined ? null : readProvider(record)
      }),
    client: (id, revision) =>
      remembered(clients, id, revision, () => {
        const record = selectClient.get(id)
        return record === undefined ? null : readClient(record)
      }),
    forget: () => {
      providers.clear()
      clients.clear()
    },
  }
}

export function sqliteRegistry(
  { sql, read, write }: Pick<SqliteDatabase, 'sql' | 'read' | 'write'>,
  terms: SqliteTerms,
): RegistryRows {
  const selectProviders = sql.prepare('SELECT id, revision, settings FROM provider ORDER BY id')
  const putProvider = sql.prepare(
    `INSERT INTO provider (id, revision, settings) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, settings = excluded.settings`,
  )
  const selectClient = sql.prepare(
    `SELECT ${CLIENT_COLUMNS}, (
       SELECT json_group_array(json_array(kid, use, facts, hex(sealed), serial)) FROM client_key k WHERE k.client = client.id
     ) AS keys FROM client WHERE id = ?`,
  )
  const selectClients = sql.prepare(`SELECT ${CLIENT_COLUMNS} FROM client ORDER BY id`)
  const putClient = sql.prepare(
    `INSERT INTO client (${CLIENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       revision = excluded.revision,
       client_id = excluded.client_id,
       token_endpoint_auth_method = excluded.token_endpoint_auth_method,
       settings = excluded.settings,
       secret = excluded.secret,
       secret_serial = excluded.secret_serial,
       secret_fingerprint = excluded.secret_fingerprint`,
  )
  const dropKeys = sql.prepare('DELETE FROM client_key WHERE client = ?')
  const putKey = sql.prepare(
    'INSERT INTO client_key (client, kid, use, facts, sealed, serial) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const stored = (id: ClientId): StoredClient | null => {
    const record = selectClient.get(id)
    return record === undefined ? null : readStoredClient(record)
  }

  const change = (job: () => void): Promise<void> =>
    write(job).catch((error: unknown) => {
      terms.forget()
      throw error
    })

  return {
    provider: (id) => read(() => terms.provider(id)),
    providers: () => read(() => selectProviders.all().map(readProvider)),
    changeProvider: (id, decide) =>
      change(() => {
        const provider = decide(terms.provider(id))
        if (provider === null) return
        putProvider.run(...providerValues(provider))
      }),
    client: (id) => read(() => stored(id)),
    clients: () => read(() => selectClients.all().map((record) => readClient(record))),
    changeClient: ({ id, provider }, decide) =>
      change(() => {
        const changed = decide({ stored: stored(id), providerKnown: terms.provider(provider) !== null })
        if (changed === null) return
        putClient.run(...clientValues(changed))
        dropKeys.run(id)
        for (const key of changed.keys) putKey.run(id, key.of.kid, key.use, factsOf(key), key.sealed, key.serial)
      }),
  }
}
