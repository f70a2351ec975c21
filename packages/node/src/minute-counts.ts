/** Counts in memory what becomes rows of a minute: bounded, whatever callers do and however long the database is away. */
import type { CountHandOut, RefreshOutcome } from '@tokenkeep/core'
import { TOOK_MS, type HandOutMinute, type Recipient, type RefreshMinute } from './minute-rows.ts'

/** Callers and connections told apart between two writes; all others are counted together. */
export const DISTINCT_MOST = 10_000
/** Rows that wait for a database that is away; later minutes are then one row each. */
export const WAITING_MOST = 20_000
const PROVIDERS_MOST = 100
const OTHER = 'other'

export interface HandOutCounts {
  /** The counter of one recipient. */
  of(recipient: Recipient): CountHandOut
  /** What was counted since the last time, as rows of a minute. */
  take(minute: number): HandOutMinute[]
}

export function createHandOutCounts(): HandOutCounts {
  const recipients = new Map<string, { readonly recipient: Recipient; readonly counts: Map<string, number> }>()
  let distinct = 0

  const countsOf = (recipient: Recipient): Map<string, number> => {
    const key = `${recipient.caller}\n${recipient.identity}`
    const known = recipients.get(key)
    if (known !== undefined) return known.counts
    if (distinct >= DISTINCT_MOST && recipient.caller !== OTHER) return countsOf({ caller: OTHER, identity: '' })
    const counts = new Map<string, number>()
    recipients.set(key, { recipient, counts })
    return counts
  }

  return {
    of: (recipient) => (uid, times) => {
      const counts = countsOf(recipient)
      const before = counts.get(uid)
      if (before !== undefined) counts.set(uid, before + times)
      else if (distinct < DISTINCT_MOST) {
        distinct += 1
        counts.set(uid, times)
      } else counts.set('', (counts.get('') ?? 0) + times)
    },
    take(minute) {
      const rows = [...recipients.values()].flatMap(({ recipient, counts }) =>
        [...counts].map(([uid, count]) => ({ minute, ...recipient, uid, count })),
      )
      recipients.clear()
      distinct = 0
      return rows
    },
  }
}

export interface RefreshCounts {
  add(provider: string, outcome: RefreshOutcome, tookMs: number | null): void
  take(minute: number): RefreshMinute[]
}

export function createRefreshCounts(): RefreshCounts {
  const providers = new Map<string, Map<RefreshOutcome, { count: number; readonly took: number[] }>>()
  return {
    add(given, outcome, tookMs) {
      const provider = providers.has(given) || providers.size < PROVIDERS_MOST ? given : OTHER
      const outcomes = providers.get(provider) ?? new Map<RefreshOutcome, { count: number; took: number[] }>()
      providers.set(provider, outcomes)
      const counted = outcomes.get(outcome) ?? { count: 0, took: nothingTook() }
      outcomes.set(outcome, counted)
      counted.count += 1
      if (tookMs === null) return
      const at = TOOK_MS.findIndex((most) => tookMs <= most)
      const bucket = at === -1 ? TOOK_MS.length : at
      counted.took[bucket] = (counted.took[bucket] ?? 0) + 1
    },
    take(minute) {
      const rows = [...providers].flatMap(([provider, outcomes]) =>
        [...outcomes].map(([outcome, { count, took }]) => ({ minute, provider, outcome, count, took })),
      )
      providers.clear()
      return rows
    },
  }
}

export const nothingTook = (): number[] => Array<number>(TOOK_MS.length + 1).fill(0)

/** Rows that wait to be written, those of one key added up. */
export interface Waiting<Row> {
  add(rows: readonly Row[]): void
  /** The next to be written, in the order of their keys; they wait no longer. */
  take(most: number): Row[]
  readonly size: number
}

export interface WaitingKind<Row> {
  readonly keyOf: (row: Row) => string
  readonly sum: (one: Row, other: Row) => Row
  /** The row that counts what there is no room for. */
  readonly together: (row: Row) => Row
}

export function createWaiting<Row>({ keyOf, sum, together }: WaitingKind<Row>): Waiting<Row> {
  const rows = new Map<string, Row>()
  const put = (row: Row): void => {
    const key = keyOf(row)
    const before = rows.get(key)
    rows.set(key, before === undefined ? row : sum(before, row))
  }
  return {
    add(given) {
      for (const row of given) put(rows.size < WAITING_MOST || rows.has(keyOf(row)) ? row : together(row))
    },
    take(most) {
      const taken: Row[] = []
      for (const [key, row] of rows) {
        if (taken.length >= most) break
        rows.delete(key)
        taken.push(row)
      }
      return taken
    },
    get size() {
      return rows.size
    },
  }
}

export const HAND_OUT_ROWS: WaitingKind<HandOutMinute> = {
  keyOf: ({ minute, caller, identity, uid }) => `${minute}\n${caller}\n${identity}\n${uid}`,
  sum: (one, other) => ({ ...one, count: one.count + other.count }),
  together: ({ minute, count }) => ({ minute, caller: OTHER, identity: '', uid: '', count }),
}

export const REFRESH_ROWS: WaitingKind<RefreshMinute> = {
  keyOf: ({ minute, provider, outcome }) => `${minute}\n${provider}\n${outcome}`,
  sum: (one, other) => ({
    ...one,
    count: one.count + other.count,
    took: one.took.map((count, at) => count + (other.took[at] ?? 0)),
  }),
  together: (row) => ({ ...row, provider: OTHER }),
}
