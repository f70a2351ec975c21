/**
 * The token endpoint over our own lines; oauth4webapi builds the requests (RFC 6749 sections 2.3.1, 4.4 and 6, RFC 7009,
 * RFC 7662).
 *
 * Only its request builders are used. Its verdicts are not: it puts whole token responses into the `cause` of its
 * errors, and answers are judged by the core. No error of it leaves this file.
 */
import {
  fromSeconds,
  ms,
  since,
  TokenError,
  type DurationMs,
  type Form,
  type GrantType,
  type Line as LineOfPort,
  type OpenedClient,
  type Presented,
  type Provider,
  type RequestShape,
  type ResponseSeen,
  type Secret,
  type TokenEndpoint,
} from '@tokenkeep/core'
import {
  clientCredentialsGrantRequest,
  customFetch,
  introspectionRequest,
  refreshTokenGrantRequest,
  revocationRequest,
  type AuthorizationServer,
  type ClientAuth,
} from 'oauth4webapi'
import { asClientAuth, proofOf, type ClientProof } from './client-proof.ts'
import { notSent } from './dial.ts'
import type { EndpointName } from './endpoint-discovery.ts'
import { Line, type Outgoing } from './line.ts'
import { USER_AGENT, type ProviderAccess } from './provider-access.ts'

// Revocation and introspection can be asked again at any time, so one plain deadline is enough for them.
const QUESTION_DEADLINE_MS = fromSeconds(10)

/** What a line carries until it is presented: the requests as they go out, but for scope, resource and refresh token. */
interface Prepared {
  readonly line: Line
  readonly requests: Readonly<Record<GrantType, Template>>
  readonly shape: RequestShape
}

interface Template {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: URLSearchParams
}

/**
 * Talks to token, revocation and introspection endpoints: each request over a fresh HTTP/1.1 connection, without
 * redirects, retries or proxies.
 */
export function createTokenEndpoint({ clock, dial, exchange, discovery }: ProviderAccess): TokenEndpoint {
  const prepared = new WeakMap<LineOfPort, Prepared>()

  /** The proof for one request, whichever endpoint it goes to. */
  const prove = async (provider: Provider, client: OpenedClient, withinMs: DurationMs) => {
    // Another endpoint than the token endpoint is asked for the one whose URL may be the audience.
    const found = signs(client) ? await discovery.find(provider, 'tokenEndpoint', withinMs) : null
    const tokenEndpoint = found instanceof URL ? found : null
    return proofOf({ provider, client, tokenEndpoint, now: clock.now().wall })
  }

  /** Asks an endpoint beside the token endpoint; null: no answer. */
  const ask = async (
    provider: Provider,
    client: OpenedClient,
    name: EndpointName,
    build: (proof: ClientProof) => Promise<Template>,
  ): Promise<ResponseSeen | 'unsupported' | null> => {
    const url = await discovery.find(provider, name, QUESTION_DEADLINE_MS, { mtls: showsCertificate(client) })
    if (url === 'none') return 'unsupported'
    if (url === 'failed') return null
    const proof = await prove(provider, client, QUESTION_DEADLINE_MS)
    if ('unusable' in proof) return null
    // A client without its secret can ask nothing; that is said where it matters, when it connects.
    const built = await build(proof).catch(() => null)
    if (built === null) return null
    const { tls } = proof
    const to = { url, method: 'POST', allowPrivateNetwork: provider.allowPrivateNetwork, tls } as const
    return exchange(to, outgoing(built.headers, built.parameters, provider.request.encoding), QUESTION_DEADLINE_MS)
  }

  return {
    async connect(provider, client, grantType, withinMs) {
      const startedAt = clock.now()
      const leftMs = (): DurationMs => ms(withinMs - since(startedAt.mono, clock.now().mono))
      const elsewhere = grantType === 'refresh_token' && provider.refreshEndpoint !== null
      const name = elsewhere ? 'refreshEndpoint' : 'tokenEndpoint'
      const url = await discovery.find(provider, name, withinMs, { mtls: showsCertificate(client) })
      if (!(url instanceof URL)) return notSent('discovery')
      if (leftMs() <= 0) return notSent('timeout')
      const proof = await prove(provider, client, leftMs())
      if ('unusable' in proof) return notSent(proof.unusable)
      const requests = await requestsOf(client, proof)
      const { tls } = proof
      const to = { url, method: 'POST', allowPrivateNetwork: provider.allowPrivateNetwork, tls } as const
      const line = await dial(to, leftMs())
      if (!(line instanceof Line)) return line
      const handle = { close: () => line.close() } as LineOfPort
      prepared.set(handle, { line, requests, shape: provider.request })
      return handle
    },

    present(handle, lease, ticket, form) {
      const ready = prepared.get(handle)
      if (ready === undefined) throw new Error('this line was not opened by this token endpoint')
      return ready.line.send((now) => {
        const presented = ticket.take(lease, now)
        return presented === 'over' ? 'over' : filled(ready.requests[presented.kind], ready.shape, form, presented)
      })
    },

    async revoke(provider, client, token) {
      const answer = await ask(provider, client, 'revocationEndpoint', (proof) => revocationOf(client, proof, token))
      if (answer === 'unsupported') return 'unsupported'
      if (answer === null) return 'unavailable'
      // RFC 7009 section 2.2: 200, also for a token that it does not know; section 2.2.1: the one error that will not pass.
      if (answer.status >= 200 && answer.status < 300) return 'revoked'
      return answer.status === 400 && memberOf(answer, 'error') === 'unsupported_token_type'
        ? 'unsupported'
        : 'unavailable'
    },

    async introspect(provider, client, token) {
      const answer = await ask(provider, client, 'introspectionEndpoint', (proof) =>
        introspectionOf(client, proof, token),
      )
      if (answer === 'unsupported') return 'unsupported'
      // Errors here tell about us, not about the token (RFC 7662 section 2.3).
      const active = answer?.status === 200 ? memberOf(answer, 'active') : null
      return active === true ? 'active' : active === false ? 'inactive' : 'unavailable'
    },
  }
}

// ---- building ------------------------------------------------------------------------------------------------------

// The builders want to know a server, but where a request goes is decided by discovery, the address rules and the line.
const ANYWHERE: AuthorizationServer = {
  issuer: 'https://authorization-server.invalid',
  token_endpoint: 'https://authorization-server.invalid/token',
  revocation_endpoint: 'https://authorization-server.invalid/revoke',
  introspection_endpoint: 'https://authorization-server.invalid/introspect',
}

/** Stands where the ticket's refresh token will be: builders are asynchronous, and the ticket is taken in one tick. */
const PLACEHOLDER = 'placeholder'

const signs = ({ tokenEndpointAuthMethod: method }: OpenedClient): boolean =>
  method === 'client_secret_jwt' || method === 'private_key_jwt'

const showsCertificate = ({ certificate }: OpenedClient): boolean => certificate !== null

async function requestsOf(client: OpenedClient, made: ClientProof): Promise<Prepared['requests']> {
  return {
    refresh_token: await templateOf(client, made, (known, proof, options) =>
      refreshTokenGrantRequest(ANYWHERE, known, proof, PLACEHOLDER, options),
    ),
    client_credentials: await templateOf(client, made, (known, proof, options) =>
      clientCredentialsGrantRequest(ANYWHERE, known, proof, {}, options),
    ),
  }
}

const revocationOf = (client: OpenedClient, made: ClientProof, token: Secret<'refresh_token'>): Promise<Template> =>
  templateOf(client, made, (known, proof, options) =>
    revocationRequest(ANYWHERE, known, proof, token.reveal(), {
      ...options,
      additionalParameters: { token_type_hint: 'refresh_token' },
    }),
  )

const introspectionOf = (client: OpenedClient, made: ClientProof, token: Secret<'access_token'>): Promise<Template> =>
  templateOf(client, made, (known, proof, options) =>
    introspectionRequest(ANYWHERE, known, proof, token.reveal(), {
      ...options,
      additionalParameters: { token_type_hint: 'access_token' },
    }),
  )

interface Captured {
  readonly headers: Record<string, string>
  readonly body: URLSearchParams
}

/** Runs a builder up to the moment in which it would send. */
async function templateOf(
  client: OpenedClient,
  made: ClientProof,
  build: (
    known: { readonly client_id: string },
    proof: ClientAuth,
    options: { [customFetch]: (url: string, sent: Captured) => Promise<Response> },
  ) => Promise<Response>,
): Promise<Template> {
  const captured: Captured[] = []
  try {
    await build({ client_id: client.clientId }, asClientAuth(made), {
      [customFetch]: (_url, sent) => {
        captured.push(sent)
        return Promise.resolve(new Response(null, { status: 204 }))
      },
    })
  } catch {
    // Below: without what it would have sent there is nothing to go on with.
  }
  const [sent] = captured
  if (sent === undefined) {
    throw new TokenError('invalid_input', `client "${client.id}" cannot be used: its id or its secret is missing`, {
      subject: client.id,
    })
  }
  return {
    headers: { ...sent.headers, accept: 'application/json', 'user-agent': USER_AGENT },
    parameters: sent.body,
  }
}

function filled(template: Template, shape: RequestShape, form: Form, presented: Presented): Outgoing {
  const parameters = new URLSearchParams(template.parameters)
  for (const [name, value] of Object.entries(shape.parameters)) parameters.set(name, value)
  if (presented.kind === 'refresh_token') parameters.set('refresh_token', presented.refreshToken.reveal())
  if (form.scope !== null) parameters.set('scope', form.scope.replaceAll(' ', shape.scopeSeparator))
  for (const resource of form.resources) parameters.append('resource', resource)
  return outgoing({ ...template.headers, ...lowerCased(shape.headers) }, parameters, shape.encoding)
}

/** Names of headers are compared without regard to case, members of an object are not. */
const lowerCased = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

function outgoing(
  headers: Readonly<Record<string, string>>,
  parameters: URLSearchParams,
  encoding: RequestShape['encoding'],
): Outgoing {
  if (encoding === 'form') return { headers, body: parameters.toString() }
  const members = [...new Set(parameters.keys())].map((name) => {
    const values = parameters.getAll(name)
    return [name, values.length === 1 ? values[0] : values]
  })
  return {
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(Object.fromEntries(members)),
  }
}

// ---- reading -------------------------------------------------------------------------------------------------------

/** One member of a JSON object; undefined where there is none, or no object. */
function memberOf(answer: ResponseSeen, name: 'active' | 'error'): unknown {
  try {
    const body: unknown = JSON.parse(answer.body.reveal())
    return typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
  } catch {
    return undefined
  }
}
