/** What is counted by the minute, as a database keeps it; with every number that bounds it. */
import type { RefreshOutcome } from '@tokenkeep/core'

export const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS

/**
 * Hand-outs say who had which token, which is asked for after an incident. A connection that is used all the time has 1440
 * rows a day for each caller, so it is days: 100 of them are some 65 MB.
 */
export const HAND_OUTS_KEPT_MS = 3 * DAY_MS
/** Refreshes say how a provider behaves, which is compared over weeks. They have a row for each provider and outcome. */
export const REFRESHES_KEPT_MS = 30 * DAY_MS

/** Written and deleted in one transaction, which holds up the event loop for about a millisecond. */
export const ROWS_AT_ONCE = 100

/** Upper bounds of how long granted refreshes took, milliseconds; each twice the one before. What took longer is `more`. */
export const TOOK_MS = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920] as const
/** One column for each of them, and one for `more`. */
export const TOOK_COLUMNS: readonly string[] = [...TOOK_MS.map((most) => `ms_${most}`), 'ms_more']

/** Who was handed a token: `library`, `command`, the id of an API key; `other` where too many were to be told apart. */
export interface Recipient {
  readonly caller: string
  /** Of the API key's identities the one that was shown; empty: the key itself. */
  readonly identity: string
}

export interface HandOutMinute extends Recipient {
  /** When it began, epoch milliseconds. */
  readonly minute: number
  /** Of the connection; empty: several, which were too many to be told apart. */
  readonly uid: string
  readonly count: number
}

export interface RefreshMinute {
  readonly minute: number
  readonly provider: string
  readonly outcome: RefreshOutcome
  readonly count: number
  /** How many of them took how long, by {@link TOOK_COLUMNS}. */
  readonly took: readonly number[]
}

/** Rows of hand-outs, and what their connection is called now, or was when it was erased. */
export interface HandOutRow extends HandOutMinute {
  readonly connection: string | null
  readonly labels: Readonly<Record<string, string>>
}

export interface HandOutsAsked {
  /** The first and the last minute. */
  readonly from: number
  readonly to: number
  readonly uid: string | null
  /** Only what comes behind it, newest first. */
  readonly behind: Omit<HandOutMinute, 'count'> | null
  readonly most: number
}

export interface RefreshesAsked {
  readonly from: number
  readonly to: number
  /** Minutes are added up over so many milliseconds. */
  readonly stepMs: number
  readonly provider: string | null
}

/** What a database has to be able to do for them. */
export interface MinuteRows {
  /** Adds to what there is, all of it or nothing. */
  addHandOuts(rows: readonly HandOutMinute[]): Promise<void>
  addRefreshes(rows: readonly RefreshMinute[]): Promise<void>
  /** Deletes some of the oldest that are before a moment; how many. */
  forgetHandOuts(before: number, most: number): Promise<number>
  forgetRefreshes(before: number, most: number): Promise<number>
  handOuts(asked: HandOutsAsked): Promise<readonly HandOutRow[]>
  /** The connection that has this id, or the last that had it. */
  uidOf(connection: string): Promise<string | null>
  /** With `minute` as the step's beginning. */
  refreshes(asked: RefreshesAsked): Promise<readonly RefreshMinute[]>
  /** So much of the time is read in one statement: a database in this process must not hold up the event loop. */
  readonly readAtOnceMs: number
}
