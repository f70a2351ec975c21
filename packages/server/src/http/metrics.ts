/** What is counted about a running server, for `/metrics`. No label ever holds an id of a connection or anything secret. */
import type { FailureCode, TokenkeepEvent } from '@tokenkeep/core'

export interface Metrics {
  /** An access token was handed out, or was not; called once for each request of a token, so it must be cheap. */
  handOut(by: 'api' | 'drop_in' | 'proxy', outcome: 'ok' | FailureCode): void
  /** A request was answered. */
  answered(operation: string, status: number): void
  /** Why a request was refused before anybody was asked: `unauthorized`, `rate_limited`, `host_refused`, ... */
  refused(because: string): void
  /** What came of a call to an API: `2xx`, `silent`, `broken_off`, `caller_left`, ... */
  proxied(provider: string, outcome: string): void
  /** A logout token or security event came: `accepted`, `known`, `unavailable`, or why it was refused. */
  received(kind: 'logout_token' | 'security_event', outcome: string): void
  heard(event: TokenkeepEvent): void
  /** The exposition for Prometheus, with its content type. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>
}
