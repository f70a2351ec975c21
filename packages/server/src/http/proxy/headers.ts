/**
 * Which headers pass between a caller and an API.
 *
 * @see RFC 9110 section 7.6.1 (those of one connection), section 7.6.3 (Via), section 10.1.1 (Expect)
 */
import type { HeaderList } from '@tokenkeep/node'
import { SECURITY_HEADERS } from '../security-headers.ts'

/** One of the base URLs of the connection's provider. */
export const BASE_URL_HEADER = 'tokenkeep-base-url'

/** Of one connection, whether or not `Connection` names them. */
const OF_A_CONNECTION: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]

/** What is said to this server, or says something about the caller that the API need not know. */
const NOT_TO_THE_API: ReadonlySet<string> = new Set([
  ...OF_A_CONNECTION,
  // The API key, and whatever else proves something to us. Host, Expect and what carries the token: see `keep.forward`.
  'authorization',
  'cookie',
  'cookie2',
  BASE_URL_HEADER,
  // Where the caller and the proxies before us are, and which page it was.
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-url',
  'x-original-host',
  'x-rewrite-url',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-ipcountry',
  'fastly-client-ip',
  'origin',
  'referer',
])
const NOT_TO_THE_API_BEGINS = /^(x-forwarded-|sec-fetch-)/

/** What would speak to a browser for our origin, where the dashboard has its session; and what we say ourselves. */
const NOT_TO_THE_CALLER: ReadonlySet<string> = new Set([
  ...OF_A_CONNECTION,
  'set-cookie',
  'set-cookie2',
  'clear-site-data',
  'service-worker-allowed',
  'strict-transport-security',
  'public-key-pins',
  'public-key-pins-report-only',
  'alt-svc',
  'nel',
  'report-to',
  'reporting-endpoints',
  'origin-agent-cluster',
  'timing-allow-origin',
  'x-permitted-cross-domain-policies',
  'p3p',
  'refresh',
  'sourcemap',
  'x-sourcemap',
  'x-frame-options',
  'x-xss-protection',
  'permissions-policy',
  'feature-policy',
  'document-policy',
  'speculation-rules',
  'supports-loading-mode',
  'accept-ch',
  'critical-ch',
  'content-security-policy-report-only',
  'cross-origin-opener-policy',
  'cross-origin-embedder-policy',
  'proxy-status',
  // Written here.
  ...Object.keys(SECURITY_HEADERS),
])
const NOT_TO_THE_CALLER_BEGINS = /^(access-control-|cross-origin-|sec-)/

/** @param raw names and values in turn, as Node has them */
export function headersToApi(raw: readonly string[]): HeaderList {
  const given = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as const] : []))
  const named = namedByConnection(given)
  const passing = given.filter(([name]) => {
    const lower = name.toLowerCase()
    return !NOT_TO_THE_API.has(lower) && !NOT_TO_THE_API_BEGINS.test(lower) && !named.has(lower)
  })
  return [...passing, ['via', '1.1 tokenkeep']]
}

export function headersToCaller(given: HeaderList, status: number): HeaderList {
  const named = namedByConnection(given)
  const passing = given.filter(([name]) => {
    const lower = name.toLowerCase()
    return !NOT_TO_THE_CALLER.has(lower) && !NOT_TO_THE_CALLER_BEGINS.test(lower) && !named.has(lower)
  })
  return [
    ...withOneFraming(passing, given),
    ...Object.entries({ ...SECURITY_HEADERS, ...OF_A_FOREIGN_ANSWER }),
    // Tells it from an answer of ours, which can have the same status (RFC 9209 section 2.1.2).
    ['proxy-status', `tokenkeep; received-status=${status}`],
  ]
}

/** Whatever it is, a browser that shows it gives it no origin and runs nothing of it. */
const OF_A_FOREIGN_ANSWER = {
  'content-security-policy': `${SECURITY_HEADERS['content-security-policy']}; sandbox`,
} as const

/** RFC 9112 section 6.3: beside chunks a length does not count. */
function withOneFraming(passing: HeaderList, given: HeaderList): HeaderList {
  const chunked = given.some(([name]) => name.toLowerCase() === 'transfer-encoding')
  return chunked ? passing.filter(([name]) => name.toLowerCase() !== 'content-length') : passing
}

/** Whatever it names is of this connection alone; but for the length, without which nobody could tell the end. */
function namedByConnection(given: HeaderList): ReadonlySet<string> {
  const values = given.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value)
  const named = values.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase())
  return new Set(named.filter((name) => name !== 'content-length'))
}
