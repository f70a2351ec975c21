/**
 * What a process may send to a provider that says how much it takes: worked out anew from what left, without asking the
 * gate.
 */
import type { Numbers, ProviderId, Provider } from '@tokenkeep/core'
import type { Presented } from './presentations.ts'

export interface PaceRulesOptions {
  now(): number
  readonly numbers: Numbers
  readonly presented: readonly Presented[]
  limitsAt(provider: ProviderId): Pick<Provider, 'requestsPerMinute' | 'concurrency'>
  connectionsAt(provider: ProviderId): number
  broken(sentence: string): void
}

const MINUTE_MS = 60_000
/** What has passed the gate leaves within the calls of a store that is not slow. */
const ON_ITS_WAY_MS = 300

export function createPaceRules(options: PaceRulesOptions): { left(one: Presented): void } {
  const { numbers, presented } = options
  const slowAfterMs = numbers.connectDeadlineMs + numbers.grantDeadlineMs

  /** It goes by its own time where waiting could lose it. */
  const isPressing = ({ row }: Presented): boolean =>
    row === null ||
    (row.state.status === 'presenting' && row.state.from.status === 'in_doubt') ||
    row.refreshToken?.endsAt != null

  /** A provider said "wait", and nothing since that shows it at work. */
  const toldToWait = (one: Presented, same: readonly Presented[]): boolean => {
    const said = same.findLast(({ toldToWaitMs }) => toldToWaitMs !== null)
    if (said?.toldToWaitMs == null || said.arrivedAt === null) return false
    const { arrivedAt, toldToWaitMs } = said
    const works = same.some(
      (each) => each.at > arrivedAt && each.arrivedAt !== null && (each.did === 'granted' || each.did === 'lied'),
    )
    return !works && one.at > arrivedAt + ON_ITS_WAY_MS && one.at < arrivedAt + toldToWaitMs
  }

  return {
    left(one) {
      // A second request has the turn of the first.
      if (one.after !== null) return
      const { by, provider } = one
      const same = presented.filter(
        (each) => each !== one && each.after === null && each.by === by && each.provider === provider,
      )
      const connections = options.connectionsAt(provider)
      const { requestsPerMinute, concurrency } = options.limitsAt(provider)
      if (requestsPerMinute !== null) {
        const lately = same.filter(({ monoAt }) => one.monoAt - monoAt < MINUTE_MS).length + 1
        // Each connection has one on its way at most, which passed the gate before this minute.
        if (lately > requestsPerMinute + connections)
          options.broken(`${by.owner} sent ${lately} requests in a minute to one that takes ${requestsPerMinute}`)
      }
      // Where calls are slow or a process stands still, nobody but the gate knows when a request passed it.
      if (by.slowedFrom !== null || by.awayFrom !== null || by.host.monoStep !== 0) return
      if (concurrency !== null) {
        const open = same.filter(({ endedAt, at }) => endedAt === null && one.at - at < slowAfterMs - ON_ITS_WAY_MS)
        if (open.length + 1 > concurrency)
          options.broken(`${by.owner} has ${open.length + 1} requests at one that takes ${concurrency} at once`)
      }
      // With three connections the breaker may be open instead, and lets somebody through now and then.
      if (connections < numbers.breakerConnections && !isPressing(one) && toldToWait(one, same))
        options.broken(`${by.owner} presents ${one.refreshToken} though its provider told it to wait`)
    },
  }
}
