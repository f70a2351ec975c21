/** `GET /v1/hand-outs` and `GET /v1/refreshes`. */
import type { HandOutCount, RefreshesOfProvider, Tokenkeep } from '@tokenkeep/node'
import type { HandOutWire, RefreshesOfProviderWire } from '../api/minutes-wire.ts'
import type { Caller } from './caller.ts'
import { HttpProblem } from './problem.ts'
import type { Handlers } from './routes.ts'

export function minutesHandlers(of: {
  readonly keep: Pick<Tokenkeep, 'handOuts' | 'refreshes'>
  readonly visible: (caller: Caller, id: string) => Promise<string>
}): Pick<Handlers, 'listHandOuts' | 'getRefreshes'> {
  const { keep, visible } = of
  return {
    async listHandOuts({ caller, query }) {
      const { connection, limit, cursor } = query
      if (connection !== undefined && caller.limited) await visible(caller, connection)
      const page = await keep.handOuts.list({
        connection,
        caller: query.api_key,
        ...spanOf(query),
        labels: caller.apiKey.labels,
        limit,
        cursor,
      })
      return { hand_outs: page.handOuts.map(handOutWire), next_cursor: page.nextCursor }
    },
    async getRefreshes({ caller, query }) {
      // They are of all connections of a provider, and nobody can tell which of them are this caller's.
      if (caller.limited) throw ofAll()
      const { provider, step } = query
      const stepMs = step === undefined ? undefined : step * 1000
      const series = await keep.refreshes.series({ ...spanOf(query), stepMs, provider })
      return {
        step: series.stepMs / 1000,
        starts: series.starts.map(momentWire),
        providers: series.providers.map(refreshesWire),
      }
    },
  }
}

const momentWire = (at: number): string => new Date(at).toISOString()
const spanOf = ({ from, to }: { readonly from?: string | undefined; readonly to?: string | undefined }) => ({
  from: from === undefined ? undefined : Date.parse(from),
  to: to === undefined ? undefined : Date.parse(to),
})

const handOutWire = ({ minute, caller, ...rest }: HandOutCount): HandOutWire => ({
  minute: momentWire(minute),
  api_key: caller,
  ...rest,
})

const refreshesWire = ({ p50Ms, p95Ms, ...counts }: RefreshesOfProvider): RefreshesOfProviderWire => {
  const { provider, granted, unavailable, refused, in_doubt, blocked, needs_user } = counts
  const lists = { granted, unavailable, refused, in_doubt, blocked, needs_user, p50_ms: p50Ms, p95_ms: p95Ms }
  const copied = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, [...list]]))
  return { provider, ...(copied as Omit<RefreshesOfProviderWire, 'provider'>) }
}

const ofAll = (): HttpProblem =>
  new HttpProblem(
    'forbidden',
    'this API key is limited to connections with certain labels, and refreshes are counted over all connections of a provider.',
  )
