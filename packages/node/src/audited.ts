/** The library with a line in the audit log for each administrative act: which acts there are, and what is said of each. */
import type { Provider } from '@tokenkeep/core'
import type { Actor } from './actor.ts'
import type { Act, AuditLog, Details, Said } from './audit.ts'
import type { Tokenkeep } from './tokenkeep.ts'

/** The parts of the library that change something. */
export type Acting = Pick<
  Tokenkeep,
  | 'providers'
  | 'clients'
  | 'connections'
  | 'connectSessions'
  | 'deviceSignIns'
  | 'localRefreshTokens'
  | 'apiKeys'
  | 'masterKeys'
  | 'adopt'
  | 'backUp'
>

/** @param whole does the acts, without a line */
export function audited(whole: Acting, log: AuditLog, actor: Actor): Acting {
  /** @param before what is known of it before it is done, @param after and after it */
  const act =
    <Args extends readonly unknown[], Result>(
      name: Act,
      run: (...args: Args) => Promise<Result>,
      before: (...args: Args) => Said,
      after: (result: Result) => Said = () => ({}),
    ): ((...args: Args) => Promise<Result>) =>
    (...args) =>
      log.act(
        { actor, act: name },
        () => before(...args),
        () => run(...args),
        after,
      )

  const { providers, clients, connections, connectSessions, deviceSignIns, localRefreshTokens, apiKeys, masterKeys } =
    whole
  return {
    providers: {
      ...providers,
      put: act(
        'provider.put',
        providers.put,
        ({ id, preset }) => ({ subject: id, details: { preset: word(preset) } }),
        (made) => ({
          details: hostsOf(made),
        }),
      ),
    },
    clients: {
      ...clients,
      put: act(
        'client.put',
        clients.put,
        ({ id, provider }) => ({ subject: id, details: { provider: word(provider) } }),
        ({ provider, clientId, tokenEndpointAuthMethod, dpopBoundAccessTokens }) => ({
          details: { provider, clientId, tokenEndpointAuthMethod, dpopBoundAccessTokens },
        }),
      ),
      rotateKey: act(
        'client.rotate_key',
        clients.rotateKey,
        (id, options) => ({ subject: id, details: { now: options?.now === true } }),
        (keys) => ({ details: { kids: keys.map(({ kid }) => kid) } }),
      ),
    },
    connections: {
      ...connections,
      import: act(
        'connection.import',
        connections.import,
        ({ id, client, labels }) => ({ subject: id, details: { client: word(client), labels: labels ?? {} } }),
        ({ uid, provider, grantType }) => ({ details: { uid, provider, grantType } }),
      ),
      reconnect: act(
        'connection.reconnect',
        connections.reconnect,
        (id) => ({ subject: id }),
        ({ uid, provider }) => ({ details: { uid, provider } }),
      ),
      resolve: act('connection.resolve', connections.resolve, (id, how) => ({
        subject: id,
        details: { how: word(how) },
      })),
      label: act('connection.label', connections.label, (id, labels) => ({ subject: id, details: { labels } })),
      delete: act(
        'connection.delete',
        connections.delete,
        (id) => ({ subject: id }),
        ({ revokedUpstream }) => ({ details: { revokedUpstream } }),
      ),
    },
    connectSessions: {
      ...connectSessions,
      create: act(
        'connect_session.create',
        connectSessions.create,
        ({ connection }) => ({ subject: connection }),
        ({ session: { id, provider, client, connection, labels, scope, otherAccount } }) => ({
          subject: connection,
          details: { session: id, provider, client, labels, scope, otherAccount },
        }),
      ),
    },
    deviceSignIns: {
      ...deviceSignIns,
      begin: act(
        'device_sign_in.begin',
        deviceSignIns.begin,
        ({ connection }) => ({ subject: connection }),
        ({ provider, client, connection }) => ({ subject: connection, details: { provider, client } }),
      ),
    },
    localRefreshTokens: {
      ...localRefreshTokens,
      share: act(
        'local_refresh_token.share',
        localRefreshTokens.share,
        (connection) => ({ subject: connection }),
        ({ localRefreshToken: { id, apiKey } }) => ({ details: { localRefreshToken: id, apiKey } }),
      ),
      revoke: act(
        'local_refresh_token.revoke',
        localRefreshTokens.revoke,
        (id) => ({ subject: id }),
        ({ connection, apiKey }) => ({ details: { connection, apiKey } }),
      ),
    },
    apiKeys: {
      ...apiKeys,
      create: act(
        'api_key.create',
        apiKeys.create,
        () => ({}),
        ({ apiKey: { id, name, scopes, labels, sources, expiresAt } }) => ({
          subject: id,
          details: { name, scopes, labels, sources, expiresAt },
        }),
      ),
      revoke: act('api_key.revoke', apiKeys.revoke, (id) => ({ subject: id })),
      setSource: act('api_key.set_source', apiKeys.setSource, (id, provider, connection) => ({
        subject: id,
        details: { provider: word(provider), connection: connection === null ? null : word(connection) },
      })),
      trust: act(
        'api_key.trust',
        apiKeys.trust,
        (id) => ({ subject: id }),
        ({ identities }) => ({
          details: {
            identities: identities.map((each) => ({
              id: each.id,
              issuer: each.issuer,
              subject: each.subject,
              audience: each.audience,
            })),
          },
        }),
      ),
      untrust: act('api_key.untrust', apiKeys.untrust, (id, identity) => ({
        subject: id,
        details: { identity: word(identity) },
      })),
    },
    masterKeys: {
      ...masterKeys,
      add: act(
        'master_key.add',
        masterKeys.add,
        () => ({}),
        ({ name }) => ({ subject: name }),
      ),
      rotate: act(
        'master_key.rotate',
        masterKeys.rotate,
        (name) => ({ subject: name }),
        ({ name, resealed }) => ({ subject: name, details: { resealed } }),
      ),
      reseal: act(
        'master_key.reseal',
        masterKeys.reseal,
        () => ({}),
        ({ resealed }) => ({ details: { resealed } }),
      ),
      remove: act('master_key.remove', masterKeys.remove, (name, options) => ({
        subject: name,
        details: { othersChecked: options?.othersChecked === true },
      })),
    },
    adopt: act(
      'adopt',
      whole.adopt,
      () => ({}),
      ({ wasOnHold, inDoubt }) => ({ details: { wasOnHold, inDoubt } }),
    ),
    backUp: act('backup', whole.backUp, (file) => ({ details: { file: typeof file === 'string' ? file : null } })),
  }
}

/** A word of the input, which nobody has looked at yet: what is longer than an id is none. */
const word = (given: unknown): string | null =>
  typeof given === 'string' && /^[\x21-\x7e]{1,200}$/.test(given) ? given : null

/** Where refresh tokens and people are sent from now on; of URLs the host alone, for a path can hold a secret. */
function hostsOf(provider: Provider): Details {
  const { issuer, tokenEndpoint, refreshEndpoint, revocationEndpoint, introspectionEndpoint, authorizationEndpoint } =
    provider
  const urls = {
    issuer,
    tokenEndpoint,
    refreshEndpoint,
    revocationEndpoint,
    introspectionEndpoint,
    authorizationEndpoint,
  }
  const hosts = Object.entries(urls).flatMap(([name, url]) => {
    const host = typeof url === 'string' ? URL.parse(url)?.host : undefined
    return host === undefined ? [] : [[name, host] as const]
  })
  return { hosts: Object.fromEntries(hosts), reuse: provider.reuse.kind, revision: provider.revision }
}
