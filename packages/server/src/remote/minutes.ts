/** What is counted by the minute, asked of a server. */
import { TokenError } from '@tokenkeep/core'
import type {
  HandOutCount,
  HandOuts,
  HandOutsPage,
  Refreshes,
  RefreshesOfProvider,
  RefreshSeries,
} from '@tokenkeep/node'
import type { HandOutsWire, HandOutWire, RefreshesOfProviderWire, RefreshesWire } from '../api/minutes-wire.ts'
import type { Exchange } from './exchange.ts'
import { membersOf, UnlikeTheWire } from './members.ts'

export function remoteMinutes(ask: Exchange['ask']): { readonly handOuts: HandOuts; readonly refreshes: Refreshes } {
  return {
    handOuts: {
      // A server's key says which labels are seen: they are no question of the API.
      list: async ({ connection, caller, from, to, limit, cursor } = {}) => {
        if (caller !== undefined && !/^(?:key_\w{1,80}|library|command|other)$/.test(caller)) throw noCaller()
        const query = queryOf({ connection, api_key: caller, from: rfc3339(from), to: rfc3339(to), limit, cursor })
        return ask({ method: 'GET', path: '/v1/hand-outs', query }, readHandOuts)
      },
    },
    refreshes: {
      series: async ({ from, to, stepMs, provider } = {}) => {
        const step = stepMs === undefined ? undefined : stepMs / 1000
        const query = queryOf({ from: rfc3339(from), to: rfc3339(to), step, provider })
        return ask({ method: 'GET', path: '/v1/refreshes', query }, readRefreshes)
      },
    },
  }
}

/** Whoever gives a key for its id must not leave it in the logs of whatever stands before the server. */
const noCaller = (): TokenError =>
  new TokenError(
    'invalid_input',
    'a caller is the id of an API key (key_...), library or command: the key itself is not asked for',
  )

const rfc3339 = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString()

export function queryOf(given: Readonly<Record<string, string | number | undefined>>): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(given)) if (value !== undefined) query.set(name, String(value))
  return query
}

function readHandOuts(answer: unknown): HandOutsPage {
  const page = membersOf<HandOutsWire>(answer, 'the answer')
  return { handOuts: page.list('hand_outs', readHandOut), nextCursor: page.textOrNull('next_cursor') }
}

function readHandOut(item: unknown): HandOutCount {
  const handOut = membersOf<HandOutWire>(item, 'a hand-out')
  return {
    minute: handOut.moment('minute'),
    caller: handOut.text('api_key'),
    identity: handOut.textOrNull('identity'),
    connection: handOut.textOrNull('connection'),
    uid: handOut.textOrNull('uid'),
    count: handOut.number('count'),
  }
}

function readRefreshes(answer: unknown): RefreshSeries {
  const series = membersOf<RefreshesWire>(answer, 'the answer')
  return {
    stepMs: series.number('step') * 1000,
    starts: series.list('starts', momentItem),
    providers: series.list('providers', readOfProvider),
  }
}

function readOfProvider(item: unknown): RefreshesOfProvider {
  const of = membersOf<RefreshesOfProviderWire>(item, 'a provider')
  return {
    provider: of.text('provider'),
    granted: of.list('granted', numberItem),
    unavailable: of.list('unavailable', numberItem),
    refused: of.list('refused', numberItem),
    in_doubt: of.list('in_doubt', numberItem),
    blocked: of.list('blocked', numberItem),
    needs_user: of.list('needs_user', numberItem),
    p50Ms: of.list('p50_ms', numberOrNullItem),
    p95Ms: of.list('p95_ms', numberOrNullItem),
  }
}

function momentItem(item: unknown): number {
  const at = typeof item === 'string' ? Date.parse(item) : NaN
  if (Number.isNaN(at)) throw new UnlikeTheWire('a list has an item that is no moment')
  return at
}

function numberItem(item: unknown): number {
  if (typeof item === 'number') return item
  throw new UnlikeTheWire('a list has an item that is no number')
}

const numberOrNullItem = (item: unknown): number | null => (item === null ? null : numberItem(item))
