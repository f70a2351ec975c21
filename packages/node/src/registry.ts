/** Providers and clients over a table: every verb once, whatever database holds them. */
import {
  TokenError,
  next,
  type Client,
  type ClientId,
  type Fingerprint,
  type OpenedClient,
  type Provider,
  type ProviderId,
  type Registry,
  type Revision,
  type Sealed,
  type Serial,
} from '@tokenkeep/core'
import type { StoreParts } from './store-context.ts'

/** A client as the database keeps it. */
export interface StoredClient {
  readonly client: Client
  readonly secret: { readonly sealed: Sealed; readonly serial: Serial; readonly fingerprint: Fingerprint } | null
}

/** What a database has to be able to do for the registry. A null from `decide` writes nothing. */
export interface RegistryRows {
  provider(id: ProviderId): Promise<Provider | null>
  providers(): Promise<readonly Provider[]>
  changeProvider(id: ProviderId, decide: (found: Provider | null) => Provider | null): Promise<void>
  client(id: ClientId): Promise<StoredClient | null>
  clients(): Promise<readonly Client[]>
  /** @param decide is told whether the provider is known, too */
  changeClient(
    of: { readonly id: ClientId; readonly provider: ProviderId },
    decide: (found: { readonly stored: StoredClient | null; readonly providerKnown: boolean }) => StoredClient | null,
  ): Promise<void>
}

const FIRST = 1 as Revision

export function registry(rows: RegistryRows, { cipher, random }: Pick<StoreParts, 'cipher' | 'random'>): Registry {
  return {
    provider: (id) => rows.provider(id),
    providers: () => rows.providers(),

    async putProvider(provider) {
      let put: Provider = { ...provider, revision: FIRST }
      await rows.changeProvider(provider.id, (found) => {
        if (found !== null && sameSettings(found, provider)) {
          // A change ends blocks; saying the same again at every start must not.
          put = found
          return null
        }
        put = { ...provider, revision: found === null ? FIRST : next(found.revision) }
        return put
      })
      return put
    },

    async client(id) {
      const stored = await rows.client(id)
      if (stored === null) return null
      const { client, secret } = stored
      if (secret === null) return { ...client, clientSecret: null }
      const opened = cipher.open('client_secret', secret.sealed, placeOfClientSecret(id, secret.serial))
      return typeof opened === 'string' ? opened : { ...client, clientSecret: opened }
    },

    clients: () => rows.clients(),

    async putClient(given) {
      const { clientSecret, ...settings } = given
      const secret = await sealedSecret(given)
      let put: Client = { ...settings, revision: FIRST }
      await rows.changeClient(given, ({ stored, providerKnown }) => {
        if (!providerKnown) throw unknownProvider(given.provider)
        if (stored !== null && stored.client.provider !== given.provider) throw otherProvider(stored.client)
        const same =
          stored !== null &&
          sameSettings(stored.client, settings) &&
          (stored.secret?.fingerprint ?? null) === (secret?.fingerprint ?? null)
        if (same) {
          put = stored.client
          return null
        }
        put = { ...settings, revision: stored === null ? FIRST : next(stored.client.revision) }
        return { client: put, secret }
      })
      return put
    },
  }

  async function sealedSecret({ id, clientSecret }: Omit<OpenedClient, 'revision'>): Promise<StoredClient['secret']> {
    if (clientSecret === null) return null
    const sealer = await cipher.sealer()
    const serial = random.uuid() as Serial
    return {
      sealed: sealer.seal(clientSecret, placeOfClientSecret(id, serial)),
      serial,
      fingerprint: sealer.fingerprint(clientSecret),
    }
  }
}

export const placeOfClientSecret = (id: ClientId, serial: Serial) =>
  ({ owner: `client:${id}`, purpose: 'client-secret', serial }) as const

function sameSettings<Settings extends object>(found: Settings & { revision: Revision }, given: Settings): boolean {
  const { revision: _, ...settings } = found
  return canonical(settings) === canonical(given)
}

/** The same text for the same data, whatever the order of its members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}

const unknownProvider = (id: ProviderId): TokenError =>
  new TokenError('unknown_provider', `there is no provider "${id}": add it first`, { subject: id })

const otherProvider = ({ id, provider }: Client): TokenError =>
  new TokenError(
    'invalid_input',
    `client "${id}" belongs to provider "${provider}", and its connections with it: add another client instead`,
    { subject: id },
  )
