/** What the three endpoints have in common that take a form from a client: read it, and know who sent it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, CallerDesk } from '../caller.ts'
import type { Pressure } from '../pressure.ts'
import { credentialOf, readProof, unknownClient, type ClientProof } from './client-authentication.ts'
import { parseForm, type Form } from './form.ts'
import { OAuthRefusal, otherContentType } from './refusal.ts'

export interface FormEndpoint {
  /** Below `/realms/{realm}/protocol/openid-connect`. */
  readonly path: string
  /** For metrics. */
  readonly operation: string
  /** Tokens are exchanged here: one that is may say who asks, where nothing else does. */
  readonly exchanges: boolean
  /** Answers, at once or later. What it throws is answered, too. */
  handle(asked: AskedByForm, reply: FastifyReply): void
}

export interface AskedByForm {
  readonly caller: Caller
  /** What it proved itself with. */
  readonly by: ClientProof['by']
  readonly form: Form
  /** Nobody has looked whether there is such a realm. */
  readonly realm: string
  readonly request: FastifyRequest
}

export interface FormEndpointSetup {
  readonly desk: CallerDesk
  readonly pressure: Pressure
}

/** For a scope of its own: from now on it takes forms and nothing else. */
export function takeForms(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  )
  scope.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    done(otherContentType())
  })
}

export function registerFormEndpoint(scope: FastifyInstance, setup: FormEndpointSetup, endpoint: FormEndpoint): void {
  const { desk, pressure } = setup

  const identified = async (proof: ClientProof, address: string): Promise<Caller> => {
    const caller = await desk.identify(credentialOf(proof), address)
    if (caller === null) throw unknownClient(proof)
    return caller
  }

  scope.route({
    method: 'POST',
    url: `/realms/:realm/protocol/openid-connect/${endpoint.path}`,
    config: { operation: endpoint.operation },
    handler(request, reply) {
      pressure.check()
      const form = formOf(request)
      const proof = readProof(request.headers.authorization, form, endpoint)
      const { realm } = request.params as { realm: string }
      const handle = (caller: Caller): void => {
        // The right key under another id is not this client's.
        if (proof.id !== null && caller.apiKey.id !== proof.id) throw unknownClient(proof)
        endpoint.handle({ caller, by: proof.by, form, realm, request }, reply)
      }
      const caller = desk.remembered(credentialOf(proof))
      if (caller !== undefined) handle(caller)
      else
        void identified(proof, request.ip)
          .then(handle)
          .catch((error: unknown) => reply.send(error))
    },
  })
}

function formOf({ body, url }: FastifyRequest): Form {
  if (typeof body !== 'string') throw otherContentType()
  const query = url.indexOf('?')
  // RFC 6749 section 2.3.1: credentials must not stand in the URL, and tokens are as good as credentials.
  if (query !== -1 && query < url.length - 1) {
    throw new OAuthRefusal(
      'invalid_request',
      'parameters belong into the body. What stood in the URL has been seen by the logs on its way: replace any secret that was in it',
    )
  }
  return parseForm(body)
}
