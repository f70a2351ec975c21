/** The acts of the audit log that an answer may name. The compiler compares them with the library's. */
import type { Act } from '@tokenkeep/node'

export const ACTS = Object.keys({
  'provider.put': true,
  'client.put': true,
  'client.rotate_key': true,
  'connection.import': true,
  'connection.reconnect': true,
  'connection.resolve': true,
  'connection.label': true,
  'connection.delete': true,
  'connect_session.create': true,
  'device_sign_in.begin': true,
  'local_refresh_token.share': true,
  'local_refresh_token.revoke': true,
  'api_key.create': true,
  'api_key.revoke': true,
  'api_key.set_source': true,
  'api_key.trust': true,
  'api_key.untrust': true,
  'master_key.add': true,
  'master_key.rotate': true,
  'master_key.reseal': true,
  'master_key.remove': true,
  adopt: true,
  backup: true,
  denied: true,
} satisfies Record<Act, true>) as readonly Act[]
