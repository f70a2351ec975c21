/**
 * How a connection to a provider is opened: name, address rules, TCP, TLS, each attempt anew.
 *
 * No pool, no keep-alive, no proxy, no retry: whatever fails here, nothing was sent.
 */
import { lookup as systemLookup } from 'node:dns/promises'
import { connect, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import type { Clock, DurationMs, NotSent, NotSentBecause } from '@tokenkeep/core'
import { literalAddress, mayConnect, readProviderUrl } from './address-rules.ts'
import type { ClientTls } from './client-proof.ts'
import { Line } from './line.ts'

/** Where a connection leads. */
export interface Host {
  /** Its path does not matter. */
  readonly url: URL
  readonly allowPrivateNetwork: boolean
  /** What the client shows in the TLS handshake (RFC 8705); absent or null: nothing. */
  readonly tls?: ClientTls | null
}

/** Where a line leads, and the one request that it is for. */
export interface Destination extends Host {
  readonly method: 'GET' | 'POST'
}

/**
 * Opens a line.
 *
 * @param withinMs for everything from the name's lookup to the end of the TLS handshake
 * @returns the line, or why there is none; never rejects
 */
export type Dial = (to: Destination, withinMs: DurationMs) => Promise<Line | NotSent>

/** The same without a line over it. */
export type OpenSocket = (to: Host, withinMs: DurationMs) => Promise<OpenedSocket | NotSent>

export interface OpenedSocket {
  readonly kind: 'opened'
  /** The socket that is written to, TLS or not. */
  readonly socket: Socket
  /** The TCP socket below it, or the same. */
  readonly tcp: Socket
}

export interface DialSetup {
  readonly clock: Clock
  /** PEM certificates that are trusted beside those that Node trusts by default. */
  readonly extraCertificates?: readonly string[] | undefined
  /** How names become addresses; absent: as the operating system does it. It rejects where a name is not found. */
  readonly lookup?: ((hostname: string) => Promise<readonly Resolved[]>) | undefined
}

/** An address, and its family: 4 or 6. */
export interface Resolved {
  readonly address: string
  readonly family: number
}

export function createDial(setup: DialSetup): Dial {
  const openSocket = createOpenSocket(setup)
  return async (to, withinMs) => {
    const opened = await openSocket(to, withinMs)
    return opened.kind === 'opened' ? Line.over(opened.socket, opened.tcp, to, setup.clock) : opened
  }
}

export function createOpenSocket(setup: DialSetup): OpenSocket {
  const extra = setup.extraCertificates ?? []
  const ownContext = trust(extra)
  const lookup = setup.lookup ?? ((hostname: string) => systemLookup(hostname, { all: true }))
  return async (to, withinMs) => {
    const secureContext = to.tls == null ? ownContext : showing(to.tls, extra)
    if (secureContext === null) return notSent('client')
    // Without TLS there is nothing that could prove it, and a server that believes the id alone would be told a token.
    if (to.tls != null && to.url.protocol !== 'https:') return notSent('tls')
    const giveUp = new AbortController()
    const alarm = setup.clock.alarm(withinMs)
    const opening = open(to, { secureContext, lookup, giveUp: giveUp.signal })
    const first = await Promise.race([opening, alarm.rung.then(() => 'timeout' as const)])
    if (first === 'timeout') {
      giveUp.abort()
      // It may have been opened in the very turn in which the alarm rang.
      void opening.then((late) => late.kind === 'opened' && late.socket.destroy())
      return notSent('timeout')
    }
    alarm.cancel()
    return first
  }
}

/** Without certificates of our own Node's default stays in force, NODE_EXTRA_CA_CERTS included. */
function trust(extra: readonly string[]): SecureContext | undefined {
  return extra.length === 0 ? undefined : createSecureContext({ ca: [...getCACertificates('default'), ...extra] })
}

/** The same trust, with the client's certificate. Null: it cannot be used. */
function showing({ chain, key }: ClientTls, extra: readonly string[]): SecureContext | null {
  const ca = extra.length === 0 ? {} : { ca: [...getCACertificates('default'), ...extra] }
  try {
    return createSecureContext({ ...ca, cert: chain, key: key.reveal() })
  } catch {
    // The library's error may say more about the key than anybody should read.
    return null
  }
}

interface Means {
  readonly secureContext: SecureContext | undefined
  readonly lookup: NonNullable<DialSetup['lookup']>
  readonly giveUp: AbortSignal
}

async function open(to: Host, { secureContext, lookup, giveUp }: Means): Promise<OpenedSocket | NotSent> {
  const { url } = to
  // A stored or discovered URL is checked like a written one: rules can have changed since.
  if ('wrong' in readProviderUrl(url.href, to)) return notSent('address_refused')
  const addresses = await addressesOf(url, lookup)
  if (addresses === null) return notSent('dns')
  // One forbidden address among allowed ones is how a rebinding name looks, so it refuses them all.
  if (!addresses.every(({ address }) => mayConnect(url, address, to))) return notSent('address_refused')

  const tcp = await established(tcpTo(url, addresses), 'connect', giveUp)
  if (tcp.failed !== null) return notSent(tcp.failed === 'ETIMEDOUT' ? 'timeout' : 'refused')
  if (url.protocol === 'http:') return { kind: 'opened', socket: tcp.socket, tcp: tcp.socket }

  const tls = await established(tlsOver(tcp.socket, url, secureContext), 'secureConnect', giveUp)
  if (tls.failed !== null) {
    tcp.socket.destroy()
    return notSent('tls')
  }
  return { kind: 'opened', socket: tls.socket, tcp: tcp.socket }
}

export const notSent = (because: NotSentBecause): NotSent => ({ kind: 'not_sent', because })

async function addressesOf(url: URL, lookup: Means['lookup']): Promise<readonly Resolved[] | null> {
  const literal = literalAddress(url)
  if (literal !== null) return [{ address: literal, family: literal.includes(':') ? 6 : 4 }]
  try {
    const found = await lookup(url.hostname)
    return found.length === 0 ? null : found
  } catch {
    return null
  }
}

function tcpTo(url: URL, addresses: readonly Resolved[]): Socket {
  // The addresses that were checked are the ones that are used: the socket does not look the name up again.
  const pinned: LookupFunction = (_host, options, answer) => {
    const [first] = addresses
    if (options.all === true || first === undefined) answer(null, [...addresses])
    else answer(null, first.address, first.family)
  }
  return connect({
    host: literalAddress(url) ?? url.hostname,
    port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
    lookup: pinned,
    autoSelectFamily: true,
    noDelay: true,
  })
}

function tlsOver(tcp: Socket, url: URL, secureContext: SecureContext | undefined): Socket {
  const literal = literalAddress(url)
  return connectTls({
    socket: tcp,
    host: literal ?? url.hostname,
    // RFC 6066 section 3: no addresses as server names.
    ...(literal === null ? { servername: url.hostname } : {}),
    ...(secureContext === undefined ? {} : { secureContext }),
    ALPNProtocols: ['http/1.1'],
  })
}

/** Waits for a socket's `event`, or for its end; `failed` is the error's code, or empty where there was none. */
function established<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  giveUp: AbortSignal,
): Promise<{ readonly socket: S; readonly failed: string | null }> {
  return new Promise((resolve) => {
    let code = ''
    const abandoned = (): void => {
      socket.destroy()
    }
    const settle = (failed: string | null): void => {
      giveUp.removeEventListener('abort', abandoned)
      resolve({ socket, failed })
    }
    // Never removed: an error event that nobody listens to would end the process.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? ''
    })
    socket.once('close', () => settle(code))
    socket.once(event, () => settle(null))
    if (giveUp.aborted) abandoned()
    else giveUp.addEventListener('abort', abandoned)
  })
}
