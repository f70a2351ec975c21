/**
 * Virtual time. Whatever happens at a moment is run in order, and all that follows from it settles before the next; a
 * minute in which nothing happens costs nothing.
 */

import process from 'node:process'

/** Something that happens at a moment, unless it is cancelled. */
export interface Alarm {
  cancel(): void
}

/** A round of background work: rung when it is due and there is something to do. */
export interface Round {
  readonly dueAt: number
  ring: (() => void) | null
}

export interface Timeline {
  now(): number
  after(ms: number, happen: () => void): Alarm
  /** Lets time pass. After each moment `look` is called. */
  advance(until: number): Promise<void>
  /** Background work. `wakesAt` says from when on there is something to do for it. */
  rounds: Map<object, Round>
  /** When something happens next; `Infinity`: never. */
  nextAt(): number
  happened(): number
}

export interface TimelineOptions {
  /** The moment at which the background round of `of` has something to do; at most `dueAt` plus a pause. */
  wakesAt(of: object, dueAt: number): number
  /** Asked when the round of `of` is about to be rung: it would find nothing, and `wakesAt` has a later moment for it. */
  findsNothing(of: object): boolean
  look(): void
  /** A world that never comes to rest is ended with an error. */
  readonly happeningsMost: number
}

interface Entry extends Alarm {
  readonly at: number
  readonly order: number
  happen: (() => void) | null
}

export function createTimeline({ wakesAt, findsNothing, look, happeningsMost }: TimelineOptions): Timeline {
  const heap: Entry[] = []
  const rounds = new Map<object, Round>()
  let at = 0
  let order = 0
  let happened = 0

  const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

  const push = (entry: Entry): void => {
    let place = heap.push(entry) - 1
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !isBefore(entry, parent)) break
      heap[place] = parent
      place = above
    }
    heap[place] = entry
  }

  const pop = (): void => {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let place = 0
    for (;;) {
      let least = 2 * place + 1
      let child = heap[least]
      if (child === undefined) break
      const right = heap[least + 1]
      if (right !== undefined && isBefore(right, child)) {
        least += 1
        child = right
      }
      if (!isBefore(child, last)) break
      heap[place] = child
      place = least
    }
    heap[place] = last
  }

  const nextEntry = (): Entry | null => {
    for (;;) {
      const [first] = heap
      if (first === undefined) return null
      if (first.happen !== null) return first
      pop()
    }
  }

  /** Lets the next round ring that begins before then, and not after `until`. */
  const ringBefore = (before: number, until: number): boolean => {
    for (;;) {
      let next: { readonly of: object; readonly round: Round; readonly ring: () => void } | null = null
      let nextAt = before
      for (const [of, round] of rounds) {
        const { ring } = round
        if (ring === null || round.dueAt >= nextAt || round.dueAt > until) continue
        const wakes = Math.max(at, wakesAt(of, round.dueAt))
        if (wakes >= nextAt || wakes > until) continue
        next = { of, round, ring }
        nextAt = wakes
      }
      if (next === null) return false
      at = nextAt
      if (findsNothing(next.of)) continue
      next.round.ring = null
      next.ring()
      return true
    }
  }

  return {
    now: () => at,
    rounds,
    nextAt() {
      let next = nextEntry()?.at ?? Number.POSITIVE_INFINITY
      for (const [of, { ring, dueAt }] of rounds)
        if (ring !== null && dueAt < next) next = Math.min(next, Math.max(at, wakesAt(of, dueAt)))
      return next
    },
    happened: () => happened,
    after(ms, happen) {
      const entry: Entry = {
        at: at + (ms > 0 ? ms : 0),
        order: (order += 1),
        happen,
        cancel: () => {
          entry.happen = null
        },
      }
      push(entry)
      return entry
    },
    async advance(until) {
      // From here on we are a reaction ourselves; and what was called since settles first.
      await Promise.resolve()
      await settled()
      for (;;) {
        const entry = nextEntry()
        const entryAt = entry === null ? Number.POSITIVE_INFINITY : entry.at
        if (!ringBefore(entryAt, until)) {
          if (entry === null || entryAt > until) break
          pop()
          at = entryAt
          entry.happen?.()
        }
        if ((happened += 1) > happeningsMost) throw new Error('it never comes to rest')
        await settled()
        look()
      }
      at = until
    },
  }
}

/**
 * Until nobody has anything left to do in this instant: a tick that is asked for by a reaction of a promise comes after all
 * the other ones, and costs no turn of the event loop.
 */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve))
