import type { RecordedEventType } from '@tokenkeep/core'

const TYPES = {
  'connection.created': true,
  'connection.refreshed': true,
  'connection.refresh_failed': true,
  'connection.in_doubt': true,
  'connection.suspect': true,
  'connection.blocked': true,
  'connection.needs_user': true,
  'connection.expiring': true,
  'connection.signed_out': true,
  'connection.reconnected': true,
  'connection.updated': true,
  'connection.access_token_rejected': true,
  'connection.revoked': true,
  'provider.misconfigured': true,
  'provider.unreachable': true,
  'provider.reachable': true,
  'provider.rate_limited': true,
  'installation.on_hold': true,
  'installation.adopted': true,
} as const satisfies Record<RecordedEventType, true>

/** Every type of event that is recorded, in the order of the documentation. */
export const EVENT_TYPES = Object.keys(TYPES) as [RecordedEventType, ...RecordedEventType[]]
