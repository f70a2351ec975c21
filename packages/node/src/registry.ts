/** Providers and clients over a table: every verb once, whatever database holds them. */
import {
  TokenError,
  next,
  PUBLISHED_AFTER_MS,
  rotated,
  signingKey,
  type Client,
  type ClientId,
  type ClientKey,
  type Fingerprint,
  type GivenClient,
  type NewClientKey,
  type OpenedKeys,
  type Provider,
  type ProviderId,
  type PutCondition,
  type Registry,
  type Revision,
  type Sealed,
  type Secret,
  type Serial,
} from '@tokenkeep/core'
import type { StoreParts } from './store-context.ts'

/** A client as the database keeps it. */
export interface StoredClient {
  readonly client: Client
  readonly secret: { readonly sealed: Sealed; readonly serial: Serial; readonly fingerprint: Fingerprint } | null
  /** The keys that it signs with, and the one of its certificate. */
  readonly keys: readonly StoredKey[]
}

/** A private key, sealed. `of`: what may be seen of it, or the thumbprint of the certificate that it belongs to. */
export type StoredKey =
  | { readonly use: 'sig'; readonly of: ClientKey; readonly sealed: Sealed; readonly serial: Serial }
  | {
      readonly use: 'tls'
      readonly of: Pick<ClientKey, 'kid'>
      readonly sealed: Sealed
      readonly serial: Serial
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

export function registry(
  rows: RegistryRows,
  { cipher, random, clock }: Pick<StoreParts, 'cipher' | 'random' | 'clock'>,
): Registry {
  return {
    provider: (id) => rows.provider(id),
    providers: () => rows.providers(),

    async putProvider(provider, condition) {
      let put: Provider = { ...provider, revision: FIRST }
      await rows.changeProvider(provider.id, (found) => {
        assertStill('provider', provider.id, found, condition)
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
      const keys = openedKeys(stored)
      if (typeof keys === 'string') return keys
      if (secret === null) return { ...client, clientSecret: null, keys }
      const opened = cipher.open('client_secret', secret.sealed, placeOfClientSecret(id, secret.serial))
      return typeof opened === 'string' ? opened : { ...client, clientSecret: opened, keys }
    },

    clients: () => rows.clients(),

    async putClient(given, condition) {
      const { clientSecret, tlsKey, signingKey: added, ...settings } = given
      const secret = await sealedSecret(given)
      const tls = tlsKey === null ? null : await sealedTlsKey(given, tlsKey)
      const signing = added === null ? null : await sealedKey(given.id, added)
      let put: Client = { ...settings, revision: FIRST }
      await rows.changeClient(given, ({ stored, providerKnown }) => {
        assertStill('client', given.id, stored?.client ?? null, condition)
        if (!providerKnown) throw unknownProvider(given.provider)
        if (stored !== null && stored.client.provider !== given.provider) throw otherProvider(stored.client)
        const keys = keysPut(stored?.keys ?? [], given, { tls, signing })
        const same =
          stored !== null &&
          sameSettings(stored.client, settings) &&
          (stored.secret?.fingerprint ?? null) === (secret?.fingerprint ?? null) &&
          canonical(stored.keys.map(({ of }) => of)) === canonical(keys.map(({ of }) => of))
        if (same) {
          put = stored.client
          return null
        }
        put = { ...settings, revision: stored === null ? FIRST : next(stored.client.revision) }
        return { client: put, secret, keys }
      })
      return put
    },

    async clientKeys(id) {
      const stored = await rows.client(id)
      return stored === null ? null : signingKeysIn(stored).map(({ of }) => of)
    },

    async changeClientKeys(id, { decide, added, raises }) {
      const found = await rows.client(id)
      if (found === null) throw unknownClient(id)
      const made = added === null ? null : await sealedKey(id, added)
      let now: readonly ClientKey[] = []
      await rows.changeClient(found.client, ({ stored }) => {
        if (stored === null) throw unknownClient(id)
        const before = signingKeysIn(stored)
        now = before.map(({ of }) => of)
        const wanted = decide(now)
        if (wanted === null) return null
        now = wanted
        const known = made === null ? before : [...before, made]
        const keys = wanted.flatMap((of) => {
          const key = known.findLast((each) => each.of.kid === of.kid)
          return key === undefined ? [] : [{ ...key, of }]
        })
        const { client } = stored
        const revision = raises === 'revision' ? next(client.revision) : client.revision
        return { ...stored, client: { ...client, revision }, keys }
      })
      return now
    },
  }

  function openedKeys({ client, keys }: StoredClient): OpenedKeys | 'no_key' | 'tampered' {
    const now = clock.now().wall
    const own = keys.filter((key) => key.use === 'sig')
    const chosen = signingKey(
      own.map(({ of }) => of),
      now,
    )
    const signs = own.find(({ of }) => of.kid === chosen?.kid)
    const proves = keys.find((key) => key.use === 'tls')
    const open = (key: StoredKey | undefined): Secret<'client_key'> | null | 'no_key' | 'tampered' =>
      key === undefined ? null : cipher.open('client_key', key.sealed, placeOfClientKey(client.id, key.serial))
    const privateJwk = open(signs)
    const tls = open(proves)
    if (typeof privateJwk === 'string') return privateJwk
    if (typeof tls === 'string') return tls
    const signing =
      privateJwk === null || signs === undefined ? null : { kid: signs.of.kid, alg: signs.of.alg, privateJwk }
    return { signing, tls }
  }

  async function sealedSecret({
    id,
    clientSecret,
  }: Pick<GivenClient, 'id' | 'clientSecret'>): Promise<StoredClient['secret']> {
    if (clientSecret === null) return null
    const sealer = await cipher.sealer()
    const serial = random.uuid() as Serial
    return {
      sealed: sealer.seal(clientSecret, placeOfClientSecret(id, serial)),
      serial,
      fingerprint: sealer.fingerprint(clientSecret),
    }
  }

  async function sealedAs(id: ClientId, key: Secret<'client_key'>): Promise<Pick<StoredKey, 'sealed' | 'serial'>> {
    const sealer = await cipher.sealer()
    const serial = random.uuid() as Serial
    return { sealed: sealer.seal(key, placeOfClientKey(id, serial)), serial }
  }

  async function sealedKey(id: ClientId, { key, privateJwk }: NewClientKey): Promise<SigningKeyStored> {
    return { use: 'sig', of: key, ...(await sealedAs(id, privateJwk)) }
  }

  async function sealedTlsKey({ id, certificate }: GivenClient, key: Secret<'client_key'>): Promise<StoredKey | null> {
    if (certificate === null) return null
    return { use: 'tls', of: { kid: certificate.thumbprint }, ...(await sealedAs(id, key)) }
  }
}

type SigningKeyStored = Extract<StoredKey, { use: 'sig' }>

const signingKeysIn = ({ keys }: StoredClient): readonly SigningKeyStored[] => keys.filter((key) => key.use === 'sig')

/** The keys after a put: those that its method uses, the given ones among them. What is there already keeps its ciphertext. */
function keysPut(
  stored: readonly StoredKey[],
  given: GivenClient,
  { tls, signing }: { readonly tls: StoredKey | null; readonly signing: SigningKeyStored | null },
): readonly StoredKey[] {
  if (tls !== null) return [stored.find((key) => key.use === 'tls' && key.of.kid === tls.of.kid) ?? tls]
  if (given.tokenEndpointAuthMethod !== 'private_key_jwt' || given.clientAssertionFile !== null) return []
  const own = stored.filter((key) => key.use === 'sig')
  if (signing === null) return own
  if (given.signingKey?.when === 'none_is_there') return own.length > 0 ? own : [signing]
  const before = own.find(({ of }) => of.kid === signing.of.kid)
  if (before !== undefined && canonical(before.of.publicJwk) === canonical(signing.of.publicJwk)) {
    const signs = signingKey(
      own.map(({ of }) => of),
      signing.of.signsFrom,
    )
    if (signs?.kid === signing.of.kid && before.of.alg === signing.of.alg) return own
  }
  const moments = rotated(
    own.map(({ of }) => of),
    signing.of,
    { signsFrom: signing.of.signsFrom, keepMs: PUBLISHED_AFTER_MS },
    signing.of.createdAt,
  )
  return moments.flatMap((of) => {
    const key = of.kid === signing.of.kid ? signing : own.find((each) => each.of.kid === of.kid)
    return key === undefined ? [] : [{ ...key, of }]
  })
}

export const placeOfClientSecret = (id: ClientId, serial: Serial) =>
  ({ owner: `client:${id}`, purpose: 'client-secret', serial }) as const

export const placeOfClientKey = (id: ClientId, serial: Serial) =>
  ({ owner: `client:${id}`, purpose: 'client-key', serial }) as const

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

function assertStill(
  what: 'provider' | 'client',
  id: string,
  found: { readonly revision: Revision } | null,
  { revision }: PutCondition = {},
): void {
  if (revision === undefined || found?.revision === revision || (revision === 'any' && found !== null)) return
  throw new TokenError(
    'changed_meanwhile',
    found === null
      ? `there is no ${what} "${id}" whose settings could be replaced: leave the condition out to add it.`
      : `${what} "${id}" was changed since you saw it: read it again, and make your change to what is there now.`,
    { subject: id },
  )
}

const unknownProvider = (id: ProviderId): TokenError =>
  new TokenError('unknown_provider', `there is no provider "${id}": add it first`, { subject: id })

const unknownClient = (id: ClientId): TokenError =>
  new TokenError('unknown_client', `there is no client "${id}": add it first`, { subject: id })

const otherProvider = ({ id, provider }: Client): TokenError =>
  new TokenError(
    'invalid_input',
    `client "${id}" belongs to provider "${provider}", and its connections with it: add another client instead`,
    { subject: id },
  )
