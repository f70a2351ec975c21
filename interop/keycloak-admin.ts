/** What the administrator of a Keycloak does and sees: realms, sessions, and the events by which it counts. */
import { setTimeout as pause } from 'node:timers/promises'
import { ADMIN } from './keycloak.ts'

/** One of Keycloak's events, as far as it is read here. */
export interface KeycloakEvent {
  readonly type: string
  readonly time: number
  readonly clientId?: string
  readonly sessionId?: string
  readonly error?: string
  readonly details?: Readonly<Record<string, string>>
}

export interface AssertionIssuer {
  readonly issuer: string
  readonly jwksUrl: string
}

export interface KeycloakAdmin {
  readonly createRealm: (representation: unknown) => Promise<void>
  readonly createClient: (realm: string, representation: unknown) => Promise<void>
  /** Takes assertions about people from an issuer whose keys are at `jwksUrl` (RFC 7523). */
  readonly trustIssuer: (realm: string, alias: string, who: AssertionIssuer) => Promise<void>
  /**
   * Says which user it is that such an issuer calls `sub`.
   *
   * @returns the user's id, which is `sub` at Keycloak
   */
  readonly linkUser: (realm: string, username: string, alias: string, sub: string) => Promise<string>
  /** All that were recorded in a realm, oldest first. */
  readonly events: (realm: string) => Promise<readonly KeycloakEvent[]>
  /** Signs a session out, as an administrator does in the console. */
  readonly endSession: (realm: string, sessionId: string, offline?: boolean) => Promise<void>
  readonly sessionIds: (realm: string, clientId: string, kind: 'user' | 'offline') => Promise<readonly string[]>
}

const PAGE = 1_000
/** Keycloak stores an event after it has answered. */
const SETTLED_AFTER_MS = 1_000

export function keycloakAdmin(url: string): KeycloakAdmin {
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(`${url}/admin/realms${path}`, {
      method,
      // A new one each time: they live for a minute, and Keycloak is killed and started again here.
      headers: { authorization: `Bearer ${await administratorToken(url)}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`Keycloak's administration answered ${answer.status} to ${method} ${path}: ${text}`)
    return text === '' ? null : JSON.parse(text)
  }
  return {
    async createRealm(representation) {
      await ask('POST', '', representation)
    },
    async createClient(realm, representation) {
      await ask('POST', `/${realm}/clients`, representation)
    },
    async trustIssuer(realm, alias, { issuer, jwksUrl }) {
      const config = { issuer, jwksUrl, useJwksUrl: 'true', jwtAuthorizationGrantEnabled: 'true' }
      const provider = { alias, providerId: 'jwt-authorization-grant', enabled: true, config }
      await ask('POST', `/${realm}/identity-provider/instances`, provider)
    },
    async linkUser(realm, username, alias, sub) {
      const users = (await ask('GET', `/${realm}/users?exact=true&username=${username}`)) as { readonly id: string }[]
      const id = users[0]?.id ?? ''
      const link = { identityProvider: alias, userId: sub, userName: sub }
      await ask('POST', `/${realm}/users/${id}/federated-identity/${alias}`, link)
      return id
    },
    async events(realm) {
      await pause(SETTLED_AFTER_MS)
      const all: KeycloakEvent[] = []
      for (let page: KeycloakEvent[] | null = null; page === null || page.length === PAGE;) {
        page = (await ask('GET', `/${realm}/events?first=${all.length}&max=${PAGE}&direction=asc`)) as KeycloakEvent[]
        all.push(...page)
      }
      return all
    },
    async endSession(realm, sessionId, offline = false) {
      await ask('DELETE', `/${realm}/sessions/${sessionId}?isOffline=${offline}`)
    },
    async sessionIds(realm, clientId, kind) {
      const [client] = (await ask('GET', `/${realm}/clients?clientId=${clientId}`)) as { readonly id: string }[]
      const path = `/${realm}/clients/${client?.id ?? ''}/${kind}-sessions?max=${PAGE}`
      return ((await ask('GET', path)) as { readonly id: string }[]).map(({ id }) => id)
    },
  }
}

async function administratorToken(url: string): Promise<string> {
  const answer = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...ADMIN }),
  })
  const body = (await answer.json()) as { readonly access_token?: string }
  if (body.access_token === undefined) throw new Error(`Keycloak's administrator got no token: status ${answer.status}`)
  return body.access_token
}
