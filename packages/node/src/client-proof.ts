/**
 * How a client proves itself to its provider: what a request needs beside its own parameters, at whatever endpoint.
 *
 * Made anew for each request: an assertion is used once. One function for each method.
 */
import { randomUUID } from 'node:crypto'
import {
  ClientSecretBasic,
  ClientSecretPost,
  None,
  TlsClientAuth,
  type AuthorizationServer,
  type ClientAuth,
} from 'oauth4webapi'
import {
  assertNever,
  type ClientUnusable,
  type OpenedClient,
  type Provider,
  type Secret,
  type UnixMs,
} from '@tokenkeep/core'
import { readAssertionFile } from './client-assertion-file.ts'

export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, string>>
  /** What the connection is opened with; null: nothing. */
  readonly tls: ClientTls | null
}

/** RFC 8705. */
export interface ClientTls {
  /** PEM, the client's own certificate first. */
  readonly chain: string
  readonly key: Secret<'client_key'>
}

export interface ToProve {
  readonly provider: Pick<Provider, 'issuer' | 'request'>
  readonly client: OpenedClient
  /** Where the provider's token endpoint is, whichever endpoint is asked; null: not known. */
  readonly tokenEndpoint: URL | null
  readonly now: UnixMs
}

/**
 * The proof for one request.
 *
 * @returns it, or why this client can prove nothing now: then nothing is sent
 */
export async function proofOf(of: ToProve): Promise<ClientProof | { readonly unusable: ClientUnusable }> {
  const { tokenEndpointAuthMethod: method } = of.client
  switch (method) {
    case 'client_secret_basic':
      return of.provider.request.basicCredentials === 'raw' ? rawBasic(of) : bySecret(of, ClientSecretBasic)
    case 'client_secret_post':
      return bySecret(of, ClientSecretPost)
    case 'client_secret_jwt':
      return bySecretsAssertion(of)
    case 'private_key_jwt':
      return of.client.clientAssertionFile === null ? byOwnAssertion(of) : byFile(of, of.client.clientAssertionFile)
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      return byCertificate(of)
    case 'none':
      return written(of, None())
    default:
      return assertNever(method)
  }
}

/** For builders of oauth4webapi: writes a proof that was made already. */
export const asClientAuth =
  ({ headers, parameters }: ClientProof): ClientAuth =>
  (_server, _client, body, sent) => {
    for (const [name, value] of Object.entries(parameters)) body.set(name, value)
    for (const [name, value] of Object.entries(headers)) sent.set(name, value)
  }

const UNUSABLE = { unusable: 'client' } as const

// ---- the methods ---------------------------------------------------------------------------------------------------

type Made = Promise<ClientProof | { readonly unusable: ClientUnusable }>

// Its functions want to know a server, and read nothing of it for these methods.
const ANY_SERVER: AuthorizationServer = { issuer: 'https://authorization-server.invalid' }

/** What a function of oauth4webapi writes into a request. */
async function written({ client }: ToProve, prove: ClientAuth, tls: ClientTls | null = null): Made {
  const body = new URLSearchParams()
  const headers = new Headers()
  await prove(ANY_SERVER, { client_id: client.clientId }, body, headers)
  return { headers: Object.fromEntries(headers.entries()), parameters: Object.fromEntries(body.entries()), tls }
}

/** RFC 6749 section 2.3.1. */
async function bySecret(of: ToProve, prove: (secret: string) => ClientAuth): Made {
  const { clientSecret } = of.client
  return clientSecret === null ? UNUSABLE : written(of, prove(clientSecret.reveal()))
}

/** Id and secret as they are: the servers that want this never read RFC 6749 appendix B. */
async function rawBasic({ client }: ToProve): Made {
  if (client.clientSecret === null) return UNUSABLE
  const credentials = Buffer.from(`${client.clientId}:${client.clientSecret.reveal()}`, 'utf8').toString('base64')
  return { headers: { authorization: `Basic ${credentials}` }, parameters: {}, tls: null }
}

/** OpenID Connect Core section 9: signed with the secret itself. */
async function bySecretsAssertion(of: ToProve): Made {
  const { clientSecret, tokenEndpointAuthSigningAlg: alg } = of.client
  const claims = ownClaims(of)
  if (clientSecret === null || claims === null) return UNUSABLE
  const key = new TextEncoder().encode(clientSecret.reveal())
  return asserted(of.client, await signed(claims, { alg: alg ?? 'HS256' }, key, of.now))
}

/** RFC 7523 section 2.2, with the key that signs now. */
async function byOwnAssertion(of: ToProve): Made {
  const claims = ownClaims(of)
  const jwt = claims && (await signedByClient(of, claims))
  return jwt === null ? UNUSABLE : asserted(of.client, jwt)
}

/** The same, signed by somebody else. */
async function byFile({ client }: ToProve, path: string): Made {
  const read = await readAssertionFile(path)
  return read === null ? { unusable: 'client_assertion_file' } : asserted(client, read.reveal())
}

/** RFC 8705 section 2: the handshake proves it, the form says who it is. */
async function byCertificate(of: ToProve): Made {
  const { certificate, keys } = of.client
  if (certificate === null || keys.tls === null) return UNUSABLE
  if (certificate.expiresAt <= of.now) return { unusable: 'client_certificate_expired' }
  return written(of, TlsClientAuth(), { chain: certificate.chain, key: keys.tls })
}

// ---- assertions ----------------------------------------------------------------------------------------------------

/** Long enough to get there and for clocks that differ, and no longer: it may be used by whoever sees it. */
const ASSERTION_SECONDS = 60

type Key = Uint8Array | Awaited<ReturnType<typeof import('jose').importJWK>>

/** RFC 7523 section 3, of a client; null: nobody knows for whom. */
function ownClaims(of: ToProve): Claims | null {
  const aud = audienceOf(of)
  const { clientId } = of.client
  return aud === null ? null : { iss: clientId, sub: clientId, aud }
}

export interface Claims extends Readonly<Record<string, unknown>> {
  readonly iss: string
  readonly sub: string
  /** One, and as a string: of a list the wrong one could be believed. */
  readonly aud: string
}

/**
 * A JWT signed with the client's own key, for one request.
 *
 * @returns it, or null where the client has no key that signs
 */
export async function signedByClient(
  { client, now }: Pick<ToProve, 'client' | 'now'>,
  claims: Claims,
): Promise<string | null> {
  const { signing } = client.keys
  if (signing === null) return null
  const { importJWK } = await import('jose')
  const key = await importJWK(JSON.parse(signing.privateJwk.reveal()) as object, signing.alg)
  return signed(claims, { alg: signing.alg, kid: signing.kid }, key, now)
}

async function signed(
  claims: Claims,
  header: { readonly alg: string; readonly kid?: string },
  key: Key,
  now: UnixMs,
): Promise<string> {
  const issuedAt = Math.floor(now / 1000)
  const { SignJWT } = await import('jose')
  return new SignJWT({
    ...claims,
    jti: randomUUID(),
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + ASSERTION_SECONDS,
  })
    .setProtectedHeader({ ...header, typ: 'JWT' })
    .sign(key)
}

/** RFC 7523 section 3; which of them: `RequestShape.assertionAudience`. */
export function audienceOf(
  { provider, tokenEndpoint }: Pick<ToProve, 'provider' | 'tokenEndpoint'>,
  own: string | null = null,
): string | null {
  const said = own ?? provider.request.assertionAudience
  if (said === 'token_endpoint') return tokenEndpoint?.href ?? null
  return said ?? provider.issuer ?? tokenEndpoint?.href ?? null
}

/** RFC 7521 section 4.2. */
const asserted = ({ clientId }: OpenedClient, jwt: string): ClientProof => ({
  headers: {},
  parameters: {
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: jwt,
  },
  tls: null,
})
