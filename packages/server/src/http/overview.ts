/**
 * What is answered about all connections at once. However many pages are open, the database is asked by one of them at a time,
 * and for a twentieth of the time at most.
 */
import type { Clock, Count, DurationMs, MonoMs, OfProvider, Overview, Trouble } from '@tokenkeep/core'
import { TROUBLES, later, ms, since } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import type { OverviewWire } from '../api/overview-wire.ts'

/** As old as an answer may be, */
const KEPT_MS = 2_000
/** or so many times as old as it took to count. */
const KEPT_TIMES = 20
/** Sets of labels that keys are limited to. */
const KEPT_MOST = 100

type Labels = Readonly<Record<string, string>>

interface Kept {
  readonly answer: Promise<OverviewWire>
  /** Null: it is being counted. */
  until: MonoMs | null
}

/** @returns the overview of connections with these labels, at most two seconds old where counting is quick */
export function createOverviews(of: {
  readonly keep: Pick<Tokenkeep, 'connections'>
  readonly clock: Pick<Clock, 'now'>
}): (labels: Labels) => Promise<OverviewWire> {
  const kept = new Map<string, Kept>()
  const now = (): MonoMs => of.clock.now().mono

  return (labels) => {
    const key = JSON.stringify(Object.entries(labels).sort())
    const before = kept.get(key)
    if (before !== undefined && (before.until === null || now() < before.until)) return before.answer
    const begun = now()
    const answer = of.keep.connections.overview(labels).then((overview) => overviewWire(overview, labels))
    const entry: Kept = { answer, until: null }
    if (kept.size >= KEPT_MOST) kept.clear()
    kept.set(key, entry)
    answer.then(
      () => (entry.until = later(now(), longer(since(begun, now())))),
      () => kept.get(key) === entry && kept.delete(key),
    )
    return answer
  }
}

const longer = (tookMs: DurationMs): DurationMs => ms(Math.max(KEPT_MS, tookMs * KEPT_TIMES))

function overviewWire(overview: Overview, labels: Labels): OverviewWire {
  const { total, byStatus, expiring } = overview
  return {
    as_of: moment(overview.at),
    labels: { ...labels },
    total: countWire(total),
    by_status: counts(byStatus),
    needs_user: counts(overview.needsUser),
    blocked: counts(overview.blocked),
    providers: overview.providers.map(ofProviderWire),
    expiring: {
      within: expiring.withinMs / 1000,
      ...countWire(expiring.count),
      next: expiring.next.map(({ connection, provider, client, expiresAt, because }) => ({
        connection,
        provider,
        client,
        expires_at: moment(expiresAt),
        because,
      })),
    },
  }
}

const ofProviderWire = ({ provider, total, expiring, ...troubles }: OfProvider) => ({
  provider,
  total: total && countWire(total),
  ...counts(Object.fromEntries(TROUBLES.map((trouble) => [trouble, troubles[trouble]])) as Record<Trouble, Count>),
  expiring: countWire(expiring),
})

const moment = (epochMs: number): string => new Date(epochMs).toISOString()
const countWire = ({ count, atLeast }: Count) => ({ count, at_least: atLeast })
const counts = <Name extends string>(given: Readonly<Record<Name, Count>>) =>
  Object.fromEntries(Object.entries<Count>(given).map(([name, count]) => [name, countWire(count)])) as Record<
    Name,
    ReturnType<typeof countWire>
  >
