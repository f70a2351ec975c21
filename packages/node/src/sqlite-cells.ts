/** Reads single cells of a record, and says which one is not what the schema promises. */
import type { SQLOutputValue } from 'node:sqlite'
import type { Sealed } from '@tokenkeep/core'

export type SqliteRecord = Readonly<Record<string, SQLOutputValue>>

export function text(record: SqliteRecord, column: string): string {
  const value = record[column]
  return typeof value === 'string' ? value : damaged(column)
}

export const textOrNull = (record: SqliteRecord, column: string): string | null =>
  record[column] === null ? null : text(record, column)

export function integer(record: SqliteRecord, column: string): number {
  const value = record[column]
  return typeof value === 'number' ? value : damaged(column)
}

export const integerOrNull = (record: SqliteRecord, column: string): number | null =>
  record[column] === null ? null : integer(record, column)

export function sealedBytes(record: SqliteRecord, column: string): Sealed {
  const value = record[column]
  return value instanceof Uint8Array ? (value as Sealed) : damaged(column)
}

/** JSON that this program wrote; the schema checks that it is JSON. */
export const json = (record: SqliteRecord, column: string): unknown => JSON.parse(text(record, column))
export const jsonOrNull = (record: SqliteRecord, column: string): unknown =>
  record[column] === null ? null : json(record, column)

function damaged(column: string): never {
  throw new Error(`the database holds something else in column ${column} than this program writes`)
}
