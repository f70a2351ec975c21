/**
 * Takes what providers tell by themselves: logout tokens and security events. A sign-in that is said to be over is not
 * handed out any more, and its next presentation decides; one that may be over is asked about, where the provider can be
 * asked without presenting anything.
 *
 * Acted on first and remembered then: whoever ends in between is told again, and acting twice does nothing more.
 */
import {
  isSignedInAfter,
  parseName,
  type Client,
  type ClientId,
  type ConnectionId,
  type Connections,
  type ConnectionStore,
  type Provider,
  type ProviderId,
  type Registry,
} from '@tokenkeep/core'
import { readLogoutToken } from './logout-token.ts'
import type { ProviderAccess } from './provider-access.ts'
import { digestOf, type ReceivedEventRows } from './received-events.ts'
import { readReceivedToken, refused, type Authentic, type Refused } from './received-token.ts'
import { readSecurityEvent, type SecurityEventMeans } from './security-event.ts'

/** What became of a token that was received. */
export type Received =
  | {
      readonly kind: 'accepted'
      /** The ids of the connections whose hand-outs stopped. */
      readonly signedOut: readonly string[]
      /** The ids of those that the provider is asked about now (RFC 7662), in the background. */
      readonly verifying: readonly string[]
    }
  /** It was received before, and nothing was done again. */
  | { readonly kind: 'known' }
  | Refused
  /** The provider's keys cannot be had now, so nobody knows whether it is authentic: it is to be sent again. */
  | { readonly kind: 'unavailable' }

export interface RevocationIntake {
  logoutToken(provider: string, token: string): Promise<Received>
  securityEvent(provider: string, token: string): Promise<Received>
}

export interface RevocationIntakeParts {
  readonly access: ProviderAccess
  readonly registry: Pick<Registry, 'provider' | 'clients'>
  readonly store: Pick<ConnectionStore, 'list'>
  readonly rows: ReceivedEventRows
  readonly logout: Connections['logout']
  /** Asks the provider about the access token of a connection, some time soon. */
  readonly verifySoon: (id: ConnectionId) => void
}

/** One kind of token. */
interface Kind {
  /** The `typ` that it must have; null: what it says is looked at by `read`. */
  readonly type: string | null
  /** What stands in `aud` instead of the ids of clients; null: one of those does. */
  audience(provider: Provider): string | null
  /** What an authentic one says. */
  read(token: Authentic, provider: Provider): readonly Act[] | Refused
}

type Act = SecurityEventMeans & { readonly revokesOfflineAccess?: boolean }

const LOGOUT_TOKEN: Kind = {
  type: null,
  audience: () => null,
  read({ claims, type, issuedAt }) {
    const says = readLogoutToken(claims, type)
    if (typeof says === 'string') return refused(says)
    const { of, revokesOfflineAccess } = says
    return of === null ? [] : [{ kind: 'sign_out', of, at: issuedAt, revokesOfflineAccess }]
  },
}

const SECURITY_EVENT: Kind = {
  // Explicit wherever another kind of token could be taken for one (RFC 8417 section 2.3), as an ID token could here.
  type: 'secevent+jwt',
  audience: ({ eventAudience }) => eventAudience,
  read({ claims, issuedAt }, { issuer }) {
    const means = readSecurityEvent(claims, issuer, issuedAt)
    return means === 'claims' ? refused('claims') : means
  },
}

const PAGE = 100

export function createRevocationIntake(parts: RevocationIntakeParts): RevocationIntake {
  const { access, registry, store, rows, logout } = parts

  /** Those of a subject that the provider is to be asked about, unless they signed in since. */
  const verify = async (
    provider: ProviderId,
    { subject, at }: SecurityEventMeans & { readonly kind: 'verify' },
    isFor: ReadonlySet<ClientId>,
  ): Promise<readonly string[]> => {
    const verifying: string[] = []
    let after: ConnectionId | undefined
    for (;;) {
      const views = await store.list({ provider, subject, limit: PAGE, after })
      for (const { row } of views) {
        if (isSignedInAfter(row, at) || !isFor.has(row.client)) continue
        parts.verifySoon(row.id)
        verifying.push(row.id)
      }
      after = views.at(-1)?.row.id
      if (views.length < PAGE) return verifying
    }
  }

  const done = async (
    provider: ProviderId,
    acts: readonly Act[],
    isFor: ReadonlySet<ClientId>,
  ): Promise<Received & { readonly kind: 'accepted' }> => {
    const signedOut = new Set<string>()
    const verifying = new Set<string>()
    for (const act of acts) {
      if (act.kind === 'verify') for (const id of await verify(provider, act, isFor)) verifying.add(id)
      else {
        const { of, at: issuedAt, revokesOfflineAccess } = act
        const stopped = await logout({ provider, ...of, clients: [...isFor], issuedAt, revokesOfflineAccess })
        for (const id of stopped.signedOut) signedOut.add(id)
      }
    }
    return { kind: 'accepted', signedOut: [...signedOut], verifying: [...verifying] }
  }

  const receive = async (given: string, token: string, kind: Kind): Promise<Received> => {
    const parsed = parseName<ProviderId>('provider', given)
    const provider = 'id' in parsed ? await registry.provider(parsed.id) : null
    const clients = await clientsOf(provider)
    const named = provider && kind.audience(provider)
    const received = await readReceivedToken(access, provider, token, {
      type: kind.type,
      audience: named === null ? clients.map(({ clientId }) => clientId) : [named],
      required: ['iat', 'jti', 'events'],
    })
    if (received.kind !== 'authentic') return received
    // There is no authentic token of a provider that does not exist.
    if (provider === null) return refused('not_authentic')
    const acts = kind.read(received, provider)
    if ('kind' in acts) return acts
    const jti = digestOf(received.jti)
    if (await rows.has(provider.id, jti)) return { kind: 'known' }
    // Whoever is named by its client id is meant alone; a name of ours in all streams means all.
    const isFor = named === null ? clients.filter(({ clientId }) => isIn(received, clientId)) : clients
    const accepted = await done(provider.id, acts, new Set(isFor.map(({ id }) => id)))
    await rows.add(provider.id, jti, received.until, access.clock.now().wall)
    return accepted
  }

  const clientsOf = async (provider: Provider | null): Promise<readonly Client[]> =>
    provider === null ? [] : (await registry.clients()).filter((client) => client.provider === provider.id)

  return {
    logoutToken: (provider, token) => receive(provider, token, LOGOUT_TOKEN),
    securityEvent: (provider, token) => receive(provider, token, SECURITY_EVENT),
  }
}

const isIn = ({ claims: { aud = [] } }: Authentic, clientId: string): boolean => [aud].flat().includes(clientId)
