/** The life of a database, as its one row in `installation` keeps it in either engine. */
import type { Hold, Incarnation, TokenError } from '@tokenkeep/core'
import { integer, jsonOrNull, text, textOrNull, type CellRecord } from './cells.ts'
import type { KeyCheck } from './keyring.ts'

export const INCARNATION_COLUMNS = 'installation, place, epoch, branch, hold'
/** What changes, in the order of {@link incarnationValues}. */
export const INCARNATION_PUT = 'place = ?, epoch = ?, branch = ?, hold = ?'

export const incarnationValues = ({ place, epoch, branch, hold }: Incarnation): (string | number | null)[] => [
  place,
  epoch,
  branch,
  hold === null ? null : JSON.stringify(hold),
]

// What this program wrote; the schema checks that it is JSON.
export const holdIn = (record: CellRecord): Hold | null => jsonOrNull(record, 'hold') as Hold | null

export const incarnationIn = (record: CellRecord): Incarnation => ({
  installation: text(record, 'installation'),
  place: textOrNull(record, 'place'),
  epoch: integer(record, 'epoch'),
  branch: textOrNull(record, 'branch'),
  hold: holdIn(record),
})

/**
 * What a database that is being opened says of itself.
 *
 * @param record the columns of its incarnation, `key_check` and `sealed_with`; undefined: it has no such row
 * @param unusable makes the error, from what is wrong
 * @throws TokenError of `unusable`
 */
export function identityIn(
  record: CellRecord | undefined,
  unusable: (why: string) => TokenError,
): Incarnation & { readonly keyCheck: KeyCheck } {
  if (record === undefined) throw unusable('it is damaged: it does not say whose it is')
  const life = incarnationIn(record)
  // It becomes the name of files and folders, and whoever writes the database can put a path there.
  if (!isUuid(life.installation)) throw unusable('it is damaged: what it calls its installation is no UUID')
  return { ...life, keyCheck: { value: text(record, 'key_check'), sealedWith: text(record, 'sealed_with') } }
}

export const isUuid = (given: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(given)
