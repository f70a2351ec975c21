import type { Grant } from './engine-models.ts'
import type { Realm } from './realm.ts'
import type { NewSession } from './sessions.ts'

export interface WantedSession {
  readonly clientId: string
  readonly subject: string
  readonly scope: string
  /** What the session may be used at, beside its own issuer (RFC 8707). */
  readonly resources?: readonly string[]
  /** Seconds; win over client and realm. */
  readonly accessSeconds?: number
  readonly refreshSeconds?: number
}

/** Opens a session, however somebody came to sign in: the engine's grant, and our own record under the same id. */
export async function openSession(realm: Realm, wanted: WantedSession): Promise<{ grant: Grant; session: NewSession }> {
  const { clientId, subject, scope } = wanted
  const grant = new realm.provider.Grant({ clientId, accountId: subject })
  grant.addOIDCScope(scope)
  for (const resource of wanted.resources ?? []) grant.addResourceScope(resource, scope)
  const session = {
    id: await grant.save(),
    clientId,
    subject,
    scope,
    createdMs: Date.now(),
    accessSeconds: wanted.accessSeconds ?? null,
    refreshSeconds: wanted.refreshSeconds ?? null,
  }
  realm.sessions.add(session)
  return { grant, session }
}
