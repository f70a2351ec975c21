/** What becomes of a sign-in: the client and the connection that it is for, and the rules by which its tokens are kept there. */
import { randomBytes } from 'node:crypto'
import {
  runsAgain,
  TokenError,
  type Client,
  type ClientId,
  type ConnectFailure,
  type ConnectionId,
  type ConnectionInfo,
  type Connections,
  type ProviderId,
  type Registry,
} from '@tokenkeep/core'
import type { SignedIn } from './sign-in-answer.ts'

/** Where a sign-in goes. */
export interface SignInDestination {
  /** A new one, or one that is there and gets a new sign-in. */
  readonly connection: ConnectionId
  readonly client: ClientId
  /** Of a connection that is new. */
  readonly labels: Readonly<Record<string, string>>
  /** A connection that is there gets it only where it has these labels. */
  readonly within: Readonly<Record<string, string>>
  /** The sign-in may be of another account than the connection's. */
  readonly otherAccount: boolean
}

export type KeptSignIn =
  | {
      readonly kind: 'kept'
      readonly connection: ConnectionId
      /** It existed before. */
      readonly renewed: boolean
      readonly scope: string | null
    }
  | { readonly kind: 'failed'; readonly because: ConnectFailure }

export interface SignInKeeper {
  /**
   * The client and the connection that somebody named, or that are meant where they are not named.
   *
   * @throws TokenError `unknown_client`, `unknown_provider`, `store_unavailable`; `invalid_input`: the connection cannot
   *   get a sign-in of this client, said before a person has signed in for nothing
   */
  destinationOf(named: {
    readonly client: ClientId | null
    readonly provider: ProviderId | null
    readonly connection: ConnectionId | null
  }): Promise<{ readonly client: Client; readonly connection: ConnectionId }>
  /** Makes the connection, or gives it the new sign-in; where it failed, everything is as it was. */
  keep(to: SignInDestination, signIn: SignedIn['signIn']): Promise<KeptSignIn>
}

/** Somebody would have to make and delete the same connection as often, between two of our calls. */
const TRIES_MOST = 5

export function createSignInKeeper(setup: {
  readonly registry: Registry
  readonly connections: Pick<Connections, 'get' | 'import' | 'reconnect'>
  /** Reads an id that a person wrote. @throws TokenError `invalid_input` */
  readonly connectionId: (given: unknown) => ConnectionId
}): SignInKeeper {
  const { registry, connections, connectionId } = setup

  const existing = (id: ConnectionId): Promise<ConnectionInfo | null> =>
    connections.get(id).catch((error: unknown) => {
      if (error instanceof TokenError && error.code === 'unknown_connection') return null
      throw error
    })

  const clientFor = async (client: ClientId | null, provider: ProviderId | null): Promise<Client> => {
    const clients = await registry.clients()
    if (client !== null) {
      const found = clients.find(({ id }) => id === client)
      if (found === undefined) throw unknownClient(client)
      if (provider !== null && found.provider !== provider)
        throw new TokenError('invalid_input', `client "${client}" is not registered at provider "${provider}"`)
      return found
    }
    const of = clients.filter((each) => each.provider === provider)
    const [only] = of
    if (only !== undefined && of.length === 1) return only
    if (only === undefined && (await registry.provider(provider ?? ('' as ProviderId))) === null)
      throw new TokenError('unknown_provider', `there is no provider "${provider}"`, { subject: provider ?? undefined })
    throw new TokenError(
      'unknown_client',
      only === undefined
        ? `provider "${provider}" has no client: add our registration there (CLI: \`tokenkeep client add\`)`
        : `provider "${provider}" has ${of.length} clients: name one of ${of.map(({ id }) => id).join(', ')}`,
    )
  }

  return {
    async destinationOf(named) {
      const client = await clientFor(named.client, named.provider)
      const connection = named.connection ?? connectionId(`${client.id}-${randomBytes(6).toString('hex')}`)
      const found = named.connection === null ? null : await existing(connection)
      const unfit = found === null ? null : whyUnfit(found, client)
      if (unfit !== null) throw new TokenError('invalid_input', unfit, { subject: connection })
      return { client, connection }
    },

    async keep(to, { account: _account, ...signIn }) {
      const { connection, client, labels, otherAccount } = to
      for (let tries = 0; tries < TRIES_MOST; tries += 1) {
        try {
          const found = await existing(connection)
          if (found !== null && !isFit(found, to)) return failed('not_connectable')
          if (found !== null && isOther(found, signIn.subject) && !otherAccount) return failed('other_account')
          const { id, scope } =
            found === null
              ? await connections.import({ ...signIn, id: connection, client, labels })
              : await connections.reconnect(connection, { ...signIn, otherAccount })
          return { kind: 'kept', connection: id as ConnectionId, renewed: found !== null, scope }
        } catch (error) {
          if (!(error instanceof TokenError)) throw error
          // Somebody was first with this id, or deleted it meanwhile: looked at again.
          if (error.code === 'connection_exists' || error.code === 'unknown_connection') continue
          if (error.code === 'refresh_token_held') return failed('held')
          return failed(error.code === 'deleting' ? 'not_connectable' : 'unavailable')
        }
      }
      return failed('unavailable')
    },
  }
}

const failed = (because: ConnectFailure): KeptSignIn => ({ kind: 'failed', because })

/** Also where nobody can tell whose account it is: that of somebody else must not slip in by leaving the question out. */
const isOther = ({ subject: known }: ConnectionInfo, subject: string | undefined): boolean =>
  known !== null && known !== subject

const isFit = (found: ConnectionInfo, { client, within }: SignInDestination): boolean =>
  whyUnfit(found, { id: client }) === null &&
  // Of this id there may be another one since, which the key that made the session does not see.
  Object.entries(within).every(([name, value]) => found.labels[name] === value)

/** Why a connection that is there cannot get this sign-in; null: it can. */
function whyUnfit({ id, client, grantType, status }: ConnectionInfo, of: Pick<Client, 'id'>): string | null {
  if (runsAgain(grantType))
    return `connection "${id}" runs its grant again (${grantType}): there is no sign-in to renew`
  if (client !== of.id) return `connection "${id}" belongs to client "${client}": sign in with that one`
  return status === 'deleting' ? `connection "${id}" is being deleted` : null
}

export const unknownClient = (id: string): TokenError =>
  new TokenError('unknown_client', `there is no client "${id}" that can be used (CLI: \`tokenkeep client list\`)`, {
    subject: id,
  })
