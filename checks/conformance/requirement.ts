/** What a specification requires of us, and what shows that it is so. */

/** `text`: said in the specification without one of the words of RFC 2119. */
export type Level = 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT' | 'text'

/**
 * Whom it binds. `client`: Tokenkeep, as a client of providers and of APIs. `drop-in`: the endpoints at which Tokenkeep is an
 * authorization server to its callers. `receiver`: where providers send signed tokens.
 */
export type Binds = 'client' | 'drop-in' | 'receiver'

interface Said {
  /** The section, a hyphen, and a word that makes it the only one of its specification: `2.3.1-encoded`. */
  readonly id: string
  readonly level: Level
  readonly binds: Binds
  /** In our own words. */
  readonly says: string
}

/** `package/file: name of the test`, as the file writes it. */
export type TestReference = `${string}/${string}: ${string}`

/** Shown by tests; or it does not apply, and why; or it is done otherwise, on purpose; or it is open, and what is missing. */
export type Requirement = Said &
  (
    | { readonly shownBy: readonly TestReference[]; readonly note?: string }
    | { readonly doesNotApply: string }
    | { readonly otherwise: string }
    | { readonly open: string }
  )

export interface Specification {
  /** `RFC 6749`. Also the beginning of the ids of its requirements, as a reader names them. */
  readonly name: string
  readonly title: string
  readonly url: string
  /** What of it is not in the table. */
  readonly without?: string
  readonly requirements: readonly Requirement[]
}

export const rfc = (
  number: number,
  title: string,
  requirements: readonly Requirement[],
  without?: string,
): Specification => ({
  name: `RFC ${number}`,
  title,
  url: `https://www.rfc-editor.org/rfc/rfc${number}`,
  ...(without === undefined ? {} : { without }),
  requirements,
})
