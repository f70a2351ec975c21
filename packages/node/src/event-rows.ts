/** Recorded events as a database keeps them: in one order, which every reader sees the same. */
import type { ConnectionId, EventSubject, NewEvent, RecordedEventType, UnixMs } from '@tokenkeep/core'

/** An event as it is read again. */
export interface StoredEvent extends EventSubject {
  /** Where it stands in the order: each later one has a higher position, and nothing appears before what was read. */
  readonly position: number
  /** Unique, also among databases that were restored from one backup. */
  readonly id: string
  readonly type: RecordedEventType
  readonly at: UnixMs
  readonly data: Readonly<Record<string, unknown>>
}

export interface EventQuery {
  /** Only later ones; with `newestFirst` only earlier ones. Null: from the beginning, or the end. */
  readonly from: number | null
  readonly newestFirst: boolean
  /** Without `connection.refreshed`, which are many. */
  readonly notableOnly: boolean
  readonly connection: ConnectionId | null
  readonly limit: number
}

/** Events from before these moments are forgotten: routine sooner than the rest. */
export interface Ages {
  readonly routine: UnixMs
  readonly notable: UnixMs
}

export interface EventRows {
  read(query: EventQuery): Promise<readonly StoredEvent[]>
  /** Of the newest one; 0: there was never any. */
  newest(): Promise<number>
  /** Null: there is none at that position, or none any more. */
  idAt(position: number): Promise<string | null>
  /**
   * Records what is no change of a connection.
   *
   * @param once several processes see the same: it is recorded for the first alone that gives this word
   */
  record(event: NewEvent, once: string): Promise<void>
  /**
   * Deletes some of the oldest events.
   *
   * @param from positions up to here were looked through before
   * @returns how far it looked; the same as `from`: nothing is left to do
   */
  prune(from: number, before: Ages, limit: number): Promise<number>
}
