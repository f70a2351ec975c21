/**
 * A `fetch` that carries a connection's access token: to the provider's APIs only, and once more after a 401.
 *
 * @see RFC 6750 section 2.1 (the header), section 3.1 (what a 401 and a 403 mean); RFC 6749 section 7.1 (token types)
 */
import { TokenError, type Provider } from '@tokenkeep/core'
import { isLoopbackHost } from './address-rules.ts'

export interface FetchForSetup {
  /** An access token that works, refreshed first where needed. */
  readonly token: (connectionId: string) => Promise<{ readonly accessToken: string; readonly tokenType: string }>
  /** An API answered 401 to this access token. */
  readonly rejected: (connectionId: string, accessToken: string) => Promise<unknown>
  /** The connection's provider. */
  readonly provider: (connectionId: string) => Promise<Pick<Provider, 'id' | 'apiBaseUrls'>>
}

/** As the platform's `fetch`. */
export type FetchFor = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/**
 * Makes `fetchFor`.
 *
 * The fetch that it returns writes the `Authorization` header. On a 401 it reports the token; where another one is then
 * handed out, and the body can be sent again, it tries once more and returns that answer. Streams cannot be sent again.
 * A 403 is returned as it is: a new token would have the same scope. Redirects are followed as `fetch` does it, which
 * takes the header off at the border of the origin.
 *
 * @throws TokenError `invalid_input`: plain http, an own `Authorization` header, a URL outside the provider's
 * `apiBaseUrls`, or a token type that is not Bearer; and whatever handing out a token throws
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

  const first = await unlessAborted(setup.token(connectionId), signal)
  const again = sameRequest(asked, input, init)
  const response = await fetch(authorized(asked, first, connectionId))
  if (response.status !== 401 || !answeredBy(response, url, id, apiBaseUrls)) return response

  const second = await anotherToken(setup, connectionId, first.accessToken, signal)
  if (second === null || again === null) return response
  await response.body?.cancel()
  return fetch(authorized(again(), second, connectionId))
}

type Token = Awaited<ReturnType<FetchForSetup['token']>>

/** Why a token must not go there; null: it may. The URL is not repeated: its query can hold secrets. */
function whyNotTo(url: URL, provider: string, apiBaseUrls: readonly string[]): string | null {
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url))) {
    return `a token is sent over https only (http to this machine), not over ${url.protocol}// to ${url.hostname}`
  }
  if (apiBaseUrls.length === 0 || apiBaseUrls.some((base) => isBelow(url, base))) return null
  return `${url.origin}${spelledPath(url)} is outside the apiBaseUrls of provider "${provider}": add its base URL there if its tokens are for that API`
}

const spelledPath = (url: URL): string =>
  url.pathname.length <= 200 ? url.pathname : `${url.pathname.slice(0, 200)}...`

/** The same origin, and the base's path as whole segments. */
function isBelow(url: URL, base: string): boolean {
  const { origin, pathname } = new URL(base)
  const folder = pathname.endsWith('/') ? pathname : `${pathname}/`
  return url.origin === origin && `${url.pathname}/`.startsWith(folder) && !climbs(url.pathname)
}

/** Encoded slashes are not separators to us, but to some servers they are: `/v1/..%2fadmin`. */
function climbs(pathname: string): boolean {
  return /(^|\/|\\)\.\.(\/|\\|$)/.test(
    pathname.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\').replaceAll(/%2e/gi, '.'),
  )
}

/** Whether the answer came from where the token was sent; after a redirect to another origin the header was gone. */
function answeredBy(response: Response, asked: URL, provider: string, apiBaseUrls: readonly string[]): boolean {
  if (!response.redirected) return true
  const url = URL.parse(response.url)
  return url !== null && url.origin === asked.origin && whyNotTo(url, provider, apiBaseUrls) === null
}

/** The request with the token in its header. */
function authorized(request: Request, token: Token, connectionId: string): Request {
  // RFC 6749 section 7.1: a client must not use a token whose type it does not understand.
  if (token.tokenType.toLowerCase() !== 'bearer') {
    throw new TokenError(
      'invalid_input',
      `the access token of connection "${connectionId}" is not a Bearer token, and fetchFor understands no other type`,
      { subject: connectionId },
    )
  }
  request.headers.set('authorization', `Bearer ${token.accessToken}`)
  return request
}

/**
 * Reports the refused token and asks again.
 *
 * @returns null where there is no other token: the caller then gets the 401, which says more about this request than
 * our own trouble with the next token; that is said when the next one is asked for
 */
async function anotherToken(
  setup: FetchForSetup,
  connectionId: string,
  refused: string,
  signal: AbortSignal,
): Promise<Token | null> {
  try {
    await setup.rejected(connectionId, refused)
    const token = await unlessAborted(setup.token(connectionId), signal)
    return token.accessToken === refused ? null : token
  } catch (error) {
    if (signal.aborted) throw error
    return null
  }
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

/** A caller that gives up goes at once. The refresh that it waited for goes on: it belongs to all. */
async function unlessAborted<Value>(waiting: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([waiting, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
