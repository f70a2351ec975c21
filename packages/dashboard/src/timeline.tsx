/** The timeline of a connection, drawn. The table of its history says the same in words. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Connection, Presentation } from './contract.ts'
import { clockTime, exactly, fromNow, useNow } from './moments.tsx'
import { ticksOf, timelineOf, type Reach, type Timeline as Model } from './timeline-model.ts'
import { countOf, type Tone } from './words.ts'

const REACHES: readonly (readonly [Reach, string])[] = [
  ['newest', 'newest'],
  ['hour', '1 hour'],
  ['day', '24 hours'],
  ['week', '7 days'],
]
const LANES = 3
const LANE = 15
const BAR = 9
const TOP = 56
const MARKS = TOP + LANES * LANE + 20
const AXIS = MARKS + 26
const HEIGHT = AXIS + 24
const TICK_WIDTH = 92

export function Timeline({
  connection,
  history,
}: {
  readonly connection: Connection
  readonly history: readonly Presentation[]
}) {
  const [reach, setReach] = useState<Reach>('newest')
  const [width, setWidth] = useState(800)
  const box = useRef<HTMLDivElement>(null)
  const now = useNow()
  useEffect(() => {
    if (box.current === null) return
    const sized = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(Math.max(240, Math.floor(entry.contentRect.width)))
    })
    sized.observe(box.current)
    return () => sized.disconnect()
  }, [])
  const model = timelineOf(connection, history, { now, reach })
  return (
    <>
      <div class="choice" role="group" aria-label="How far back">
        {REACHES.map(([each, name]) => (
          <button key={each} type="button" aria-pressed={each === reach} onClick={() => setReach(each)}>
            {name}
          </button>
        ))}
      </div>
      <div ref={box} class="timeline">
        <Drawing model={model} width={width} now={now} />
      </div>
      <ul class="legend">
        <li>
          <svg class="key-bar" viewBox="0 0 22 10" aria-hidden="true">
            <rect x="0" y="1" width="14" height="8" rx="4" class="life" />
            <rect x="12" y="1" width="10" height="8" rx="4" class="life life-after" />
          </svg>
          an access token, paler once it was replaced
        </li>
        {SHAPES.filter(({ tone }) => model.shown.some((each) => each.tone === tone)).map(({ tone, name }) => (
          <li key={tone}>
            <svg class="key-mark" viewBox="-7 -7 14 14" aria-hidden="true">
              <MarkShape tone={tone} />
            </svg>
            {name}
          </li>
        ))}
      </ul>
    </>
  )
}

const SHAPES: readonly { readonly tone: Tone; readonly name: string }[] = [
  { tone: 'good', name: 'granted' },
  { tone: 'warn', name: 'not now' },
  { tone: 'doubt', name: 'no answer' },
  { tone: 'bad', name: 'refused' },
  { tone: 'busy', name: 'on its way' },
]

/** A shape for each tone, as everywhere on the page. */
function MarkShape({ tone }: { readonly tone: Tone }) {
  switch (tone) {
    case 'good':
      return <circle r="5" class="shown tone-good" />
    case 'warn':
      return <path d="M0-5.5 5.5 5h-11z" class="shown tone-warn" />
    case 'doubt':
      return <path d="M0-6 6 0 0 6-6 0z" class="shown tone-doubt" />
    case 'bad':
      return <path d="M-4.5-4.5l9 9m0-9l-9 9" class="shown shown-cross tone-bad" />
    case 'busy':
      return <circle r="4.5" class="shown shown-open tone-busy" />
    case 'quiet':
      return <path d="M-5 0H5" class="shown shown-cross tone-quiet" />
  }
}

function Drawing({ model, width, now }: { readonly model: Model; readonly width: number; readonly now: number }) {
  const { from, to } = model
  const x = (at: number): number => Math.round(((at - from) / (to - from)) * width * 10) / 10
  const inside = (at: number): number => Math.min(Math.max(at, from), to)
  const coming = placed(
    model.coming.filter(({ at }) => at <= to).map((each) => ({ ...each, x: x(each.at) })),
    width,
  )
  return (
    <svg
      class="drawing"
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={inWords(model, now)}
    >
      {now < to ? (
        <rect x={x(inside(now))} y={TOP - 8} width={width - x(inside(now))} height={AXIS - TOP + 8} class="future" />
      ) : null}
      {ticksOf(from, to, Math.max(2, Math.floor(width / TICK_WIDTH))).map((at) => (
        <g key={at} transform={`translate(${x(at)} 0)`}>
          <line y1={TOP - 8} y2={AXIS} class="rule" />
          {x(at) > 26 && x(at) < width - 26 ? (
            <text y={AXIS + 17} class="tick">
              {tickText(at, to - from)}
            </text>
          ) : null}
        </g>
      ))}
      <line x1="0" x2={width} y1={AXIS} y2={AXIS} class="axis" />
      {model.lives.map((life, at) => {
        if (life.to < from || life.from > to) return null
        const y = TOP + (at % LANES) * LANE
        const used = Math.min(life.to, life.replacedAt ?? life.to)
        const bar = (begin: number, end: number, looks: string) =>
          end <= begin ? null : (
            <rect
              x={x(inside(begin))}
              y={y}
              width={Math.max(2, x(inside(end)) - x(inside(begin)))}
              height={BAR}
              rx={BAR / 2}
              class={looks}
            />
          )
        return (
          <g key={life.from}>
            <title>{`Access token: ${exactly(life.from)} to ${exactly(life.to)}`}</title>
            {bar(life.from, life.to, 'life life-after')}
            {bar(life.from, used, 'life')}
          </g>
        )
      })}
      {model.shown.map((each) => {
        const at = each.endedAt ?? now
        if (at < from || each.begunAt > to) return null
        return (
          <g key={each.begunAt}>
            <title>{`${exactly(each.begunAt)}: ${each.says}`}</title>
            <line
              x1={x(inside(each.begunAt))}
              x2={x(inside(at))}
              y1={MARKS}
              y2={MARKS}
              class={`way tone-${each.tone}`}
            />
            <g transform={`translate(${x(inside(at))} ${MARKS})`}>
              <MarkShape tone={each.tone} />
            </g>
          </g>
        )
      })}
      {coming.map((each) => (
        <g key={`${each.says} ${each.at}`} class={`tone-${each.tone}`}>
          <line x1={each.x} x2={each.x} y1={each.row * 15 + 14} y2={AXIS} class="due" />
          <text x={each.textX} y={each.row * 15 + 11} class="due-text" text-anchor={each.anchor}>
            {each.says} {fromNow(each.at, now)}
          </text>
        </g>
      ))}
      {now >= from && now <= to ? <line x1={x(now)} x2={x(now)} y1={TOP - 10} y2={AXIS} class="now" /> : null}
      {now >= from && now <= to ? (
        <text
          x={x(now)}
          y={TOP - 14}
          class="now-text"
          text-anchor={x(now) < 20 ? 'start' : x(now) > width - 20 ? 'end' : 'middle'}
        >
          now
        </text>
      ) : null}
    </svg>
  )
}

/** Texts that would lie upon each other stand in two rows. */
function placed<Each extends { readonly x: number }>(all: readonly Each[], width: number) {
  return all.slice(0, 2).map((each, row) => {
    const isRight = each.x > width / 2
    return {
      ...each,
      row,
      anchor: isRight ? ('end' as const) : ('start' as const),
      textX: isRight ? each.x - 5 : each.x + 5,
    }
  })
}

function tickText(at: number, wholeMs: number): string {
  if (wholeMs > 2 * 86_400_000)
    return new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric' }).format(at)
  return wholeMs > 1800_000 ? clockTime(at).slice(0, 5) : clockTime(at)
}

function inWords({ lives, shown, coming }: Model, now: number): string {
  const next = coming[0]
  return [
    `Timeline: ${countOf(lives.length, 'access token')}, ${countOf(shown.length, 'presentation')}`,
    next === undefined ? 'nothing is due' : `next: ${next.says} ${fromNow(next.at, now)}`,
  ].join('; ')
}
