/** What people write about any sign-in that is to come, whichever way the person takes. */
import { parseVariant, readLabels, type ClientId, type ConnectionId, type ProviderId } from '@tokenkeep/core'
import type { ConnectSessionInput } from './connect-session-input.ts'
import { flag, nameOf, type Refuse } from './input-members.ts'

export interface SignInAsked {
  readonly client: ClientId | null
  readonly provider: ProviderId | null
  readonly connection: ConnectionId | null
  readonly labels: Readonly<Record<string, string>>
  readonly scope: string | null
  readonly resources: readonly string[]
  readonly otherAccount: boolean
}

/** What every sign-in can be asked for with. */
export const SIGN_IN_MEMBERS = Object.keys({
  client: true,
  provider: true,
  connection: true,
  labels: true,
  scope: true,
  resource: true,
  otherAccount: true,
} satisfies Record<Exclude<keyof ConnectSessionInput, 'returnTo' | 'expiresInMs'>, true>)

/** @throws TokenError `invalid_input` */
export function readSignInAsked(
  given: Readonly<Record<string, unknown>>,
  input: Pick<ConnectSessionInput, 'client' | 'provider' | 'connection' | 'labels' | 'scope' | 'resource'>,
  connectionId: (given: unknown) => ConnectionId,
  refuse: Refuse,
): SignInAsked {
  const { client, provider, connection, scope, resource } = input
  if (client === undefined && provider === undefined)
    refuse('client names the registration that is used, or provider one that has a single client')
  const variant = parseVariant(scope, typeof resource === 'string' ? [resource] : resource)
  if ('wrong' in variant) return refuse(variant.wrong)
  return {
    client: client === undefined ? null : nameOf<ClientId>('client', client),
    provider: provider === undefined ? null : nameOf<ProviderId>('provider', provider),
    connection: connection === undefined ? null : connectionId(connection),
    labels: readLabels(input.labels),
    scope: variant.variant.scopes.join(' ') || null,
    resources: variant.variant.resources,
    otherAccount: flag(given, 'otherAccount', false, refuse),
  }
}
