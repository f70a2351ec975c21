/**
 * Whether a request is meant for this server: by its `Host`, which a web page that had a name re-bound to loopback
 * cannot choose, and by its `Origin`, which a browser adds for pages of other sites.
 */
import type { IncomingMessage } from 'node:http'
import { isIPv4, isIPv6 } from 'node:net'
import { HttpProblem } from './problem.ts'
import type { HttpSettings } from './settings.ts'

/** The end of the connection that is ours. */
export interface LocalEnd {
  readonly localAddress?: string | undefined
}

export interface Addressed {
  /** @throws HttpProblem `malformed_request`, `host_refused`, `origin_refused` */
  check(request: Pick<IncomingMessage, 'method' | 'url' | 'headers'> & { readonly socket: LocalEnd }): void
  /** Where the caller finds this server: the public URL, else what it wrote into `Host`. Without a slash at the end. */
  baseUrl(host: string | undefined, protocol: string): string
}

const REMEMBERED_MAX = 1000

export function createAddressed({
  publicUrl,
  allowedHosts,
}: Pick<HttpSettings, 'publicUrl' | 'allowedHosts'>): Addressed {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()))
  const publicOrigin = publicUrl === null ? null : new URL(publicUrl)
  if (publicOrigin !== null) allowed.add(publicOrigin.host.toLowerCase())
  /** Hosts that were found good: few, and each is compared once. */
  const good = new Set<string>()

  const isGood = (host: string): boolean => {
    if (good.has(host)) return true
    const lower = host.toLowerCase()
    const name = nameIn(lower)
    if (name === null || !(isLoopback(name) || allowed.has(lower) || allowed.has(name))) return false
    if (good.size < REMEMBERED_MAX) good.add(host)
    return true
  }

  const isGoodTarget = (target: string): boolean => {
    const host = target === '*' ? undefined : /^https?:\/\/([^/?#]*)/i.exec(target)?.[1]
    return host === undefined || isGood(host)
  }

  return {
    check({ method, url = '/', headers, socket }) {
      const { host, origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode } = headers
      if (host === undefined || host.includes(',')) throw noSingleHost()
      // Probes and scrapers ask by address. A page cannot be re-bound to one: it takes a name.
      if (!isGood(host) && !isAddressOf(host, socket)) throw unknownHost()
      // The absolute form, as a proxy is asked: its host is the one that counts (RFC 9112 section 3.2.2).
      if (!url.startsWith('/') && !isGoodTarget(url)) throw unknownHost()
      if (origin === undefined) {
        // A browser says where a page is from that asks; `none` is a person who typed the address.
        const elsewhere = site !== undefined && site !== 'same-origin' && site !== 'none'
        if (elsewhere && !(method === 'GET' && mode === 'navigate' && isFollowed(url))) throw foreign()
        return
      }
      const own = originHost(origin)
      if (own === null || !(own === host.toLowerCase() || own === publicOrigin?.host.toLowerCase())) throw foreign()
    },
    baseUrl: (host, protocol) => publicUrl ?? `${protocol}://${(host ?? '').toLowerCase()}`,
  }
}

/** What a person comes to from elsewhere: by a link in a message, and back from a provider. The page itself says nothing. */
const isFollowed = (url: string): boolean => url === '/' || url.startsWith('/connect/')

const noSingleHost = (): HttpProblem =>
  new HttpProblem('malformed_request', 'a request has one header Host (RFC 9112 section 3.2).')

const unknownHost = (): HttpProblem =>
  new HttpProblem(
    'host_refused',
    'this server is not known under the name in the header Host. Its operator names it with --allowed-host ' +
      '(TOKENKEEP_ALLOWED_HOSTS) or --public-url.',
  )

const foreign = (): HttpProblem =>
  new HttpProblem(
    'origin_refused',
    'a web page of another origin asks, and no token may reach a page: let its server ask.',
  )

/** `host[:port]`, as RFC 9110 section 7.2 has it, without the port; null: not of that form. */
function nameIn(host: string): string | null {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host) ?? []
  return name ?? null
}

/** Whether the host is the very address that the connection came to. */
function isAddressOf(host: string, { localAddress }: LocalEnd): boolean {
  const name = nameIn(host.toLowerCase())?.replace(/^\[|\]$/g, '')
  // A listener for both families has addresses of the older one in this form.
  return name !== undefined && localAddress !== undefined && name === localAddress.replace(/^::ffff:/, '')
}

/** @param name a host as the URL parser writes it */
export function isLoopback(name: string): boolean {
  if (name === 'localhost') return true
  if (name.startsWith('[')) return isIPv6(name.slice(1, -1)) && name === '[::1]'
  return isIPv4(name) && name.startsWith('127.')
}

function originHost(origin: string): string | null {
  const url = URL.parse(origin)
  return url === null || url.origin !== origin.toLowerCase() ? null : url.host
}
