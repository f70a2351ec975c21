/** A database that was opened, whatever engine keeps it, with what belongs to it. */
import type { Clock, Incarnation, Moment } from '@tokenkeep/core'
import type { AuditRows } from './audit.ts'
import type { CallerRows } from './callers.ts'
import type { AesGcmCipher } from './cipher-aes-gcm.ts'
import type { ConnectSessionRows } from './connect-sessions.ts'
import type { Keyring } from './keyring.ts'
import type { Markers } from './markers.ts'
import type { MinuteRows } from './minute-rows.ts'
import type { OwnerLocks } from './postgres-owner-locks.ts'
import type { ReceivedEventRows } from './received-events.ts'
import type { OpenStore, StoreParts } from './store-context.ts'
import type { PageSessionRows } from './page-sessions.ts'
import type { Coordination } from './tokenkeep.ts'

/** What opening one needs. */
export interface OpeningParts extends Omit<StoreParts, 'cipher'> {
  /** Its alarms keep no process alive. */
  readonly background: Clock
  /** Store time, where the host's clock is that. */
  readonly bootNow: () => Moment
}

export interface OpenedDatabase {
  /** The store and what comes with it; closing it closes the database. */
  readonly open: OpenStore
  readonly callers: CallerRows
  readonly receivedEvents: ReceivedEventRows
  readonly connectSessions: ConnectSessionRows
  readonly minutes: MinuteRows
  readonly audit: AuditRows
  readonly pageSessions: PageSessionRows
  readonly cipher: AesGcmCipher
  readonly keys: Keyring
  /** The folder on this host for locks and spill slots. */
  readonly state: string
  /** The database's life, as it was opened. */
  readonly life: Incarnation
  readonly markers: Markers
  coordination(): Coordination
  /** What the database shows of owners on other hosts. */
  readonly locks?: OwnerLocks
  /** The boot of this host, where store time names it: of an owner of another boot it proves the death. */
  readonly boot?: string
}
