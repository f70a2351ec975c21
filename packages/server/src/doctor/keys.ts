/** The master keys, and whether they open what is stored. */
import type { KeysSeen } from '@tokenkeep/node'
import { findingsOf, type Finding, type Kinds } from './finding.ts'
import type { Refusal } from './refusal.ts'

export const KEYS = {
  key: {
    is: 'ok',
    says: '{source}: readable by this user alone, {count} in it, "{current}" seals',
    todo: null,
  },
  key_not_made: {
    is: 'note',
    says: 'there is no master key yet: it is made together with the database',
    todo: 'Nothing. Or give one in TOKENKEEP_KEY: `openssl rand -base64 32`.',
  },
  key_missing: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Put the key file back from its copy, or set TOKENKEEP_KEY. Without that key nothing that is stored can be opened.',
  },
  key_unusable: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Do what it says; where the key is damaged, put its copy back. A new key cannot open what is stored.',
  },
  key_below_data: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Move the key file out of the data folder, and name its new place with --key-file or TOKENKEEP_KEY_FILE.',
  },
  key_beside_data: {
    is: 'note',
    says: 'the key lies beside the data, as `tokenkeep dev` makes it: whoever copies the folder has both',
    todo: 'Fine for data to throw away; for others, move the key elsewhere.',
  },
  key_folder_open: {
    is: 'wrong',
    says: 'other users can put another file in the place of the key: its folder can be written by them',
    todo: 'Close the folder: `chmod go-w`.',
  },
  key_variable_not_used: {
    is: 'note',
    says: 'TOKENKEEP_KEY is set and does not count: a key file is named as well',
    todo: 'Unset the one that is not meant.',
  },
  key_opens: {
    is: 'ok',
    says: 'it is the key of this database',
    todo: null,
  },
  key_of_other_database: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Use the key that this database was made with, or the database of this key.',
  },
  key_old: {
    is: 'note',
    says: 'keys that only open: {names}',
    todo: '`tokenkeep master-key list` says how much each has sealed; `master-key remove` takes out what nothing needs.',
  },
  key_not_sealing: {
    is: 'note',
    says: 'another key has sealed last ({id}) than the one that seals now',
    todo: 'Run `tokenkeep master-key reseal`.',
  },
} as const satisfies Kinds

const found = findingsOf('key', KEYS)

export interface KeysLooked {
  readonly keys: KeysSeen | Refusal
  readonly besideData: boolean
  /** There is something that a key has sealed. */
  readonly databaseThere: boolean
  readonly variableNotUsed: boolean
}

export function judgeKeys({ keys, besideData, databaseThere, variableNotUsed }: KeysLooked): readonly Finding[] {
  const beside = [
    ...(variableNotUsed ? [found('key_variable_not_used', {})] : []),
    ...(besideData ? [found('key_beside_data', {})] : []),
  ]
  if ('refused' in keys) return [refused(keys, databaseThere), ...beside]
  const { source, names, current, folderOpen } = keys
  const old = names.filter((name) => name !== current.name)
  const count = names.length === 1 ? '1 key' : `${names.length} keys`
  return [
    found('key', { source, count, current: current.name }),
    ...(old.length === 0 ? [] : [found('key_old', { names: old.join(', ') })]),
    ...(folderOpen ? [found('key_folder_open', {})] : []),
    ...beside,
  ]
}

function refused({ refused: { code, message } }: Refusal, databaseThere: boolean): Finding {
  const reason = message
  if (code === 'key_missing') return databaseThere ? found('key_missing', { reason }) : found('key_not_made', {})
  return found(code === 'invalid_input' ? 'key_below_data' : 'key_unusable', { reason })
}

/** Against the database that was opened. */
export function judgeKeysOfDatabase(of: {
  readonly keys: 'fit' | { readonly other: string } | 'not_tried'
  readonly sealedWithOther: string | null
}): readonly Finding[] {
  if (of.keys === 'not_tried') return []
  if (of.keys !== 'fit') return [found('key_of_other_database', { reason: of.keys.other })]
  return [
    found('key_opens', {}),
    ...(of.sealedWithOther === null ? [] : [found('key_not_sealing', { id: of.sealedWithOther })]),
  ]
}
