/**
 * Seals what is stored with the current master key. One row is one write, which takes effect only on the revision that it
 * was read from, and changes nothing but ciphertexts: no generation, attempt, state or time.
 */
import { next, type ConnectionRow, type Sealed, type SealedGrant, type Uid } from '@tokenkeep/core'
import type { AesGcmCipher } from './cipher-aes-gcm.ts'
import { placeOfClientKey, placeOfClientSecret, type RegistryRows, type StoredKey } from './registry.ts'
import { unchanged, type Change, type Rows } from './store-rows.ts'

/** Everything sealed in one database. */
export interface StoredSecrets {
  /** How many ciphertexts each master key has sealed, by its id. */
  sealedWith(cipher: AesGcmCipher): Promise<ReadonlyMap<string, number>>
  /** @returns how many connections and clients were sealed anew */
  reseal(cipher: AesGcmCipher): Promise<{ readonly resealed: number }>
  /** Notes the master key that seals now: without it the database is refused from here on. */
  noteKey(id: string): Promise<void>
}

type Kind = 'refresh_token' | 'access_token' | 'dpop_key' | 'client_secret' | 'client_key'
/** What becomes of one ciphertext: the same object where it stays. */
type Each = (kind: Kind, sealed: Sealed, purpose: string, serial: SerialOf) => Sealed
type SerialOf = NonNullable<ConnectionRow['refreshToken']>['serial']

/** Connections that one turn changes: nobody waits long for them. */
const AT_ONCE = 64

export function storedSecrets(
  rows: Pick<Rows, 'uidsAfter' | 'change'>,
  registryRows: Pick<RegistryRows, 'clients' | 'changeClient'>,
  noteKey: StoredSecrets['noteKey'],
): StoredSecrets {
  const walk = async (cipher: AesGcmCipher, how: 'count' | 'reseal') => {
    const sealer = await cipher.sealer()
    const counts = new Map<string, number>()
    let resealed = 0
    /** What one owner's ciphertexts become, and which keys they have then. */
    const visit = (owner: Parameters<typeof sealer.seal>[1]['owner'], keys: string[]): Each => {
      return (kind, sealed, purpose, serial) => {
        const place = { owner, purpose, serial }
        const opened =
          how === 'reseal' && cipher.keyOf(sealed) !== cipher.currentKey() ? cipher.open(kind, sealed, place) : 'no_key'
        // What does not open here stays as it is, and names its key.
        const after = typeof opened === 'string' ? sealed : sealer.seal(opened, place)
        keys.push(cipher.keyOf(after))
        return after
      }
    }
    const count = (keys: readonly string[]): void => {
      for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
    }

    for (let last: Uid | null = null; ;) {
      const uids: readonly Uid[] = await rows.uidsAfter(last, AT_ONCE)
      const done = await Promise.all(
        uids.map((uid) =>
          rows.change(uid, (found): Change<{ keys: string[]; changed: boolean }> => {
            const keys: string[] = []
            if (found === null) return unchanged({ keys, changed: false })
            const row = withResealed(found.row, visit(uid, keys))
            const changed = row !== found.row
            return { row: changed ? row : null, history: [], events: [], result: { keys, changed } }
          }),
        ),
      )
      for (const { keys, changed } of done) {
        count(keys)
        if (changed) resealed += 1
      }
      last = uids.at(-1) ?? null
      if (last === null) break
    }
    for (const { id, provider } of await registryRows.clients()) {
      let keys: string[] = []
      let changed = false
      await registryRows.changeClient({ id, provider }, ({ stored }) => {
        keys = []
        if (stored === null) return null
        const { secret } = stored
        const each = visit(`client:${id}`, keys)
        const sealed =
          secret && each('client_secret', secret.sealed, placeOfClientSecret(id, secret.serial).purpose, secret.serial)
        const key = (of: StoredKey): StoredKey => {
          const place = placeOfClientKey(id, of.serial)
          return { ...of, sealed: each('client_key', of.sealed, place.purpose, of.serial) }
        }
        const after = { ...stored, secret: secret && sealed && { ...secret, sealed }, keys: stored.keys.map(key) }
        changed =
          sealed !== (secret?.sealed ?? null) || after.keys.some((of, at) => of.sealed !== stored.keys[at]?.sealed)
        // Its revision stays: a change of it would end blocks.
        return changed ? after : null
      })
      count(keys)
      if (changed) resealed += 1
    }
    return { resealed, sealedWith: counts }
  }
  return {
    sealedWith: async (cipher) => (await walk(cipher, 'count')).sealedWith,
    reseal: async (cipher) => ({ resealed: (await walk(cipher, 'reseal')).resealed }),
    noteKey,
  }
}

/** The row with other ciphertexts, and one more revision; the same object where none changes. */
function withResealed(row: ConnectionRow, each: Each): ConnectionRow {
  let changed = false
  const visited: Each = (kind, sealed, purpose, serial) => {
    const after = each(kind, sealed, purpose, serial)
    changed ||= after !== sealed
    return after
  }
  const refreshToken = <Token extends { readonly sealed: Sealed; readonly serial: SerialOf } | null>(
    token: Token,
  ): Token => token && { ...token, sealed: visited('refresh_token', token.sealed, 'rt', token.serial) }
  const accessToken = <Token extends { readonly sealed: Sealed; readonly serial: SerialOf; readonly variant: string }>(
    token: Token,
  ): Token => ({ ...token, sealed: visited('access_token', token.sealed, `at:${token.variant}`, token.serial) })
  const granted = (grant: SealedGrant): SealedGrant => ({
    ...grant,
    refreshToken: refreshToken(grant.refreshToken),
    accessToken: grant.accessToken && accessToken(grant.accessToken),
  })
  const after: ConnectionRow = {
    ...row,
    refreshToken: refreshToken(row.refreshToken),
    dpopKey: row.dpopKey && {
      ...row.dpopKey,
      sealed: visited('dpop_key', row.dpopKey.sealed, 'dpop-key', row.dpopKey.serial),
    },
    accessTokens: row.accessTokens.map(accessToken),
    successor: row.successor && { ...row.successor, grant: granted(row.successor.grant) },
    siblings: row.siblings.map((sibling) => ({ ...sibling, refreshToken: refreshToken(sibling.refreshToken) })),
    revision: next(row.revision),
  }
  return changed ? after : row
}
