/** Moments as people say them, by the server's clock; the exact one is always there, too. */
import { useEffect, useState } from 'preact/hooks'
import { serverNow } from './api.ts'

/** The server's time, again every second while something shows it. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow())
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const

/** `4 min`, `2 h 5 min`, `3 d`. */
export function span(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000)
  const at = UNITS.findIndex(([, size]) => seconds >= size)
  const [unit, size] = UNITS[at === -1 ? UNITS.length - 1 : at] ?? ['s', 1]
  const whole = Math.floor(seconds / size)
  const [next, nextSize] = UNITS[at + 1] ?? ['', 1]
  const rest = Math.floor((seconds % size) / nextSize)
  // Two units while the first one is small, so that a countdown is seen to move.
  return whole < 10 && rest > 0 && unit !== 's' ? `${whole} ${unit} ${rest} ${next}` : `${whole} ${unit}`
}

export function fromNow(at: number, now: number): string {
  if (Math.abs(at - now) < 1000) return 'now'
  return at > now ? `in ${span(at - now)}` : `${span(now - at)} ago`
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
export const exactly = (at: number): string => exact.format(at)
const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})
export const clockTime = (at: number): string => clock.format(at)

/** A moment with its distance; `absent` where there is none. */
export function When({ at, absent = 'none' }: { readonly at: string | null; readonly absent?: string }) {
  const now = useNow()
  if (at === null) return <span class="dim">{absent}</span>
  const moment = Date.parse(at)
  return (
    <time dateTime={at} title={exactly(moment)}>
      {fromNow(moment, now)}
    </time>
  )
}
