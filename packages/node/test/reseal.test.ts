/** Sealing anew beside refreshes, in an order that is given and not left to luck. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret, type ConnectionRow, type Sealed, type Sealer, type Uid } from '@tokenkeep/core'
import type { AesGcmCipher } from '../src/cipher-aes-gcm.ts'
import { storedSecrets } from '../src/reseal.ts'
import type { Rows } from '../src/store-rows.ts'

const sealedWith = (key: string, secret: string): Sealed => Buffer.from(`${key} ${secret}`) as Uint8Array as Sealed
const partsOf = (sealed: Sealed): readonly string[] => Buffer.from(sealed).toString().split(' ')

/** Seals with `new`, opens everything. */
const cipher = {
  sealer: async (): Promise<Pick<Sealer, 'seal'>> => ({ seal: (secret) => sealedWith('new', secret.reveal()) }),
  open: (kind: string, sealed: Sealed) => new Secret(kind, partsOf(sealed)[1] ?? ''),
  keyOf: (sealed: Sealed) => partsOf(sealed)[0] ?? '',
  currentKey: () => 'new',
} as unknown as AesGcmCipher

test('a refresh that is committed between two steps of sealing anew is not undone by it', async () => {
  const uid = 'u' as Uid
  let row = {
    uid,
    revision: 1,
    refreshToken: { sealed: sealedWith('old', 'rt-0'), serial: 's' },
    accessTokens: [],
    successor: null,
    siblings: [],
  } as unknown as ConnectionRow
  let refreshes = 0
  const rows = {
    uidsAfter: async (last: Uid | null) => (last === null ? [uid] : []),
    // Before each step another process commits a refresh: what was read in an earlier one is old by then.
    async change(
      _uid: Uid,
      decide: (found: { readonly row: ConnectionRow }) => { readonly row: ConnectionRow | null },
    ) {
      refreshes += 1
      const sealed = sealedWith('old', `rt-${refreshes}`)
      row = { ...row, revision: row.revision + 1, refreshToken: { ...row.refreshToken, sealed } } as ConnectionRow
      const found = { row }
      const wanted = decide(found)
      if (wanted.row !== null) row = wanted.row
      return 'result' in wanted ? wanted.result : found
    },
  } as unknown as Pick<Rows, 'uidsAfter' | 'change'>
  const registry = { clients: async () => [], changeClient: async () => undefined as never }
  const { reseal } = storedSecrets(rows, registry, async () => undefined)
  assert.deepEqual(await reseal(cipher), { resealed: 1 })
  assert.deepEqual(partsOf(row.refreshToken?.sealed ?? assert.fail()), ['new', `rt-${refreshes}`])
  assert.equal(row.revision, 1 + refreshes + 1)
})
