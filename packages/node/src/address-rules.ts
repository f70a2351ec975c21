/**
 * Where a provider's URLs may point: `https`, and not into private networks.
 *
 * Asked twice: when a provider is put, about what is written in the URL, and when a connection is opened, about the
 * addresses that the name resolved to. The connection then goes to one of exactly those addresses, so that a name which
 * changes its answer in between (DNS rebinding) gains nothing.
 */
import { BlockList, isIP } from 'node:net'

/** What one provider is allowed beyond the public Internet. */
export interface AddressRules {
  /** Its servers stand in a private network: every address is allowed. Plain `http` stays limited to loopback. */
  readonly allowPrivateNetwork: boolean
}

const URL_LENGTH_MAX = 2000

/**
 * Reads a URL that tokens or client secrets are sent to.
 *
 * @param text an absolute URL; `http` only for `localhost`, 127.0.0.0/8 and [::1]
 * @returns the URL, or the rest of a sentence that begins with the URL's name; it repeats the host at most
 * @see RFC 6749 section 3.2 (TLS, no fragment); RFC 6890 and the IANA special-purpose registries (addresses)
 */
export function readProviderUrl(text: unknown, rules: AddressRules): { url: URL } | { wrong: string } {
  if (typeof text !== 'string' || text === '') return { wrong: 'must be an absolute URL, as a string' }
  if (text.length > URL_LENGTH_MAX) {
    return { wrong: `must have at most ${URL_LENGTH_MAX} characters, this one has ${text.length}` }
  }
  // The URL parser drops tabs and line feeds in silence; what is sent should be what was read.
  if (/[\s\p{C}]/u.test(text)) return { wrong: 'must not contain white space or control characters' }
  const url = URL.parse(text)
  if (url === null) return { wrong: 'must be an absolute URL such as https://id.example.org/token' }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { wrong: 'must begin with https://' }
  if (url.username !== '' || url.password !== '') {
    return { wrong: 'must not contain a user name or password: credentials belong to the client' }
  }
  if (url.hash !== '' || text.includes('#')) return { wrong: 'must not have a fragment (#...)' }
  if (isLoopbackHost(url)) return { url }
  if (url.protocol === 'http:') {
    return {
      wrong: `must begin with https://, because secrets are sent there; http:// is for localhost, 127.0.0.1 and [::1] only, not for ${url.hostname}`,
    }
  }
  const address = literalAddress(url)
  if (address !== null && !isPublic(address) && !rules.allowPrivateNetwork) {
    return {
      wrong: `points into a private or special network (${address}); set allowPrivateNetwork: true if that provider really is there`,
    }
  }
  return { url }
}

/** Whether the host is literally this machine: the name `localhost`, or a loopback address. */
export function isLoopbackHost(url: URL): boolean {
  if (url.hostname === 'localhost') return true
  const address = literalAddress(url)
  return address !== null && isLoopback(address)
}

/** The host, if it is an address and not a name; IPv6 without its brackets. */
export function literalAddress(url: URL): string | null {
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return isIP(host) === 0 ? null : host
}

/**
 * Whether a connection for this URL may go to an address that its host resolved to.
 *
 * @param address an address as resolvers write it, also with an IPv6 zone
 */
export function mayConnect(url: URL, address: string, rules: AddressRules): boolean {
  // `localhost` that resolves to another machine would carry secrets there in clear text.
  if (isLoopbackHost(url)) return isLoopback(address)
  return rules.allowPrivateNetwork || isPublic(address)
}

type Subnet = readonly [address: string, prefix: number]

// Two lists for each question: asked about an IPv4 address, Node's BlockList would also match it against ::ffff:0:0/96.
const listOf = (family: 'ipv4' | 'ipv6', subnets: readonly Subnet[]): BlockList => {
  const list = new BlockList()
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, family)
  return list
}

const LOOPBACK_4 = listOf('ipv4', [['127.0.0.0', 8]])
const LOOPBACK_6 = listOf('ipv6', [['::1', 128]])

const NOT_PUBLIC_4 = listOf('ipv4', [
  ['0.0.0.0', 8], // this network; Linux connects 0.0.0.0 to itself
  ['10.0.0.0', 8], // RFC 1918
  ['100.64.0.0', 10], // carrier-grade NAT, RFC 6598
  ['127.0.0.0', 8], // loopback
  ['169.254.0.0', 16], // link-local; cloud metadata services live at 169.254.169.254
  ['172.16.0.0', 12], // RFC 1918
  ['192.0.0.0', 24], // protocol assignments, RFC 6890
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // RFC 1918
  ['198.18.0.0', 15], // benchmarks, RFC 2544
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, and broadcast
])

const NOT_PUBLIC_6 = listOf('ipv6', [
  ['::', 96], // unspecified, loopback, and IPv4-compatible
  ['::ffff:0:0', 96], // IPv4-mapped: resolvers do not answer these, so somebody wrote one to slip through
  ['64:ff9b:1::', 48], // NAT64 for local use, RFC 8215
  ['100::', 64], // discard
  ['2001::', 23], // protocol assignments, Teredo among them
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4 carries an IPv4 address
  ['3fff::', 20], // documentation, RFC 9637
  ['5f00::', 16], // segment routing, RFC 9602
  ['fc00::', 7], // unique local
  ['fe80::', 10], // link-local
  ['fec0::', 10], // site-local
  ['ff00::', 8], // multicast
])

function isLoopback(address: string): boolean {
  const family = isIP(address)
  return family === 4 ? LOOPBACK_4.check(address, 'ipv4') : family === 6 && LOOPBACK_6.check(address, 'ipv6')
}

function isPublic(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !NOT_PUBLIC_4.check(address, 'ipv4')
  // An address with a zone belongs to a link of this machine, whatever its prefix says.
  if (family !== 6 || address.includes('%')) return false
  const behindNat64 = nat64Target(address)
  return behindNat64 === null ? !NOT_PUBLIC_6.check(address, 'ipv6') : isPublic(behindNat64)
}

/**
 * The IPv4 address inside 64:ff9b::/96 (RFC 6052 section 2.1); null for every other address.
 *
 * On networks without IPv4 the resolver makes these for public names, so the address inside is what must be public.
 */
function nat64Target(address: string): string | null {
  // The URL parser writes every IPv6 address in the one form of RFC 5952.
  const groups = /^\[64:ff9b::(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})?\]$/.exec(
    URL.parse(`http://[${address}]/`)?.hostname ?? '',
  )
  if (groups === null) return null
  const [high, low] = [groups[1] ?? '0', groups[2] ?? '0'].map((group) => Number.parseInt(group, 16))
  return [high, low].flatMap((group = 0) => [group >> 8, group & 0xff]).join('.')
}
