/** Which state of a thing was seen, and whether it is still that one (RFC 9110 sections 8.8.3 and 13.1.1). */
import { hash } from 'node:crypto'
import { TokenError } from '@tokenkeep/core'
import type { OperationId } from '../api/operations.ts'
import { HttpProblem } from './problem.ts'

/** Operations that answer an `ETag`, and hear an `If-Match` where they change something. */
export const CONDITIONAL = [
  'getConnection',
  'labelConnection',
  'getProvider',
  'putProvider',
  'getClient',
  'putClient',
] as const satisfies readonly OperationId[]
export type Conditional = (typeof CONDITIONAL)[number]

/** What an `If-Match` names: any state at all, or one of these, as they stand in an `ETag`. */
export type IfMatch = 'any' | readonly string[]

/** A connection by what people edit of it, its labels: a refresh in between makes nobody's edit a conflict. */
export const tagOfConnection = ({ uid, labels }: { readonly uid: string; readonly labels: Labels }): string =>
  `"${hash('sha256', JSON.stringify([uid, Object.entries(labels).sort(byName)]), 'base64url').slice(0, TAG_LENGTH)}"`
type Labels = Readonly<Record<string, string>>
const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : 1)
const TAG_LENGTH = 22

/** A provider or a client: its revision changes with its settings alone. */
export const tagOfRevision = ({ revision }: { readonly revision: number }): string => `"${revision}"`

/** @param answer of that operation, as it travels */
export function tagOf(operation: Conditional, answer: unknown): string {
  switch (operation) {
    case 'getConnection':
    case 'labelConnection':
      return tagOfConnection(answer as Parameters<typeof tagOfConnection>[0])
    case 'getProvider':
    case 'putProvider':
    case 'getClient':
    case 'putClient':
      return tagOfRevision(answer as Parameters<typeof tagOfRevision>[0])
  }
}

/** @throws HttpProblem `invalid_input`: it is no list of entity tags */
export function readIfMatch(header: string | undefined): IfMatch | null {
  if (header === undefined) return null
  const text = header.trim()
  if (text === '*') return 'any'
  if (!LIST_OF_TAGS.test(text)) {
    const errors = [{ in: 'header', name: 'If-Match', detail: 'must be "*", or ETags as they were answered' }] as const
    throw new HttpProblem('invalid_input', 'in the header, If-Match must be "*", or ETags as they were answered', {
      errors,
    })
  }
  // One that is weak never matches: it would not be one of ours.
  return [...text.matchAll(ONE_TAG)].map(([tag]) => tag).filter((tag) => !tag.startsWith('W/'))
}
const LIST_OF_TAGS = /^(?:W\/)?"[\x21\x23-\x7e]{0,200}"(?:[ \t]*,[ \t]*(?:W\/)?"[\x21\x23-\x7e]{0,200}"){0,20}$/
const ONE_TAG = /(?:W\/)?"[^"]*"/g

/** @throws TokenError `changed_meanwhile` */
export function assertMatch(ifMatch: IfMatch, tag: string | null, id: string): void {
  if (tag !== null && (ifMatch === 'any' || ifMatch.includes(tag))) return
  throw new TokenError(
    'changed_meanwhile',
    tag === null
      ? `there is no "${id}" whose state If-Match could name.`
      : `"${id}" was changed since the state that If-Match names: read it again, and make your change to what is there now.`,
    { subject: id },
  )
}
