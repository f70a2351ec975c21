/** What a guard is, and how it is switched off: by a change of the text, so that no source has a switch for it. */

/** One text that stands in one file exactly once, and what stands there instead. */
export interface Change {
  /** From the root of the repository. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** The one test that must fail. */
export interface Caught {
  /** From the root of the repository; run alone, in a process of its own. */
  readonly file: string
  /** As the test is called, in full. */
  readonly test: string
}

/** One way in which a guard can be missing. */
export interface Removal {
  /** What is so without it, for people. */
  readonly what: string
  readonly changes: readonly Change[]
  readonly caughtBy: Caught
  /** What the test does not run without. */
  readonly needs?: 'postgres' | undefined
}

export interface Guard {
  /** As `PROTOCOL.md` section 14 counts them. */
  readonly number: number
  /** As it is called there. */
  readonly name: string
  readonly protects: string
  /** Each is made alone. None: nothing of ours stands there that could be removed, and `open` says why. */
  readonly removals: readonly Removal[]
  /** What cannot be shown by removing it, and why. */
  readonly open?: string
}

/** How often a change's text stands in a file. */
export const timesIn = (text: string, { find }: Pick<Change, 'find'>): number => text.split(find).length - 1
