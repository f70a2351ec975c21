/**
 * An OAuth client has no way to say that an API refused its token: it asks again. So do processes that start one after
 * another, which must cause no rotation. What asking again for the same token leads to. Pure.
 */
import type { MonoMs } from '@tokenkeep/core'

/** The token that was handed out last to one holder. */
export interface HandedOut {
  /** A name of the token that does not tell it. */
  readonly token: string
  /** When it was handed out first. */
  readonly since: MonoMs
  /** The moments that count for a loop, oldest first. */
  readonly at: readonly MonoMs[]
  /** When it was asked for last, or a little before that. */
  readonly last: MonoMs
}

/** When a request was made, as far as it can be told. */
export interface Asking {
  /** When it was read. */
  readonly askedAt: MonoMs
  /** When its connection was free for it, so that it can have been sent. */
  readonly freeSince: MonoMs
}

/** What the provider said of the access token; `unknown`: it did not say, or its word would be about another token. */
export type Said = 'active' | 'inactive' | 'unsupported' | 'unknown'

/** `replace`: it is known to be dead, so ask the library once more; `report`: it counts as one 401. */
export type Step = 'hand_out' | 'replace' | 'report'

/** A loop is so many times the same token... */
const LOOP_TIMES = 3
/** ...within this. */
const LOOP_WITHIN_MS = 30_000
/** Many processes ask in the same moment, when the token that they share ends. All until a pause of this are one time... */
const LOOP_APART_MS = 1_000
/**
 * ...in each so long. A herd with few connections asks one after another, on a busy machine for some seconds; who still
 * asks without a pause after twice this is no herd.
 */
const WITHOUT_PAUSE_MS = 5_000
/** So often at most the last moment is written down, so that a thousand askers cost little. */
const LAST_EVERY_MS = 200
/** On a busy machine a request can wait for seconds before it is read; nobody is on the way for longer than this. */
const ON_THE_WAY_MS_MAX = 10_000

/** Whoever asked before it was handed out to the first one did not ask again: all of them waited for one refresh. */
export const isAskedAgain = (before: HandedOut, { askedAt, freeSince }: Asking): boolean =>
  Math.max(freeSince, askedAt - ON_THE_WAY_MS_MAX) >= before.since

/** What is remembered once `token` is handed out for the first time. */
export const firstTime = (token: string, now: MonoMs): HandedOut => ({ token, since: now, at: [now], last: now })

/** What is remembered once it is asked for again; the same object where nothing changes. */
export function againAt(before: HandedOut, askedAt: MonoMs): HandedOut {
  const { at, last } = before
  const counted = at.at(-1)
  const isSameTime = counted !== undefined && askedAt - last < LOOP_APART_MS && askedAt - counted < WITHOUT_PAUSE_MS
  if (isSameTime) return askedAt - last < LAST_EVERY_MS ? before : { ...before, last: askedAt }
  const counting = [...at, askedAt].filter((each) => askedAt - each <= LOOP_WITHIN_MS).slice(-LOOP_TIMES)
  return { ...before, at: counting, last: askedAt }
}

/** What is remembered after a loop was acted upon: the next one has to begin from nothing. */
export const acted = (before: HandedOut): HandedOut => ({ ...before, at: [] })

/**
 * What is done where the token that would be handed out was handed out before.
 *
 * @param handed what is remembered now, with the present moment in it; of another token where others were quicker
 * @param said what was said of `token` just now
 */
export function stepFor(handed: HandedOut | undefined, token: string, said: Said): Step {
  switch (said) {
    case 'inactive':
      return 'replace'
    case 'unsupported':
      return handed?.token === token && handed.at.length >= LOOP_TIMES ? 'report' : 'hand_out'
    case 'active':
    case 'unknown':
      return 'hand_out'
  }
}
