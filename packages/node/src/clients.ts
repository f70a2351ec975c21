/** Our registrations at providers, for users: adding them, and the keys by which they prove themselves. */
import {
  inOrderOfSigning,
  KEYS_MOST,
  ms,
  later,
  PUBLISHED_AFTER_MS,
  PUBLISHED_BEFORE_MS,
  publishedKeys,
  rotated,
  stateOfKey,
  TokenError,
  type Client,
  type ClientId,
  type ClientKey,
  type ClientKeyState,
  type Clock,
  type DurationMs,
  type KeyAlg,
  type NewClientKey,
  type Registry,
  type UnixMs,
  type GivenClient,
} from '@tokenkeep/core'
import { readClientInput } from './client-input.ts'
import { isRecord, nameOf, recordOf, onlyMembers, refuser, flag, type Refuse } from './input-members.ts'
import type { ClientKeyInfo, Clients, Jwks, KeyRotation } from './tokenkeep.ts'

export function createClients({
  registry,
  clock,
}: {
  readonly registry: Registry
  readonly clock: Pick<Clock, 'now'>
}): Clients {
  const now = (): UnixMs => clock.now().wall
  // Only who makes or reads a key needs the libraries for it.
  const material = () => import('./client-key-material.ts')

  const named = (id: string): ClientId => nameOf<ClientId>('client', id)
  const clientOf = async (id: ClientId): Promise<Client> =>
    (await registry.clients()).find((client) => client.id === id) ?? raise(unknownClient(id))
  const keysOf = async (id: ClientId): Promise<readonly ClientKey[]> =>
    (await registry.clientKeys(id)) ?? raise(unknownClient(id))

  return {
    async put(input, condition) {
      const put = (client: GivenClient): Promise<Client> => registry.putClient(client, condition)
      const { provider: of } = readClientInput(input)
      const provider = await registry.provider(of)
      const read = readClientInput(input, provider?.tokenEndpointAuthMethod)
      const { clientKey, clientCertificate, kid, ...settings } = read
      const refuse = refuser('invalid_input', `client "${read.id}"`, read.id)
      const given = { ...settings, certificate: null, tlsKey: null, signingKey: null }
      if (clientCertificate !== null) {
        const { readCertificate } = await material()
        const { certificate, key } = readCertificate(clientCertificate, clientKey ?? '', now(), refuse)
        return put({ ...given, certificate, tlsKey: key })
      }
      if (read.tokenEndpointAuthMethod !== 'private_key_jwt' || read.clientAssertionFile !== null) {
        return put(given)
      }
      const alg = settings.tokenEndpointAuthSigningAlg as KeyAlg | null
      if (clientKey !== null) {
        const { readSigningKey } = await material()
        const added = await readSigningKey(clientKey, { alg, kid }, now(), refuse)
        return put({
          ...given,
          tokenEndpointAuthSigningAlg: added.key.alg,
          signingKey: { ...added, when: 'now' },
        })
      }
      const has = ((await registry.clientKeys(read.id)) ?? []).length > 0
      const first = has ? null : await (await material()).makeSigningKey(alg ?? KEY_ALG_UNSAID, now())
      return put({
        ...given,
        tokenEndpointAuthSigningAlg: alg ?? KEY_ALG_UNSAID,
        signingKey: first && { ...first, when: 'none_is_there' },
      })
    },
    get: async (id) => clientOf(named(id)),
    list: () => registry.clients(),
    keys: async (id) => infosOf(await keysOf(named(id)), now()),

    async rotateKey(given, options = {}) {
      const id = named(given)
      const wanted = readRotation(options, refuser('invalid_input', `client "${id}"`, id))
      const client = await clientOf(id)
      const alg = client.tokenEndpointAuthSigningAlg
      if (client.tokenEndpointAuthMethod !== 'private_key_jwt' || client.clientAssertionFile !== null) {
        throw new TokenError(
          'invalid_input',
          `client "${id}" signs with no key of its own, so there is none to rotate: that is for private_key_jwt`,
          { subject: id },
        )
      }
      const { makeSigningKey } = await material()
      const made = now()
      const added = await makeSigningKey((alg as KeyAlg | null) ?? KEY_ALG_UNSAID, made)
      const changed = await registry.changeClientKeys(id, {
        added,
        raises: 'revision',
        decide: (keys) => rotatedFor(id, keys, added, wanted, made),
      })
      return infosOf(changed, now())
    },

    async jwks(id): Promise<Jwks> {
      const name = named(id)
      const client = await clientOf(name)
      if (client.certificate !== null) {
        return { keys: [(await material()).jwkOfCertificate(client.certificate)] }
      }
      const published = inOrderOfSigning(publishedKeys(await keysOf(name), now()))
      return { keys: published.map(({ kid, alg, publicJwk }) => ({ ...publicJwk, kid, alg, use: 'sig' })) }
    },
  }
}

const KEY_ALG_UNSAID: KeyAlg = 'ES256'

/** The keys after a rotation. One that waits already is taken rather than a third one made. */
function rotatedFor(
  id: ClientId,
  keys: readonly ClientKey[],
  added: NewClientKey,
  { now: atOnce, afterMs, keepMs }: WholeRotation,
  now: UnixMs,
): readonly ClientKey[] {
  const waiting = keys.find((key) => stateOfKey(key, keys, now).kind === 'next')
  if (waiting !== undefined && !atOnce) {
    throw new TokenError(
      'in_use',
      `client "${id}" has a new key already, which signs from ${new Date(waiting.signsFrom).toISOString()}: wait for it, or ` +
        'let it sign now (`now: true`, CLI: `--now`). Nothing was changed.',
      { subject: id },
    )
  }
  if (publishedKeys(keys, now).length >= KEYS_MOST) {
    throw new TokenError(
      'in_use',
      `client "${id}" has ${KEYS_MOST} keys that are published: wait until one of them is over. Nothing was changed.`,
      { subject: id },
    )
  }
  const signsFrom = atOnce ? now : later(now, ms(afterMs))
  return rotated(keys, waiting ?? added.key, { signsFrom, keepMs: ms(keepMs) }, now)
}

function infosOf(keys: readonly ClientKey[], now: UnixMs): readonly ClientKeyInfo[] {
  return inOrderOfSigning(keys).map((key) => ({
    kid: key.kid,
    alg: key.alg,
    createdAt: key.createdAt,
    signsFrom: key.signsFrom,
    publishedUntil: key.publishedUntil,
    state: stateOfKey(key, keys, now).kind satisfies ClientKeyState['kind'],
  }))
}

interface WholeRotation {
  readonly now: boolean
  readonly afterMs: number
  readonly keepMs: number
}

const THIRTY_DAYS_MS = 30 * 24 * 3600 * 1000

function readRotation(options: KeyRotation, refuse: Refuse): WholeRotation {
  const given = isRecord(options) ? options : recordOf('a rotation', options)
  onlyMembers(given, ['now', 'afterMs', 'keepMs'], refuse)
  const span = (name: 'afterMs' | 'keepMs', fallback: DurationMs): number => {
    const value = given[name] ?? fallback
    return typeof value === 'number' && value >= 0 && value <= THIRTY_DAYS_MS
      ? value
      : refuse(`${name} must be milliseconds, from 0 to ${THIRTY_DAYS_MS} (30 days)`)
  }
  const atOnce = flag(given, 'now', false, refuse)
  if (atOnce && given['afterMs'] !== undefined) refuse('now and afterMs contradict each other: leave one of them out')
  return { now: atOnce, afterMs: span('afterMs', PUBLISHED_BEFORE_MS), keepMs: span('keepMs', PUBLISHED_AFTER_MS) }
}

const unknownClient = (id: string): TokenError =>
  new TokenError(
    'unknown_client',
    `there is no client "${id}". Make it with \`clients.put\` (CLI: \`tokenkeep client add\`).`,
    { subject: id },
  )

function raise(error: TokenError): never {
  throw error
}
