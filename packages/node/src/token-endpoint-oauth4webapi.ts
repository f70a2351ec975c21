/**
 * The token endpoint over our own lines; oauth4webapi builds the requests (RFC 6749 sections 2.3.1, 4.4 and 6, RFC 7523
 * section 2.1, RFC 8693, RFC 7009, RFC 7662).
 *
 * Only its request builders are used. Its verdicts are not: it puts whole token responses into the `cause` of its
 * errors, and answers are judged by the core. No error of it leaves this file.
 */
import {
  assertNever,
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
  genericTokenEndpointRequest,
  refreshTokenGrantRequest,
  type AuthorizationServer,
  type ClientAuth,
} from 'oauth4webapi'
import { memberOf } from './answer-member.ts'
import { asClientAuth, type ClientProof } from './client-proof.ts'
import { askAsClient, lowerCased, proofFor, showsCertificate } from './client-request.ts'
import { notSent } from './dial.ts'
import type { ProofOf } from './dpop-proof.ts'
import type { EndpointName } from './endpoint-discovery.ts'
import { materialOf, type SourceToken } from './grant-material.ts'
import { Line, type Outgoing } from './line.ts'
import { outgoing } from './outgoing.ts'
import { ASKING_HEADERS, type ProviderAccess } from './provider-access.ts'

// Revocation and introspection can be asked again at any time, so one plain deadline is enough for them.
const QUESTION_DEADLINE_MS = fromSeconds(10)

/** What a line carries until it is presented: the request as it goes out, but for scope, resource and refresh token. */
interface Prepared {
  readonly line: Line
  readonly grantType: GrantType
  readonly template: Template
  readonly shape: RequestShape
  /** The proof of a key, where it proves one. */
  readonly dpop: { readonly dpop?: string }
  readonly asks: Pick<ProofOf, 'url' | 'nonces'>
}

interface Template {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: URLSearchParams
}

/**
 * Talks to token, revocation and introspection endpoints: each request over a fresh HTTP/1.1 connection, without
 * redirects, retries or proxies.
 */
export function createTokenEndpoint(access: ProviderAccess, source: SourceToken = noSource): TokenEndpoint {
  const { clock, dial, discovery, proofs } = access
  const prepared = new WeakMap<LineOfPort, Prepared>()

  /** Asks an endpoint beside the token endpoint about one token; null: no answer. */
  const ask = async (
    provider: Provider,
    client: OpenedClient,
    endpoint: EndpointName,
    token: Secret<'refresh_token'> | Secret<'access_token'>,
  ): Promise<ResponseSeen | 'unsupported' | null> => {
    const parameters = new URLSearchParams({ token: token.reveal(), token_type_hint: token.kind })
    const answer = await askAsClient(access, { provider, client, endpoint, parameters }, QUESTION_DEADLINE_MS)
    if (answer === 'none') return 'unsupported'
    // A client without its secret can ask nothing; that is said where it matters, when it connects.
    return answer === 'failed' || answer === 'unusable' ? null : answer
  }

  return {
    awaitSource: async (id) => void (await source(id, null)),

    async connect(provider, client, grant, withinMs, dpopKey) {
      const { grantType, grantRequest } = grant
      const startedAt = clock.now()
      const leftMs = (): DurationMs => ms(withinMs - since(startedAt.mono, clock.now().mono))
      const elsewhere = grantType === 'refresh_token' && provider.refreshEndpoint !== null
      const name = elsewhere ? 'refreshEndpoint' : 'tokenEndpoint'
      const url = await discovery.find(provider, name, withinMs, { mtls: showsCertificate(client) })
      if (!(url instanceof URL)) return notSent('discovery')
      if (leftMs() <= 0) return notSent('timeout')
      const proves = grantRequest?.clientAuthentication ?? true
      const proof = proves ? await proofFor(access, { provider, client }, leftMs()) : NO_PROOF
      if ('unusable' in proof) return notSent(proof.unusable)
      const of = { provider, client, grant, tokenEndpoint: url, now: clock.now().wall }
      const material = await materialOf(of, (id) => source(id, leftMs()))
      if (typeof material === 'string') return notSent(material)
      const template = await templateFor(client, proof, grantType, material)
      const asks = { method: 'POST', url, nonces: `server:${provider.id}` } as const
      const dpop = dpopKey == null ? {} : { dpop: await proofs.make(dpopKey, asks) }
      if (leftMs() <= 0) return notSent('timeout')
      const { tls } = proof
      const to = { url, method: 'POST', allowPrivateNetwork: provider.allowPrivateNetwork, tls } as const
      const line = await dial(to, leftMs())
      if (!(line instanceof Line)) return line
      const handle = { close: () => line.close() } as LineOfPort
      prepared.set(handle, { line, grantType, template, dpop, shape: provider.request, asks })
      return handle
    },

    present(handle, lease, ticket, form) {
      const ready = prepared.get(handle)
      if (ready === undefined) throw new Error('this line was not opened by this token endpoint')
      const { line, grantType, template, dpop, shape } = ready
      const presentation = line.send((now) => {
        const presented = ticket.take(lease, now)
        if (presented === 'over' || presented.kind !== grantType) return 'over'
        const { headers, body } = filled(template, shape, form, presented)
        return { headers: { ...headers, ...dpop }, body }
      })
      // Before whoever waits goes on: a request that is made once more has the nonce then.
      const ever = presentation.ever.then((answer) => {
        if (answer.kind === 'response') proofs.heard(ready.asks, answer.dpopNonce)
        return answer
      })
      return { ever, abandon: () => presentation.abandon() }
    },

    async revoke(provider, client, token) {
      const answer = await ask(provider, client, 'revocationEndpoint', token)
      if (answer === 'unsupported') return 'unsupported'
      if (answer === null) return 'unavailable'
      // RFC 7009 section 2.2: 200, also for a token that it does not know; section 2.2.1: the one error that will not pass.
      if (answer.status >= 200 && answer.status < 300) return 'revoked'
      return answer.status === 400 && memberOf(answer, 'error') === 'unsupported_token_type'
        ? 'unsupported'
        : 'unavailable'
    },

    async introspect(provider, client, token) {
      const answer = await ask(provider, client, 'introspectionEndpoint', token)
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
}

/** Stands where the ticket's refresh token will be: builders are asynchronous, and the ticket is taken in one tick. */
const PLACEHOLDER = 'placeholder'

/** The client says nothing of itself beside its grant. */
const NO_PROOF: ClientProof = { headers: {}, parameters: {}, tls: null }

const noSource: SourceToken = () => Promise.resolve(null)

function templateFor(
  client: OpenedClient,
  made: ClientProof,
  grantType: GrantType,
  material: URLSearchParams,
): Promise<Template> {
  return templateOf(client, made, (known, proof, options) => {
    switch (grantType) {
      case 'refresh_token':
        return refreshTokenGrantRequest(ANYWHERE, known, proof, PLACEHOLDER, options)
      case 'client_credentials':
        return clientCredentialsGrantRequest(ANYWHERE, known, proof, {}, options)
      case 'jwt_bearer':
      case 'token_exchange':
        return genericTokenEndpointRequest(ANYWHERE, known, proof, GRANT_TYPE_URIS[grantType], material, options)
      default:
        return assertNever(grantType)
    }
  })
}

/** RFC 7523 section 8.1, RFC 8693 section 2.1. */
const GRANT_TYPE_URIS = {
  jwt_bearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  token_exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const

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
    headers: { ...sent.headers, ...ASKING_HEADERS },
    parameters: sent.body,
  }
}

function filled(template: Template, shape: RequestShape, form: Form, presented: Presented): Outgoing {
  const parameters = new URLSearchParams(template.parameters)
  for (const [name, value] of Object.entries(shape.parameters)) parameters.set(name, value)
  if (presented.kind === 'refresh_token') parameters.set('refresh_token', presented.refreshToken.reveal())
  if (form.scope !== null) parameters.set('scope', form.scope.replaceAll(' ', shape.scopeSeparator))
  if (form.resources.length > 0) parameters.delete('resource')
  for (const resource of form.resources) parameters.append('resource', resource)
  return outgoing({ ...template.headers, ...lowerCased(shape.headers) }, parameters, shape.encoding)
}
