/** What a server answers where it does not do what was asked, as our error. */
import { FAILURE_CODES, TokenError, type FailureCode } from '@tokenkeep/core'
import type { HttpProblemCode } from '../api/problem-codes.ts'
import type { ProblemWire } from '../api/wire.ts'
import { BLOCKED, REASONS } from './known-words.ts'
import { membersOf, UnlikeTheWire, type Members } from './members.ts'

/**
 * @param problem the JSON of an answer that calls itself `application/problem+json` (RFC 9457)
 * @returns the library's error where the server said one, else one that says who has to do what
 * @throws UnlikeTheWire for a problem that no Tokenkeep wrote
 */
export function refusalOf(problem: unknown, { status, server }: { status: number; server: string }): TokenError {
  const said = membersOf<ProblemWire>(problem, 'a problem')
  const code = said.text('code')
  const detail = `${said.text('detail')}${inDetail(said)}`.slice(0, DETAIL_LENGTH_MAX)
  const known = FAILURE_CODES.find((each) => each === code)
  if (known !== undefined && known !== 'closed') {
    return new TokenError(known, detail, {
      subject: said.textOrNull('subject') ?? undefined,
      reason: said.oneOfOrNull('reason', REASONS) ?? undefined,
      blocked: said.oneOfOrNull('blocked', BLOCKED) ?? undefined,
      retryAt: said.momentOrNull('retry_at') as TokenError['retryAt'],
    })
  }
  const { as, what } = ofHttp(code, status)
  return new TokenError(as, `the server at ${server} ${what}: ${detail}`)
}

/** Where several things are wrong, the server says in its sentence only how many. */
function inDetail(said: Members<ProblemWire>): string {
  const errors = said.listOrAbsent('errors', (item) => {
    const error = membersOf<InputErrorWire>(item, 'an error of a problem')
    return `${error.text('name')} ${error.text('detail')}`
  })
  return errors === null || errors.length < 2 ? '' : ` ${errors.join('; ')}.`
}

type InputErrorWire = NonNullable<ProblemWire['errors']>[number]

const DETAIL_LENGTH_MAX = 2000 // Ours are shorter; somebody else's could fill the terminal.

interface Meaning {
  readonly as: FailureCode
  readonly what: string
}

const OTHER_VERSION: Meaning = {
  as: 'invalid_input',
  what: 'does not know this request (it is another version of Tokenkeep, or its URL has a path too many)',
}
const NOT_UNDERSTOOD: Meaning = { as: 'invalid_input', what: 'did not understand the request' }
const LATER: Meaning = { as: 'unavailable', what: 'cannot answer now; try again' }
const MEANINGS: Readonly<Record<HttpProblemCode | 'closed', Meaning>> = {
  malformed_request: NOT_UNDERSTOOD,
  headers_too_large: NOT_UNDERSTOOD,
  unsupported_media_type: NOT_UNDERSTOOD,
  body_too_large: { as: 'invalid_input', what: 'takes no request of this size' },
  unknown_route: OTHER_VERSION,
  method_not_allowed: OTHER_VERSION,
  host_refused: { as: 'invalid_input', what: 'is not known to itself by the name in the URL' },
  origin_refused: { as: 'forbidden', what: 'took the request for one of a web page' },
  request_timeout: LATER,
  overloaded: LATER,
  stopping: LATER,
  // No command calls an API.
  api_unreachable: LATER,
  api_no_answer: LATER,
  api_timeout: LATER,
  // As a word of the library it would be about an object of this process.
  closed: LATER,
  unexpected: { as: 'unavailable', what: 'made a mistake of its own' },
}

function ofHttp(code: string, status: number): Meaning {
  if (Object.hasOwn(MEANINGS, code)) return MEANINGS[code as keyof typeof MEANINGS]
  // A word of a newer server: its status says at least whose turn it is (RFC 9110 section 15).
  const word = /^[a-z_]{1,40}$/.test(code) ? `refused (${code})` : 'refused'
  if (status >= 500) return { as: 'unavailable', what: word }
  if (status === 401) return { as: 'unauthorized', what: word }
  if (status === 403) return { as: 'forbidden', what: word }
  if (status === 429) return { as: 'rate_limited', what: word }
  if (status >= 400) return { as: 'invalid_input', what: word }
  throw new UnlikeTheWire(`a problem has the status ${status}`)
}
