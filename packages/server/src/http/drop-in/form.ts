/**
 * Reads `application/x-www-form-urlencoded` as the token endpoint has it (RFC 6749 sections 3.1, 3.2 and appendix B).
 *
 * Own, because parsers made for web pages take the last of two equal parameters, mend broken escapes in silence, and
 * cost as much as all the rest of a request.
 */
import { OAuthRefusal } from './refusal.ts'

export interface Form {
  /** Undefined: absent, or without a value, which is the same (RFC 6749 section 3.2). */
  get(name: Exclude<ParameterName, 'resource'>): string | undefined
  /** The one parameter that may come more than once (RFC 8707 section 2). */
  readonly resources: readonly string[]
}

/** Those that mean something here. All others are ignored, as RFC 6749 section 3.2 has it. */
export const PARAMETERS = [
  'grant_type',
  'refresh_token',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'scope',
  'resource',
  'token',
  'token_type_hint',
  'logout_token',
  'subject_token',
  'subject_token_type',
  'actor_token',
  'requested_token_type',
  'audience',
] as const
export type ParameterName = (typeof PARAMETERS)[number]

/** Nobody needs so many; and whoever sends more wants to keep us busy. */
const PARAMETERS_MAX = 100

/**
 * @throws OAuthRefusal `invalid_request`: a parameter comes twice, an escape is none, or what it spells is not UTF-8
 */
export function parseForm(body: string): Form {
  // What is printable may stand for itself, as curl sends it; a line break at the end would become part of a value.
  if (/[^\x20-\x7e]/.test(body)) throw malformed('the body has characters that a form has only escaped')
  const given = new Map<string, string>()
  const resources: string[] = []
  let from = 0
  while (from <= body.length) {
    const ampersand = body.indexOf('&', from)
    const end = ampersand === -1 ? body.length : ampersand
    if (end > from) {
      const equals = body.indexOf('=', from)
      const named = equals === -1 || equals > end ? end : equals
      const name = decode(body.slice(from, named))
      const value = named === end ? '' : decode(body.slice(named + 1, end))
      if (name === 'resource') {
        if (value !== '') resources.push(value)
      } else if (given.has(name)) throw malformed(`${nameOf(name)} is given twice`)
      else given.set(name, value)
      if (given.size + resources.length > PARAMETERS_MAX) throw malformed('there are too many parameters')
    }
    from = end + 1
  }
  return { get: (name) => given.get(name) || undefined, resources }
}

/**
 * One name or value; also the two halves of Basic credentials (RFC 6749 section 2.3.1).
 *
 * @throws OAuthRefusal `invalid_request`
 */
export function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw malformed('the body has an escape that is none, or that spells no UTF-8')
  }
}

const malformed = (description: string): OAuthRefusal => new OAuthRefusal('invalid_request', description)

/** A name as an answer may repeat it: whoever swaps name and value sends a secret as the name. */
const nameOf = (name: string): string => PARAMETERS.find((known) => known === name) ?? 'a parameter'
