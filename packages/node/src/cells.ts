/** Reads single cells of a record, and says which one is not what the schema promises. */
import type { Sealed } from '@tokenkeep/core'

/** What a statement returned: one value for each column, whatever the database. */
export type CellRecord = Readonly<Record<string, unknown>>
/** What our statements put into a column. */
export type Cell = string | number | Uint8Array | null

export function text(record: CellRecord, column: string): string {
  const value = record[column]
  return typeof value === 'string' ? value : damaged(column)
}

export const textOrNull = (record: CellRecord, column: string): string | null =>
  record[column] === null ? null : text(record, column)

export function integer(record: CellRecord, column: string): number {
  const value = record[column]
  return typeof value === 'number' ? value : damaged(column)
}

export const integerOrNull = (record: CellRecord, column: string): number | null =>
  record[column] === null ? null : integer(record, column)

export function sealedBytes(record: CellRecord, column: string): Sealed {
  const value = record[column]
  return value instanceof Uint8Array ? (value as Sealed) : damaged(column)
}

/** JSON that this program wrote; the schema checks that it is JSON. */
export const json = (record: CellRecord, column: string): unknown => JSON.parse(text(record, column))
export const jsonOrNull = (record: CellRecord, column: string): unknown =>
  record[column] === null ? null : json(record, column)

function damaged(column: string): never {
  throw new Error(`the database holds something else in column ${column} than this program writes`)
}
