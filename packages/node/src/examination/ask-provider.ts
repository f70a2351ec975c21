/** What a provider says to somebody who brings nothing: its metadata, its clock, its certificates. */
import { request } from 'node:http'
import { TLSSocket } from 'node:tls'
import { ms, type Clock, type DurationMs, type NotSentBecause, type Provider } from '@tokenkeep/core'
import type { AuthorizationServer } from 'oauth4webapi'
import { readBody } from '../answer-body.ts'
import { createOpenSocket, type OpenSocket } from '../dial.ts'
import type { EndpointDiscovery } from '../endpoint-discovery.ts'
import { metadataUrls, readMetadata } from '../issuer-metadata.ts'
import { ASKING_HEADERS } from '../provider-access.ts'
import { differenceByDate, type Dated } from './least-difference.ts'
import type { EndpointSeen, Metadata, MetadataSeen } from './seen.ts'

const BODY_BYTES_MAX = 256 * 1024

export interface ProviderSeen {
  /** Null: it has no issuer, so that there is nothing to compare with. */
  readonly metadata: MetadataSeen | null
  readonly tokenEndpoint: EndpointSeen
}

export async function askProvider(
  provider: Provider,
  { clock, discovery }: { readonly clock: Clock; readonly discovery: EndpointDiscovery },
  withinMs: DurationMs,
): Promise<ProviderSeen> {
  const openSocket = createOpenSocket({ clock })
  const [metadata, tokenEndpoint] = await Promise.all([
    metadataOf(provider, { openSocket, clock }, withinMs),
    tokenEndpointOf(provider, { openSocket, discovery }, withinMs),
  ])
  return { metadata, tokenEndpoint }
}

async function tokenEndpointOf(
  provider: Provider,
  { openSocket, discovery }: { readonly openSocket: OpenSocket; readonly discovery: EndpointDiscovery },
  withinMs: DurationMs,
): Promise<EndpointSeen> {
  const url = await discovery.find(provider, 'tokenEndpoint', withinMs)
  if (!(url instanceof URL)) return { url: null, failed: 'discovery', certificateEndsAt: null }
  const opened = await openSocket({ url, allowPrivateNetwork: provider.allowPrivateNetwork }, withinMs)
  if (opened.kind !== 'opened') return { url: url.href, failed: opened.because, certificateEndsAt: null }
  const certificateEndsAt = endOfCertificate(opened.socket)
  opened.socket.destroy()
  return { url: url.href, failed: null, certificateEndsAt }
}

function endOfCertificate(socket: unknown): number | null {
  if (!(socket instanceof TLSSocket)) return null
  const endsAt = Date.parse(socket.getPeerCertificate().valid_to)
  return Number.isNaN(endsAt) ? null : endsAt
}

// ---- metadata ------------------------------------------------------------------------------------------------------

interface Means {
  readonly openSocket: OpenSocket
  readonly clock: Clock
}

/** The first place that has metadata, else what came of the first place of all. */
async function metadataOf(provider: Provider, means: Means, withinMs: DurationMs): Promise<MetadataSeen | null> {
  const { issuer } = provider
  if (issuer === null || !URL.canParse(issuer)) return null
  let first: MetadataSeen | null = null
  const urls = metadataUrls(new URL(issuer))
  for (const url of urls) {
    const seen = await placeOf(url, provider, issuer, means, ms(withinMs / urls.length))
    if ('endpoints' in seen.says) return seen
    // Somebody else's metadata says more than none.
    if (first === null || ('issuer' in seen.says && seen.says.issuer !== null)) first = seen
  }
  return first
}

async function placeOf(
  url: URL,
  provider: Provider,
  issuer: string,
  means: Means,
  withinMs: DurationMs,
): Promise<MetadataSeen> {
  const answer = await get(url, provider, means, withinMs)
  if (typeof answer === 'string') return { url: url.href, says: { notAsked: answer }, clockMs: null }
  const known = await readMetadata(issuer, answer.status, answer.body)
  const says = known === null ? { issuer: issuerIn(answer.body), status: answer.status } : readKnown(known)
  return { url: url.href, says, clockMs: differenceByDate(answer) }
}

interface Got extends Dated {
  readonly status: number
  readonly body: string
}

/** By a request of its own, because what a cache says of its clock is known only with its `Age`. */
async function get(
  url: URL,
  { allowPrivateNetwork }: Provider,
  { openSocket, clock }: Means,
  withinMs: DurationMs,
): Promise<Got | NotSentBecause | 'no_answer'> {
  const opened = await openSocket({ url, allowPrivateNetwork }, withinMs)
  if (opened.kind !== 'opened') return opened.because
  const { socket } = opened
  const alarm = clock.alarm(withinMs)
  const { promise, resolve } = Promise.withResolvers<Got | 'no_answer'>()
  void alarm.rung.then(() => resolve('no_answer'))
  const sentAt = clock.now()
  const asking = request({
    createConnection: () => socket,
    method: 'GET',
    path: `${url.pathname}${url.search}`,
    setHost: false,
    headers: { Host: url.host, 'Accept-Encoding': 'identity', Connection: 'close', ...ASKING_HEADERS },
  })
  asking.on('error', () => resolve('no_answer'))
  asking.on('close', () => resolve('no_answer'))
  asking.on('response', (response) => {
    const receivedAt = clock.now()
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('error', () => resolve('no_answer'))
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX) socket.destroy()
      else chunks.push(chunk)
    })
    response.on('end', () => {
      const { text } = readBody(Buffer.concat(chunks), response.headers['content-encoding'] ?? '', BODY_BYTES_MAX)
      const { date, age } = response.headers
      const [sent, received] = [sentAt.wall, receivedAt.wall]
      resolve({ status: response.statusCode ?? 0, body: text, date, age, sentAt: sent, receivedAt: received })
    })
  })
  asking.end()
  const got = await promise
  alarm.cancel()
  socket.destroy()
  return got
}

function issuerIn(body: string): string | null {
  try {
    const said: unknown = JSON.parse(body)
    const issuer = typeof said === 'object' && said !== null && 'issuer' in said ? said.issuer : null
    return typeof issuer === 'string' && issuer.length <= 300 ? issuer : null
  } catch {
    return null
  }
}

function readKnown(metadata: AuthorizationServer): Metadata {
  const endpoints = {
    tokenEndpoint: metadata.token_endpoint,
    revocationEndpoint: metadata.revocation_endpoint,
    introspectionEndpoint: metadata.introspection_endpoint,
    authorizationEndpoint: metadata.authorization_endpoint,
    pushedAuthorizationRequestEndpoint: metadata.pushed_authorization_request_endpoint,
    deviceAuthorizationEndpoint: metadata.device_authorization_endpoint,
    jwksUri: metadata.jwks_uri,
    userinfoEndpoint: metadata.userinfo_endpoint,
  }
  return {
    issuer: metadata.issuer,
    endpoints: Object.fromEntries(Object.entries(endpoints).filter(([, url]) => typeof url === 'string')),
    authMethods: words(metadata.token_endpoint_auth_methods_supported),
    signingAlgs: words(metadata.token_endpoint_auth_signing_alg_values_supported),
    dpopAlgs: words(metadata.dpop_signing_alg_values_supported),
    grantTypes: words(metadata.grant_types_supported),
  }
}

const words = (value: unknown): readonly string[] | null =>
  Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string').slice(0, 100) : null
