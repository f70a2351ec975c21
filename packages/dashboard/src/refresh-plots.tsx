/** What refreshes did over time: how many, what became of them at whom, and how long they took. */
import { useState } from 'preact/hooks'
import type { Refreshes } from './contract.ts'
import { useLive } from './live.ts'
import { useNow } from './moments.tsx'
import { Plot, type Line } from './plot.tsx'
import { Card, Nothing } from './parts.tsx'
import { countOf } from './words.ts'

const SPANS = [
  { name: '1 hour', seconds: 3600, step: 60 },
  { name: '24 hours', seconds: 86_400, step: 900 },
  { name: '7 days', seconds: 604_800, step: 7200 },
] as const
const EVERY_MS = 15_000

export function RefreshPlots() {
  const [span, setSpan] = useState<(typeof SPANS)[number]>(SPANS[0])
  // A page on a wall is never loaded again: the beginning moves with the time, a step at once.
  const begins = Math.floor(useNow() / 1000 / span.step) * span.step - span.seconds
  const from = new Date(begins * 1000).toISOString()
  const { data, problem } = useLive<Refreshes>(
    `/v1/refreshes?from=${encodeURIComponent(from)}&step=${span.step}`,
    EVERY_MS,
    true,
  )
  // Of a key that sees some connections only, nobody can say it.
  if (problem?.code === 'forbidden' || problem?.code === 'unknown_route') return null
  return (
    <Card
      title="Refreshes"
      note={
        <div class="choice" role="group" aria-label="How far back">
          {SPANS.map((each) => (
            <button key={each.name} type="button" aria-pressed={each === span} onClick={() => setSpan(each)}>
              {each.name}
            </button>
          ))}
        </div>
      }
    >
      {data === null || data.providers.length === 0 ? (
        <Nothing title={data === null ? 'Asking the server…' : 'There was no refresh in this time.'} />
      ) : (
        <Plots of={data} />
      )}
    </Card>
  )
}

const FAILED = ['unavailable', 'refused', 'in_doubt', 'blocked', 'needs_user'] as const

function Plots({ of }: { readonly of: Refreshes }) {
  const times = of.starts.map((start) => Date.parse(start) / 1000)
  const perMinute = (count: number): number => (count * 60) / of.step
  const added = (lists: readonly (readonly number[])[]): number[] =>
    times.map((_, at) => lists.reduce((all, list) => all + (list[at] ?? 0), 0))
  const granted = added(of.providers.map((provider) => provider.granted))
  const failedAt = of.providers.map((provider) => ({
    name: provider.provider,
    counts: added(FAILED.map((outcome) => provider[outcome])),
  }))
  const failed = failedAt.filter(({ counts }) => counts.some((count) => count > 0))
  const total = granted.reduce((all, count) => all + count, 0)
  const failures = failed.flatMap(({ counts }) => counts).reduce((all, count) => all + count, 0)
  // The slowest provider is who somebody wants to see.
  const worst = (which: 'p50_ms' | 'p95_ms'): (number | null)[] =>
    times.map((_, at) => {
      const known = of.providers.map((provider) => provider[which][at] ?? null).filter((value) => value !== null)
      return known.length === 0 ? null : Math.max(...known)
    })
  const latencies: readonly Line[] = [
    { name: 'half took at most', values: worst('p50_ms'), colour: 0 },
    { name: '95 of 100 took at most', values: worst('p95_ms'), colour: 3, isDashed: true },
  ]
  return (
    <div class="plots">
      <Plot
        title="Granted a minute"
        says={`${countOf(total, 'refresh', 'refreshes')} granted in this time`}
        times={times}
        lines={[{ name: 'granted', values: granted.map(perMinute), colour: 0, isFilled: true }]}
      />
      <Plot
        title="Failed, by provider"
        says={failures === 0 ? 'None failed in this time' : `${countOf(failures, 'refresh', 'refreshes')} did not work`}
        times={times}
        lines={
          failed.length === 0
            ? [{ name: 'none', values: times.map(() => 0), colour: 0 }]
            : failed.map(({ name, counts }, at) => ({ name, values: counts, colour: (at % 4) + 1, isBars: true }))
        }
      />
      <Plot
        title="How long they took"
        says="milliseconds, of the slowest provider"
        times={times}
        lines={latencies}
        unit="ms"
      />
    </div>
  )
}
