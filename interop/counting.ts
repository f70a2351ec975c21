/** What Keycloak's events and the reports of processes come to. Nothing here asks anybody. */
import type { KeycloakEvent } from './keycloak-admin.ts'

/** Presentations of refresh tokens, as Keycloak recorded them. */
export interface Presented {
  /** Presentations that were granted. */
  readonly granted: number
  /** Presentations that were refused. */
  readonly refused: number
  /** Different refresh tokens that were presented. */
  readonly tokens: number
  /** Presentations of the one that was presented most often. */
  readonly mostOfOne: number
}

/** @param sessionIds those that count; all where absent */
export function presentedIn(events: readonly KeycloakEvent[], sessionIds?: readonly string[]): Presented {
  const presentations = events.filter(
    ({ type, sessionId }) =>
      (type === 'REFRESH_TOKEN' || type === 'REFRESH_TOKEN_ERROR') &&
      (sessionIds === undefined || (sessionId !== undefined && sessionIds.includes(sessionId))),
  )
  const byToken = new Map<string, number>()
  for (const { details } of presentations) {
    // One that Keycloak could not read has no id, and all of them count as one.
    const token = details?.['refresh_token_id'] ?? ''
    byToken.set(token, (byToken.get(token) ?? 0) + 1)
  }
  const granted = presentations.filter(({ type }) => type === 'REFRESH_TOKEN').length
  return {
    granted,
    refused: presentations.length - granted,
    tokens: byToken.size,
    mostOfOne: Math.max(0, ...byToken.values()),
  }
}

/** What a process of a fleet says when it is done. */
export interface FleetReport {
  /** Expiries after which it got a token that works. */
  readonly granted: number
  /** Tokens that the API refused within their life. */
  readonly bad: number
  /** What its client said when it gave the login up; null: it did not. */
  readonly lost: string | null
}

export interface FleetCount {
  readonly processes: number
  /** Of all processes: expiries to live through. */
  readonly expiries: number
  readonly granted: number
  readonly bad: number
  /** Processes that gave the login up. */
  readonly lost: number
  /** Of those, what most of them said; null: nobody gave up. */
  readonly because: string | null
}

export function fleetCount(reports: readonly FleetReport[], expiriesOfEach: number): FleetCount {
  const sum = (of: (report: FleetReport) => number): number => reports.reduce((all, each) => all + of(each), 0)
  const said = reports.flatMap(({ lost }) => (lost === null ? [] : [lost]))
  return {
    processes: reports.length,
    expiries: reports.length * expiriesOfEach,
    granted: sum(({ granted }) => granted),
    bad: sum(({ bad }) => bad),
    lost: said.length,
    because: mostFrequent(said),
  }
}

/**
 * Reads what a process printed: its last line, as JSON.
 *
 * @throws Error what is wrong with it
 */
export function readReport(printed: string): FleetReport {
  const line = printed.trim().split('\n').at(-1) ?? ''
  const report = parsed(line)
  const whole = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0
  const { granted, bad, lost } = report
  if (!whole(granted) || !whole(bad) || !(lost === null || typeof lost === 'string')) {
    throw new Error(`a process of the fleet reported no {granted, bad, lost}, but: ${line.slice(0, 200)}`)
  }
  return { granted, bad, lost }
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

function mostFrequent(words: readonly string[]): string | null {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0] ?? null
}
