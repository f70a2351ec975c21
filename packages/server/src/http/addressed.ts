/**
 * Whether a request is meant for this server: by its `Host`, which a web page that had a name re-bound to loopback
 * cannot choose, and by its `Origin`, which a browser adds for pages of other sites.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { HttpProblem } from './problem.ts'
import type { HttpSettings } from './settings.ts'

export interface Addressed {
  /** @throws HttpProblem `host_refused`, `origin_refused` */
  check(headers: Readonly<Record<string, string | readonly string[] | undefined>>): void
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

  return {
    check(headers) {
      const { host, origin, 'sec-fetch-site': site } = headers
      if (typeof host !== 'string' || !isGood(host)) {
        throw new HttpProblem(
          'host_refused',
          'this server is not known under the name in the header Host. Its operator names it with --allowed-host ' +
            '(TOKENKEEP_ALLOWED_HOSTS) or --public-url.',
        )
      }
      if (origin === undefined) {
        if (site === 'cross-site') throw foreign()
        return
      }
      const own = typeof origin === 'string' ? originHost(origin) : null
      if (own === null || !(own === host.toLowerCase() || own === publicOrigin?.host.toLowerCase())) throw foreign()
    },
    baseUrl: (host, protocol) => publicUrl ?? `${protocol}://${(host ?? '').toLowerCase()}`,
  }
}

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

function isLoopback(name: string): boolean {
  if (name === 'localhost') return true
  if (name.startsWith('[')) return isIPv6(name.slice(1, -1)) && name === '[::1]'
  return isIPv4(name) && name.startsWith('127.')
}

function originHost(origin: string): string | null {
  const url = URL.parse(origin)
  return url === null || url.origin !== origin.toLowerCase() ? null : url.host
}
