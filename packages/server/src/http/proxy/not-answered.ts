/** What a caller is told where an API did not answer. */
import { assertNever, TokenError } from '@tokenkeep/core'
import type { NotAnswered, NotAnsweredBecause } from '@tokenkeep/node'
import { HttpProblem } from '../problem.ts'

/** The names of RFC 9209 section 2.3. */
const PROXY_ERROR = {
  dns: 'dns_error',
  address_refused: 'destination_ip_prohibited',
  refused: 'connection_refused',
  tls: 'tls_protocol_error',
  connect_timeout: 'connection_timeout',
  closed: 'connection_terminated',
  malformed: 'http_protocol_error',
  silent: 'http_response_timeout',
  body_late: 'http_request_error',
} as const satisfies Record<NotAnsweredBecause, string>

/** For the header `Proxy-Status`. */
export const proxyStatusOf = (because: NotAnsweredBecause): string => `tokenkeep; error=${PROXY_ERROR[because]}`

export function problemOf({ provider, because }: NotAnswered): HttpProblem | TokenError {
  const api = `the API of provider "${provider}"`
  switch (because) {
    case 'dns':
      return new HttpProblem('api_unreachable', `the name of ${api} was not found. Nothing was sent.`)
    case 'refused':
      return new HttpProblem('api_unreachable', `${api} takes no connection. Nothing was sent.`)
    case 'tls':
      return new HttpProblem('api_unreachable', `TLS with ${api} did not come about. Nothing was sent.`)
    case 'connect_timeout':
      return new HttpProblem('api_unreachable', `${api} did not take a connection in time. Nothing was sent.`)
    case 'address_refused':
      return new TokenError(
        'provider_refused',
        `${api} leads into a private or special network. Nothing was sent. Its operator sets allowPrivateNetwork: true if it really is there.`,
        { subject: provider },
      )
    case 'closed':
      return new HttpProblem(
        'api_no_answer',
        `${api} ended the connection without an answer: whether it did what was asked is not known.`,
      )
    case 'malformed':
      return new HttpProblem('api_no_answer', `what ${api} answered is no HTTP that can be handed on.`)
    case 'silent':
      return new HttpProblem(
        'api_timeout',
        `${api} did not answer in time: whether it does what was asked is not known.`,
      )
    case 'body_late':
      return new HttpProblem('request_timeout', 'the body did not arrive whole in time.')
    default:
      return assertNever(because)
  }
}
