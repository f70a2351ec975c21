/**
 * Whether the introspection of a provider tells a client anything. To one that may not know about a token it says
 * `active: false`, as if the token were dead (RFC 7662 section 2.2): a Keycloak since 26.6.2 to every client that is not
 * in the audience of the token, which new ones are not. Then each question would cost a refresh. No IO; one process's.
 */
import type { ClientId, Fingerprint, Uid } from './ids.ts'
import { later, ms, type MonoMs } from './time.ts'

/** It is asked again after this: somebody may have mended it. It costs one refresh each time. */
const SILENT_MS = ms(60 * 60 * 1000)
/** Connections of one client whose last inactive token is remembered. The first ones are: they come again. */
const REMEMBERED_MOST = 100

export interface IntrospectionTrust {
  /** It was found out lately that it tells this client nothing. */
  isSilent(client: ClientId, now: MonoMs): boolean
  /**
   * Hears an answer about the token of a connection.
   *
   * @param fingerprint of the token that was asked about
   * @returns false: the answer says nothing. A client that never heard `active` heard `inactive` twice about one
   *   connection, the second time of a token that a refresh had brought in between, so that its sign-in lives
   */
  hear(about: { client: ClientId; uid: Uid; fingerprint: Fingerprint }, active: boolean, now: MonoMs): boolean
}

export function createIntrospectionTrust(): IntrospectionTrust {
  const telling = new Set<ClientId>()
  const inactive = new Map<ClientId, Map<Uid, Fingerprint>>()
  const silentUntil = new Map<ClientId, MonoMs>()
  return {
    isSilent(client, now) {
      const until = silentUntil.get(client)
      return until !== undefined && now < until
    },
    hear({ client, uid, fingerprint }, active, now) {
      if (active) {
        telling.add(client)
        inactive.delete(client)
        return true
      }
      if (telling.has(client)) return true
      const seen = inactive.get(client) ?? new Map<Uid, Fingerprint>()
      inactive.set(client, seen)
      const before = seen.get(uid)
      if (before !== undefined && before !== fingerprint) {
        silentUntil.set(client, later(now, SILENT_MS))
        inactive.delete(client)
        return false
      }
      if (seen.size < REMEMBERED_MOST) seen.set(uid, fingerprint)
      return true
    },
  }
}
