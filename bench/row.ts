/** What a row of the bench is, and what it hands back. */

/** One number that a row is judged by. */
export interface Figure {
  /** As it stands in the table and in `results.json`. */
  readonly name: string
  /** The bare code that it is compared with; `-` where it is compared with a clock. */
  readonly reference: string
  /**
   * `at least`: the figure is a rate divided by the reference's rate, so more than 1 is faster than the reference.
   * `at most`: it is a time, divided by the reference's time or in milliseconds, so less is faster.
   */
  readonly direction: 'at least' | 'at most'
  /** `ratio` where there is a reference, else `ms`. */
  readonly unit: 'ratio' | 'ms'
  /** Null: it is shown and not judged. */
  readonly bound: number | null
}

/** What the rounds of a row brought for one figure. */
export interface Series {
  /** The figure, round by round. */
  readonly rounds: readonly number[]
  /** The same for the reference against a second copy of itself: how far it lies from 1 is noise. */
  readonly noise: readonly number[]
}

export interface Row<Name extends string = string> {
  /** What `npm run bench -- <row>` calls it; its file is named after it. */
  readonly name: string
  readonly figures: Readonly<Record<Name, Figure>>
  /**
   * Processes that measure it one after another, their rounds taken together. More than one where the compiler decides
   * anew in each process how good the code of a variant gets.
   */
  readonly processes: number
  /** Runs in a process of its own. */
  measure(): Promise<Readonly<Record<Name, Series>>>
}

/** A figure as `results.json` has it. */
export interface Result extends Pick<Figure, 'reference' | 'direction' | 'unit' | 'bound'> {
  readonly row: string
  /** Median of the rounds; milliseconds where the unit is `ms`. */
  readonly ratio: number
  /** A quarter of the rounds lie below. */
  readonly low: number
  /** A quarter of the rounds lie above. */
  readonly high: number
  /** How far the middle half of the rounds of the reference against its copy reaches from 1. */
  readonly noise: number
  readonly ok: boolean
  /** Day of the measurement (ISO 8601). */
  readonly measuredOn: string
}
