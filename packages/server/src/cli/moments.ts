/** Moments and durations as people read them. */

/** `2026-07-02T12:00:01+02:00`: the local time of this machine, ISO 8601. */
export function localIso(atMs: number): string {
  const date = new Date(atMs)
  const minutes = -date.getTimezoneOffset()
  const local = new Date(atMs + minutes * 60_000).toISOString().slice(0, 19)
  const zone = `${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`
  return `${local}${minutes < 0 ? '-' : '+'}${zone}`
}

/** `12:00:01`, local. */
export const localClock = (atMs: number): string => localIso(atMs).slice(11, 19)

/** `in 42 s`, `3 min ago`, `now`. */
export function fromNow(atMs: number, nowMs: number): string {
  const distance = atMs - nowMs
  if (Math.abs(distance) < 500) return 'now'
  return distance > 0 ? `in ${span(distance)}` : `${span(-distance)} ago`
}

/** `2026-07-02T12:00:01+02:00 (in 42 s)` */
export const momentFromNow = (atMs: number, nowMs: number): string => `${localIso(atMs)} (${fromNow(atMs, nowMs)})`

/** `42 s`, `3 min`, `5 h`, `30 d`: one unit, rounded down, as one says how long something still lasts. */
export function span(durationMs: number): string {
  const seconds = durationMs / 1000
  if (seconds < 1) return '1 s'
  if (seconds < 100) return `${Math.floor(seconds)} s`
  if (seconds < 100 * 60) return `${Math.floor(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

const two = (value: number): string => String(value).padStart(2, '0')
