/**
 * A `fetch` that carries a connection's access token: to the provider's APIs only, and once more after a 401.
 *
 * @see RFC 6750 section 3.1 (what a 401 and a 403 mean)
 */
import { TokenError, type Provider } from '@tokenkeep/core'
import { whyNotTo } from './api-base-url.ts'
import { saidOfProof } from './api-proofs.ts'
import { anotherToken, unlessAborted, type RefusedTokenSetup } from './refused-token.ts'
import { tokenHeaders, type TokenWritten } from './token-header.ts'

export interface FetchForSetup extends RefusedTokenSetup {
  /** The connection's provider. */
  readonly provider: (connectionId: string) => Promise<Pick<Provider, 'id' | 'apiBaseUrls'>>
}

/** As the platform's `fetch`. */
export type FetchFor = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/**
 * Makes `fetchFor`.
 *
 * The fetch that it returns writes the `Authorization` header, and a proof where the token is bound to a key (RFC 9449). On a 401 it reports the token; where another one is then
 * handed out, and the body can be sent again, it tries once more and returns that answer. Streams cannot be sent again.
 * A 403 is returned as it is: a new token would have the same scope. Redirects are followed as `fetch` does it, which
 * takes the header off at the border of the origin.
 *
 * @throws TokenError `invalid_input`: plain http, an own `Authorization` header, a URL outside the provider's
 * `apiBaseUrls`, or a token type that is neither Bearer nor DPoP; and whatever handing out a token throws
 */
export function createFetchFor(setup: FetchForSetup): (connectionId: string) => FetchFor {
  return (connectionId) => {
    const provider = remembering(() => setup.provider(connectionId))
    return (input, init) => fetchWithToken(setup, connectionId, provider, input, init)
  }
}

type ProviderSeen = Awaited<ReturnType<FetchForSetup['provider']>>

/** While the store is away, what it said last: where tokens are handed out from memory, they can be used, too. */
function remembering(read: () => Promise<ProviderSeen>): () => Promise<ProviderSeen> {
  let last: ProviderSeen | null = null
  return async () => {
    try {
      last = await read()
    } catch (error) {
      if (last === null || !(error instanceof TokenError) || error.code !== 'store_unavailable') throw error
    }
    return last
  }
}

async function fetchWithToken(
  setup: FetchForSetup,
  connectionId: string,
  provider: () => Promise<ProviderSeen>,
  input: string | URL | Request,
  init: RequestInit | undefined,
): Promise<Response> {
  const asked = new Request(input, init)
  const { signal } = asked
  const about = { subject: connectionId }
  if (asked.headers.has('authorization')) {
    throw new TokenError(
      'invalid_input',
      'the request has an Authorization header of its own: leave it out, fetchFor writes it',
      about,
    )
  }
  const { id, apiBaseUrls } = await provider()
  const url = new URL(asked.url)
  const wrong = whyNotTo(url, id, apiBaseUrls)
  if (wrong !== null) throw new TokenError('invalid_input', wrong, about)

  const again = sameRequest(asked, input, init)
  /** One request; where only the nonce of its proof was wanting, once more with it. */
  const send = async (request: Request, token: TokenWritten): Promise<Response> => {
    const use = { connectionId, provider: id, method: request.method, url }
    const hear = (response: Response): Response => {
      const answered = URL.parse(response.url) ?? url
      setup.proofs.heard(id, answered, response.headers.get('dpop-nonce'))
      return response
    }
    const authorized = async (bare: Request): Promise<Request> => {
      for (const [name, value] of Object.entries(await tokenHeaders(token, use, setup.proofs)))
        bare.headers.set(name, value)
      return bare
    }
    const response = hear(await fetch(await authorized(request)))
    if (saidOfProofIn(response) !== 'nonce' || response.redirected || again === null) return response
    await response.body?.cancel()
    return hear(await fetch(await authorized(again())))
  }

  const first = await unlessAborted(setup.token(connectionId), signal)
  const response = await send(asked, first)
  if (response.status !== 401 || !answeredBy(response, url, id, apiBaseUrls)) return response
  // About the proof, not about the token: another token would fare no better.
  if (first.dpopJkt !== undefined && (response.redirected || saidOfProofIn(response) !== null)) return response

  const second = await anotherToken(setup, connectionId, first.accessToken, signal)
  if (second === null || again === null) return response
  await response.body?.cancel()
  return send(again(), second)
}

const saidOfProofIn = ({ status, headers }: Response): ReturnType<typeof saidOfProof> =>
  status === 401 ? saidOfProof(headers.get('www-authenticate'), headers.get('dpop-nonce')) : null

/** Whether the answer came from where the token was sent; after a redirect to another origin the header was gone. */
function answeredBy(response: Response, asked: URL, provider: string, apiBaseUrls: readonly string[]): boolean {
  if (!response.redirected) return true
  const url = URL.parse(response.url)
  return url !== null && url.origin === asked.origin && whyNotTo(url, provider, apiBaseUrls) === null
}

/** How to make the request once more; null: its body is a stream, which is read while it is sent. */
function sameRequest(
  asked: Request,
  input: string | URL | Request,
  init: RequestInit | undefined,
): (() => Request) | null {
  const body = init?.body ?? null
  if (body === null && input instanceof Request && asked.body !== null) {
    const copy = asked.clone()
    return () => copy
  }
  // Made anew, not cloned: a clone would hold all that is sent in memory until nobody can ask for it any more.
  return body === null || canBeReadAgain(body) ? () => new Request(input, init) : null
}

const canBeReadAgain = (body: NonNullable<RequestInit['body']>): boolean =>
  typeof body === 'string' ||
  body instanceof ArrayBuffer ||
  ArrayBuffer.isView(body) ||
  body instanceof URLSearchParams ||
  body instanceof FormData ||
  body instanceof Blob
