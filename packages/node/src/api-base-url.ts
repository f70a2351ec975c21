/**
 * Where the tokens of a provider may go: below its `apiBaseUrls`.
 *
 * @see RFC 3986 section 3.3 (paths), section 6.2.2 (what is the same path written otherwise)
 */
import { isLoopbackHost } from './address-rules.ts'

/** Why a token must not go there; null: it may. The URL is not repeated: its query can hold secrets. */
export function whyNotTo(url: URL, provider: string, apiBaseUrls: readonly string[]): string | null {
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

/**
 * Encoded slashes are not separators to us, but to some servers they are: `/v1/..%2fadmin`. Some decode twice, and some
 * take what stands behind a semicolon off first: `/v1/..;/admin`.
 */
function climbs(pathname: string): boolean {
  const seen = pathname.replaceAll(/%(?:25)*(2e|2f|5c|3b)/gi, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
  return /(^|[/\\])\.\.([/\\;]|$)/.test(seen)
}

/**
 * Chooses one of the base URLs.
 *
 * @param asked one of them, as it is listed; absent: the first
 * @returns the base URL, or a sentence that says what is wrong
 */
export function baseUrlOf(
  { id, apiBaseUrls }: { readonly id: string; readonly apiBaseUrls: readonly string[] },
  asked: string | undefined,
): { readonly base: string } | { readonly wrong: string } {
  const [first] = apiBaseUrls
  if (first === undefined) {
    return {
      wrong: `provider "${id}" says no API that its tokens are for: set its apiBaseUrls (CLI: \`tokenkeep provider add --api-base-url\`)`,
    }
  }
  if (asked === undefined) return { base: first }
  const named = URL.parse(asked)?.href
  const base = apiBaseUrls.find((each) => each === named)
  if (base !== undefined) return { base }
  return {
    wrong: `the base URL that was asked for is none of the apiBaseUrls of provider "${id}": name one as it is listed there, or none for the first`,
  }
}

/**
 * The path of a request below a base URL. It is sent as it was written, so it has to mean the same to everybody who reads it.
 *
 * @param path what follows the base: empty, or from its slash on, escaped; without a query
 * @returns the whole path, or how a sentence about the path goes on
 */
export function pathBelow(base: string, path: string): { readonly path: string } | { readonly wrong: string } {
  const wrong = whyNotAppended(path)
  if (wrong !== null) return { wrong }
  const { origin, pathname } = new URL(base)
  const whole = path === '' ? pathname : `${pathname.replace(/\/$/, '')}${path}`
  // What the URL standard would write otherwise, some server or proxy on the way would read otherwise.
  const url = URL.parse(`${origin}${whole}`)
  if (url === null || url.pathname !== whole) return { wrong: 'has a part that must be escaped, or a . as a segment' }
  return isBelow(url, base) ? { path: whole } : { wrong: 'leads out of the base URL' }
}

function whyNotAppended(path: string): string | null {
  if (path !== '' && !path.startsWith('/')) return 'must begin with a slash'
  if (!isEscapedText(path)) return 'has an escape that is none: write % as %25, and escape the bytes of UTF-8'
  if (/%(?:[01][0-9a-f]|7f)/i.test(path)) return 'has a control character'
  if (/^\/(?:\/|%(?:25)*(?:2f|5c))/i.test(path)) return 'begins with two slashes, which would name a host'
  return climbs(path) ? 'has a .. as a segment, or something that some servers take for one' : null
}

function isEscapedText(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
