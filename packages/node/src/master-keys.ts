/** The master keys of an open database, for people: which there are, a new one, and an end of an old one. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { TokenError } from '@tokenkeep/core'
import type { OwnLiveness } from './liveness.ts'
import type { AesGcmCipher } from './cipher-aes-gcm.ts'
import { addKey, removable, removeKey, sealWith } from './key-change.ts'
import { openKeyFile } from './key-file.ts'
import type { Keyring } from './keyring.ts'
import type { StoredSecrets } from './reseal.ts'
import { sealedInSlots } from './spill-slots.ts'
import { inWords } from './system-error.ts'

export interface MasterKeyInfo {
  readonly name: string
  /** 16 hexadecimal digits made from the key; not secret. */
  readonly id: string
  /** It seals; the others only open. */
  readonly current: boolean
  /** Ciphertexts of this database that it has sealed. */
  readonly sealed: number
}

export interface MasterKeys {
  list(): Promise<readonly MasterKeyInfo[]>
  /**
   * A new key that only opens, for key files on many hosts: each must have it before one of them seals with it.
   *
   * @throws TokenError `invalid_input` where the keys stand in `TOKENKEEP_KEY`
   */
  add(): Promise<{ readonly name: string }>
  /**
   * Another key seals from now on, also in other processes that have this key file; what is stored is sealed anew with it.
   *
   * @param name a key of the file; absent: a new one
   * @throws TokenError `invalid_input` where the keys stand in `TOKENKEEP_KEY`, there is none of that name, or a new one is
   *   asked for where other hosts may use the database, which could open nothing that it sealed
   */
  rotate(name?: string): Promise<{ readonly name: string; readonly resealed: number }>
  /** Seals anew what another key than the current one has sealed. */
  reseal(): Promise<{ readonly resealed: number }>
  /**
   * Takes a key out of the key file.
   *
   * @param othersChecked other databases that use this key file need it no more, either
   * @throws TokenError `in_use` where a ciphertext, a slot or another process may need it
   */
  remove(name: string, options?: { readonly othersChecked?: boolean }): Promise<void>
}

export interface MasterKeysOptions {
  readonly installation: string
  readonly keys: Keyring
  /** Other hosts may use the database, each with a key file of its own. */
  readonly manyHosts: boolean
  readonly cipher: AesGcmCipher
  readonly secrets: StoredSecrets
  /** The folder on this host for locks and spill slots. */
  readonly state: string
  readonly liveness: OwnLiveness
}

export function masterKeys(options: MasterKeysOptions): MasterKeys {
  const { installation, keys, manyHosts, cipher, secrets, state, liveness } = options
  const fileOf = (): string => {
    if (keys.file !== undefined) return keys.file
    throw new TokenError(
      'invalid_input',
      'the master key stands in TOKENKEEP_KEY, which cannot be changed from here: put a new key in front of it, with a ' +
        'comma between, start every process again, and then: tokenkeep master-key reseal',
    )
  }
  const ringNow = async (): Promise<Keyring> =>
    keys.file === undefined ? keys : openKeyFile({ path: keys.file, notBelow: null })

  const reseal = async (): Promise<{ resealed: number }> => {
    // Reads the key file again where it has changed.
    await cipher.sealer()
    await secrets.noteKey(cipher.currentKey())
    const { resealed } = await secrets.reseal(cipher)
    return { resealed }
  }

  return {
    async list() {
      const ring = await ringNow()
      const sealed = await secrets.sealedWith(cipher)
      return ring.keys.map(({ name, id }) => ({
        name,
        id,
        current: id === ring.current.id,
        sealed: sealed.get(id) ?? 0,
      }))
    },
    async add() {
      const { name } = await addKey(fileOf(), 'opens')
      return { name }
    },
    async rotate(name) {
      const file = fileOf()
      if (name === undefined && manyHosts) {
        throw new TokenError(
          'invalid_input',
          'hosts that do not have the new master key could not open what it seals: make it with `tokenkeep master-key ' +
            'add`, copy the key file to every host, then `tokenkeep master-key rotate NAME` on each. Nothing was changed.',
        )
      }
      const sealing = name === undefined ? await addKey(file, 'seals') : await sealWith(file, name)
      return { name: sealing.name, ...(await reseal()) }
    },
    reseal,
    async remove(name, { othersChecked = false } = {}) {
      const file = fileOf()
      const { id } = removable(await ringNow(), file, name)
      const others = othersChecked ? [] : databasesBeside(file, installation)
      if (others.length > 0) throw inUse(name, `of these databases, which have the same key file: ${others.join(', ')}`)
      await refuseWhereNamed(name, id)
      await removeKey(file, { name, id })
    },
  }

  async function refuseWhereNamed(name: string, id: string): Promise<void> {
    for (const other of await liveness.others()) {
      const judged = await liveness.judge(other, null)
      if (judged === 'alive')
        throw inUse(name, 'by another process that is alive, for answers in its memory: end it first')
      if (judged !== 'unknown') judged.release(false)
    }
    const count = (await secrets.sealedWith(cipher)).get(id) ?? 0
    if (count > 0) throw inUse(name, `for ${count} secrets of this database: tokenkeep master-key reseal`)
    for await (const sealed of sealedInSlots(state)) {
      if (cipher.keyOf(sealed) === id)
        throw inUse(name, 'for an answer in a slot, which the next start of a process keeps')
    }
  }
}

const inUse = (name: string, where: string): TokenError =>
  new TokenError('in_use', `the master key "${name}" may still be needed ${where}. Nothing was changed.`)

/**
 * Other databases of which a marker lies beside the key file, by what their markers say for people. What cannot be read may
 * be one.
 */
function databasesBeside(file: string, own: string): readonly string[] {
  const folder = dirname(file)
  let names: readonly string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    return [`any that has a marker in ${folder}, which cannot be read: ${inWords(error)}`]
  }
  return names
    .filter((name) => name.endsWith('.marker') && name !== `${own}.marker`)
    .map((name) => /^database (.*)$/m.exec(contentOf(join(folder, name)))?.[1] ?? name)
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
