/** Providers and clients in Postgres, each parsed once for each revision. */
import type { Client, Provider, Revision } from '@tokenkeep/core'
import { integer, text, type CellRecord } from './cells.ts'
import { PostgresTrouble, isDuplicate } from './postgres-failures.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { statement, tableIn } from './postgres-statement.ts'
import {
  CLIENT_COLUMNS,
  clientValues,
  factsOf,
  providerValues,
  readClient,
  readProvider,
  readStoredClient,
} from './registry-codec.ts'
import type { RegistryRows, StoredClient } from './registry.ts'

/** Reads them from what stands beside a connection; the same object comes back until its revision changes. */
export interface PostgresTerms {
  provider(id: string, record: CellRecord): Provider
  client(record: CellRecord): Client
}

export function postgresTerms(): PostgresTerms {
  const providers = new Map<string, Provider>()
  const clients = new Map<string, Client>()

  function remembered<Item extends { readonly revision: Revision }>(
    known: Map<string, Item>,
    id: string,
    revision: number,
    load: () => Item,
  ): Item {
    const kept = known.get(id)
    if (kept !== undefined && (kept.revision as number) === revision) return kept
    const loaded = load()
    known.set(id, loaded)
    return loaded
  }

  return {
    provider: (id, record) => {
      const revision = integer(record, 'provider_revision')
      const settings = record['provider_settings']
      return remembered(providers, id, revision, () => readProvider({ id, revision, settings }))
    },
    client: (record) => {
      const id = text(record, 'client_id')
      return remembered(clients, id, integer(record, 'client_revision'), () => readClient(clientPart(record)))
    },
  }
}

const CLIENT_CELL = 'client_'
const clientPart = (record: CellRecord): CellRecord =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(CLIENT_CELL) ? [[name.slice(CLIENT_CELL.length), value]] : [],
    ),
  )

/** Each time somebody else's change came first, theirs is there: few people change one provider at one moment. */
const TRIES_MOST = 10

export function postgresRegistry({
  schema,
  name,
  read,
  write,
}: Pick<PostgresDatabase, 'schema' | 'name' | 'read' | 'write'>): RegistryRows {
  const table = tableIn(schema)
  const [provider, client, clientKey] = [table('provider'), table('client'), table('client_key')]
  /** Of the rows that `put` has written: the keys that are given, and no other. */
  const withKeys = `
    keys AS (SELECT * FROM json_to_recordset(?::json) AS k (kid text, use text, facts text, sealed text, serial text)),
    gone AS (
      DELETE FROM ${clientKey} k USING put WHERE k.client = put.id AND k.kid NOT IN (SELECT kid FROM keys)),
    kept AS (
      INSERT INTO ${clientKey} (client, kid, use, facts, sealed, serial)
      SELECT put.id, keys.kid, keys.use, keys.facts, decode(keys.sealed, 'hex'), keys.serial FROM put, keys
      ON CONFLICT (client, kid) DO UPDATE SET
        use = excluded.use, facts = excluded.facts, sealed = excluded.sealed, serial = excluded.serial)
    SELECT 1 FROM put`
  const sql = {
    provider: statement(`SELECT id, revision, settings FROM ${provider} WHERE id = ?`),
    providers: statement(`SELECT id, revision, settings FROM ${provider} ORDER BY id`),
    addProvider: statement(`INSERT INTO ${provider} (id, revision, settings) VALUES (?, ?, ?) RETURNING 1`),
    putProvider: statement(`
      WITH given AS (SELECT ?::text AS id, ?::bigint AS revision, ?::text AS settings)
      UPDATE ${provider} p SET revision = given.revision, settings = given.settings
      FROM given WHERE p.id = given.id AND p.revision = ? RETURNING 1`),
    client: statement(`
      SELECT ${CLIENT_COLUMNS}, (
        SELECT coalesce(json_agg(json_build_array(k.kid, k.use, k.facts, encode(k.sealed, 'hex'), k.serial)), '[]'::json)::text
        FROM ${clientKey} k WHERE k.client = c.id) AS keys
      FROM ${client} c WHERE id = ?`),
    clients: statement(`SELECT ${CLIENT_COLUMNS} FROM ${client} ORDER BY id`),
    addClient: statement(`
      WITH put AS (
        INSERT INTO ${client} (${CLIENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id),
      ${withKeys}`),
    putClient: statement(`
      WITH given AS (SELECT ?::text AS id, ?::bigint AS revision, ?::text AS provider, ?::text AS client_id,
        ?::text AS token_endpoint_auth_method, ?::text AS settings,
        ?::bytea AS secret, ?::text AS secret_serial, ?::text AS secret_fingerprint),
      put AS (
        UPDATE ${client} k SET revision = given.revision, client_id = given.client_id,
          token_endpoint_auth_method = given.token_endpoint_auth_method, settings = given.settings, secret = given.secret,
          secret_serial = given.secret_serial, secret_fingerprint = given.secret_fingerprint
        FROM given WHERE k.id = given.id AND k.revision = ? RETURNING k.id),
      ${withKeys}`),
  }

  const providerOf = async (id: string): Promise<Provider | null> => {
    const [record] = await read(sql.provider, [id])
    return record === undefined ? null : readProvider(record)
  }
  const storedOf = async (id: string) => {
    const [record] = await read(sql.client, [id])
    return record === undefined ? null : readStoredClient(record)
  }

  /** @param attempt false: somebody else changed it between reading and writing */
  async function untilWritten(attempt: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < TRIES_MOST; tries += 1) {
      const written = await attempt().catch((error: unknown) => {
        if (isDuplicate(error)) return false
        throw error
      })
      if (written) return
    }
    throw new PostgresTrouble('store_unavailable', `the database ${name}: others change the same at every try`, null)
  }

  return {
    provider: providerOf,
    providers: async () => (await read(sql.providers)).map(readProvider),
    changeProvider: (id, decide) =>
      untilWritten(async () => {
        const found = await providerOf(id)
        const put = decide(found)
        if (put === null) return true
        const values = providerValues(put)
        const written =
          found === null
            ? await write(sql.addProvider, values)
            : await write(sql.putProvider, [...values, found.revision])
        return written.length === 1
      }),
    client: storedOf,
    clients: async () => (await read(sql.clients)).map((record) => readClient(record)),
    changeClient: ({ id, provider: of }, decide) =>
      untilWritten(async () => {
        const [stored, known] = await Promise.all([storedOf(id), read(sql.provider, [of])])
        const put = decide({ stored, providerKnown: known.length === 1 })
        if (put === null) return true
        const values = clientValues(put)
        const written =
          stored === null
            ? await write(sql.addClient, [...values, keysJson(put)])
            : await write(sql.putClient, [...values, stored.client.revision, keysJson(put)])
        return written.length === 1
      }),
  }
}

const keysJson = ({ keys }: StoredClient): string =>
  JSON.stringify(
    keys.map((key) => ({
      kid: key.of.kid,
      use: key.use,
      facts: factsOf(key),
      sealed: Buffer.from(key.sealed).toString('hex'),
      serial: key.serial,
    })),
  )
