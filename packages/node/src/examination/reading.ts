/** A database that is open for reading alone, whatever engine keeps it. */
import { goesOn, type HoldReason, type Incarnation, type Marker, type UnixMs } from '@tokenkeep/core'
import type { Cell, CellRecord } from '../cells.ts'
import { assertOwnKeys, type KeyCheck, type Keyring } from '../keyring.ts'
import type { RegistryRows } from '../registry.ts'
import type { DatabaseSeen } from './seen.ts'

export interface Reading {
  readonly seen: DatabaseSeen
  readonly installation: string
  readonly rows: RegistryRows
  /** A table as statements name it. */
  table(name: string): string
  /** @param text with `?` for each value */
  all(text: string, values: readonly Cell[]): Promise<readonly CellRecord[]>
  close(): Promise<void>
}

/** Whether these keys are those of the database, in the words of whoever opens it. */
export function keysAgainst(ring: Keyring | null, keyCheck: KeyCheck, name: string): DatabaseSeen['keys'] {
  if (ring === null) return 'not_tried'
  try {
    assertOwnKeys(ring, keyCheck, name)
    return 'fit'
  } catch (error) {
    return { other: error instanceof Error ? error.message : '' }
  }
}

/** The id of the key that sealed last, where another one seals now. */
export const sealedWithOther = (ring: Keyring | null, { sealedWith }: KeyCheck): string | null =>
  ring === null || ring.current.id === sealedWith ? null : sealedWith

/** What the next process that opens it will find, as far as that can be told without opening it. */
export function holdAhead(
  kept: Incarnation,
  around: { readonly placeNow: string | null; readonly markers: readonly Marker[]; readonly now: UnixMs },
): HoldReason | null {
  return kept.hold === null ? (goesOn(kept, { ...around, branch: '' }).hold?.because ?? null) : null
}

/** What nobody writes through a reading. */
export const refuseWriting = (): Promise<never> => Promise.reject(new Error('an examination writes nothing'))
