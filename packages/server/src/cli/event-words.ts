/** What an event says, in one short line for people. */
import type { RecordedEventType } from '@tokenkeep/core'
import type { RecordedEvent } from '@tokenkeep/node'
import type { Colours } from './output.ts'
import { fromNow, span } from './moments.ts'
import type { Paint } from './table.ts'

/** Whose it is: a connection, a client or the whole installation. */
export const subjectOf = ({ connection, client, provider }: RecordedEvent): string =>
  connection ?? (client === null ? '-' : `${client} at ${provider ?? '-'}`)

export function eventPaint(type: RecordedEventType, colours: Colours): Paint {
  switch (type) {
    case 'connection.needs_user':
    case 'connection.blocked':
    case 'provider.misconfigured':
    case 'installation.on_hold':
      return colours.red
    case 'connection.in_doubt':
    case 'connection.suspect':
    case 'connection.expiring':
    case 'connection.signed_out':
    case 'connection.refresh_failed':
    case 'connection.access_token_rejected':
    case 'provider.unreachable':
    case 'provider.rate_limited':
      return colours.yellow
    case 'connection.created':
    case 'connection.refreshed':
    case 'connection.reconnected':
    case 'provider.reachable':
    case 'installation.adopted':
      return colours.green
    case 'connection.updated':
    case 'connection.revoked':
      return colours.dim
    default:
      // Of a server that is newer than this program.
      return colours.reset
  }
}

export function eventDetail({ type, data }: RecordedEvent, now: number): string {
  const word = (name: string): string => (typeof data[name] === 'string' ? data[name] : '')
  const number = (name: string): number | null => (typeof data[name] === 'number' ? data[name] : null)
  const at = (name: string, before: string): string => {
    const moment = number(name)
    return moment === null ? '' : `${before} ${fromNow(moment, now)}`
  }
  const status = number('status') === null ? '' : `HTTP ${String(number('status'))}`
  switch (type) {
    case 'connection.created':
      return word('grantType')
    case 'connection.refreshed':
      return listed(`generation ${String(number('generation') ?? '')}`, at('expiresAt', 'token ends'))
    case 'connection.refresh_failed':
    case 'connection.in_doubt':
      return listed(word('because'), status, at('retryAt', 'again'))
    case 'connection.suspect':
      return listed(`refused ${String(number('refusals') ?? '')} times`, at('retryAt', 'asked again'))
    case 'connection.blocked':
      return listed(word('reason'), word('word'), at('retryAt', 'again'))
    case 'connection.needs_user':
      return word('reason')
    case 'connection.expiring':
      return at('endsAt', 'a person has to sign in before it ends')
    case 'connection.access_token_rejected':
      return data['stillRefused'] === true ? 'also the token that a forced refresh had brought' : ''
    case 'connection.revoked':
      return data['revokedUpstream'] === true ? 'also at the provider' : 'not confirmed by the provider'
    case 'provider.misconfigured':
      return listed(word('word'), at('retryAt', 'again'))
    case 'provider.unreachable':
      return `no answer for ${String(number('connections') ?? '')} connections`
    case 'provider.reachable':
      return `after ${span(number('unreachableMs') ?? 0)}`
    case 'provider.rate_limited':
      return `wants ${span(number('waitMs') ?? 0)}`
    case 'installation.on_hold':
      return word('because')
    case 'installation.adopted':
      return `epoch ${String(number('epoch') ?? '')}`
    case 'connection.signed_out':
    case 'connection.reconnected':
    case 'connection.updated':
      return ''
    default:
      return unknown(type)
  }
}

const listed = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(', ')

/** Of a server that is newer than this program: the compiler knows none. */
function unknown(type: never): string {
  void type
  return ''
}
