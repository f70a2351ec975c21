/** One plot over time, drawn by uPlot in the colours of the page; what it shows stands beside it in words, too. */
import { useEffect, useRef } from 'preact/hooks'
import type uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

/** Loaded when there is something to plot. Where a browser cannot run it, the words beside each plot are what there is. */
let loading: Promise<typeof uPlot | null> | null = null
const load = (): Promise<typeof uPlot | null> =>
  (loading ??= import('uplot').then(
    (module) => module.default,
    () => null,
  ))

export interface Line {
  readonly name: string
  readonly values: readonly (number | null)[]
  /** Of `--plot-0` to `--plot-4`. */
  readonly colour: number
  readonly isFilled?: boolean
  readonly isBars?: boolean
  readonly isDashed?: boolean
}

const HEIGHT = 150

export function Plot(props: {
  readonly title: string
  /** The whole of it in one sentence. */
  readonly says: string
  /** Epoch seconds. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly unit?: string
}) {
  const place = useRef<HTMLDivElement>(null)
  const drawn = useRef<uPlot | null>(null)
  const { times, lines } = props
  const shape = lines
    .map(({ name, colour, isFilled, isBars, isDashed }) => [name, colour, isFilled, isBars, isDashed].join())
    .join('\n')
  const data = [times, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData
  const newest = useRef(data)
  newest.current = data

  useEffect(() => {
    const box = place.current
    if (box === null) return
    let isOver = false
    const draw = async (): Promise<void> => {
      const Made = await load()
      if (Made === null || isOver) return
      drawn.current?.destroy()
      drawn.current = new Made(
        optionsOf(lines, { box, unit: props.unit ?? '', bars: Made.paths.bars }),
        newest.current,
        box,
      )
    }
    const drawAnew = (): void => void draw()
    drawAnew()
    const sized = new ResizeObserver(() => drawn.current?.setSize({ width: box.clientWidth, height: HEIGHT }))
    sized.observe(box)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', drawAnew)
    return () => {
      isOver = true
      sized.disconnect()
      scheme.removeEventListener('change', drawAnew)
      drawn.current?.destroy()
      drawn.current = null
    }
  }, [shape])
  useEffect(() => drawn.current?.setData(data))

  return (
    <figure class="plot">
      <figcaption>
        <span class="plot-title">{props.title}</span>
        <span class="plot-says">{props.says}</span>
      </figcaption>
      <div ref={place} class="plot-place" aria-hidden="true" />
      <ul class="legend" aria-hidden="true">
        {lines.length > 1 || lines[0]?.isBars === true
          ? lines.map(({ name, colour, isDashed }) => (
              <li key={name}>
                <span class={`swatch plot-${colour} ${isDashed === true ? 'swatch-dashed' : ''}`} /> {name}
              </li>
            ))
          : null}
      </ul>
    </figure>
  )
}

function optionsOf(
  lines: readonly Line[],
  of: { readonly box: HTMLElement; readonly unit: string; readonly bars: typeof uPlot.paths.bars },
): uPlot.Options {
  const { box, unit } = of
  const look = getComputedStyle(box)
  const colour = (name: string): string => look.getPropertyValue(name).trim()
  const axis: uPlot.Axis = {
    stroke: colour('--dim'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: `11px ${look.fontFamily}`,
    gap: 6,
  }
  const bars = of.bars?.({ size: [0.7, 12] })
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 0, 0],
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 0) * 1.15)] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        space: 64,
        values: (_plot, at) => at.map((value) => tick(value, at)),
      },
      {
        ...axis,
        size: unit === '' ? 34 : 58,
        values: (_plot, at) =>
          at.map((value) => (Number.isInteger(value) || max(at) < 3 ? `${value}${unit === '' ? '' : ` ${unit}`}` : '')),
      },
    ],
    series: [
      {},
      ...lines.map((line): uPlot.Series => {
        const stroke = colour(`--plot-${line.colour}`)
        return {
          label: line.name,
          stroke,
          width: 2,
          points: { show: false },
          ...(line.isDashed === true ? { dash: [5, 4] } : {}),
          ...(line.isFilled === true ? { fill: `${stroke}2e` } : {}),
          ...(line.isBars === true && bars !== undefined ? { paths: bars, fill: stroke, width: 0 } : {}),
        }
      }),
    ],
  }
}

const max = (values: readonly number[]): number => Math.max(...values)
const hours = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false })
const days = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
/** Days where the ticks are days apart. */
const tick = (value: number, all: readonly number[]): string =>
  ((all[1] ?? value) - (all[0] ?? value) >= 43_200 ? days : hours).format(value * 1000)
