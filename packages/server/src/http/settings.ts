/** What an operator can set about the HTTP side. `configuration.ts` reads and checks it. */
export interface HttpSettings {
  /** Where callers find this server, as they write it, without a slash at the end; null: nobody said. */
  readonly publicUrl: string | null
  /** Names besides loopback and the public URL's by which callers may address it (`Host`), with or without a port. */
  readonly allowedHosts: readonly string[]
  /** Addresses of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
  readonly bodyBytesMax: number
  /** A request must have arrived whole within this. */
  readonly requestTimeoutMs: number
  /** Requests that one caller may make in 10 s; 0: no limit. */
  readonly callerRequestsPer10s: number
  /** Wrong keys, and links that nobody made, that may come from one address in a minute before it has to wait; 0: no limit. */
  readonly wrongKeysPerMinute: number
  /** An event loop that is later than this sheds load; 0: never. */
  readonly eventLoopDelayMsMax: number
  /** How long a client of the drop-in is kept waiting for a refresh. */
  readonly dropInWaitMs: number
  /** A proxied call on which nothing moves for so long is ended. */
  readonly proxyIdleMs: number
}

export const HTTP_SETTINGS: HttpSettings = {
  publicUrl: null,
  allowedHosts: [],
  trustedProxies: [],
  bodyBytesMax: 64 * 1024,
  requestTimeoutMs: 30_000,
  callerRequestsPer10s: 20_000,
  wrongKeysPerMinute: 60,
  eventLoopDelayMsMax: 1_000,
  // openid-client gives up after 30 s, most others later or never, proxies after 60: each hears from us before that, and
  // no earlier than it must, because a slow provider may still answer.
  dropInWaitMs: 25_000,
  // As common proxies have it. A stream of events sends something more often, if only a comment.
  proxyIdleMs: 60_000,
}
