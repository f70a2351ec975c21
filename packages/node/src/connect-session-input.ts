/** What people write about a sign-in that is to come, read and refused with a sentence that says what is wrong. */
import { TokenError, type ConnectionId, type DurationMs } from '@tokenkeep/core'
import { onlyMembers, recordOf, type Refuse } from './input-members.ts'
import { readSignInAsked, SIGN_IN_MEMBERS, type SignInAsked } from './sign-in-asked.ts'
import { readWebUrl } from './web-url.ts'

/** A sign-in that is to come, and the connection that it becomes. */
export interface ConnectSessionInput {
  /** The id of a client. May be left out where `provider` has one only. */
  readonly client?: string | undefined
  /** The id of a provider; needed where there is no `client`. */
  readonly provider?: string | undefined
  /** The connection that it becomes: a new one, or one that is there and gets a new sign-in. Absent: a new one, with an id that is made up. */
  readonly connection?: string | undefined
  /** Of a connection that is new. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Scope tokens separated by spaces; absent: what the provider's data says, or none. */
  readonly scope?: string | undefined
  /** RFC 8707: absolute URIs. */
  readonly resource?: string | readonly string[] | undefined
  /** The sign-in may be of another account than the connection's: said on purpose, or it is refused. */
  readonly otherAccount?: boolean | undefined
  /** Where the person is sent afterwards, an https URL (http to this machine); absent: a page says what was connected. */
  readonly returnTo?: string | undefined
  /** How long a person may begin, milliseconds, from one second to seven days; an hour where absent. */
  readonly expiresInMs?: number | undefined
}

export interface ConnectSessionRead extends SignInAsked {
  readonly returnTo: string | null
  readonly expiresInMs: DurationMs
}

const HOUR_MS = 3_600_000
const WEEK_MS = 7 * 24 * HOUR_MS

/** @throws TokenError `invalid_input` */
export function readConnectSessionInput(
  input: ConnectSessionInput,
  connectionId: (given: unknown) => ConnectionId,
): ConnectSessionRead {
  const given = recordOf('a connect session', input)
  const refuse: Refuse = (sentence) => {
    throw new TokenError('invalid_input', `a connect session: ${sentence}`)
  }
  onlyMembers(given, MEMBERS, refuse)
  const { returnTo } = input
  return {
    ...readSignInAsked(given, input, connectionId, refuse),
    returnTo: returnTo === undefined ? null : readWebUrl('returnTo', returnTo, refuse),
    expiresInMs: readExpiresIn(given['expiresInMs'], refuse),
  }
}

function readExpiresIn(value: unknown, refuse: Refuse): DurationMs {
  const given = value ?? HOUR_MS
  if (typeof given === 'number' && given >= 1000 && given <= WEEK_MS) return given as DurationMs
  return refuse('expiresInMs must be milliseconds, from 1000 (one second) to 604800000 (seven days)')
}

const MEMBERS = [...SIGN_IN_MEMBERS, 'returnTo', 'expiresInMs']
