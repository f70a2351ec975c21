/** What states, reasons and outcomes mean, in plain words, and what to do. `docs/errors.md` says the same; a test compares. */
import type { Blocked, Connection, Outcome, Presentation, Reason, Status } from './contract.ts'

export type Tone = 'good' | 'busy' | 'doubt' | 'warn' | 'bad' | 'quiet'

export interface StatusWords {
  readonly name: string
  readonly tone: Tone
  /** One sentence about such a connection. */
  readonly means: string
}

export const STATUS: Readonly<Record<Status, StatusWords>> = {
  ready: { name: 'healthy', tone: 'good', means: 'It works. It is refreshed by itself before its access token ends.' },
  presenting: { name: 'refreshing', tone: 'busy', means: 'Its refresh token is at the provider at this moment.' },
  in_doubt: {
    name: 'in doubt',
    tone: 'doubt',
    means: 'The refresh token was perhaps sent, and no answer came. It is presented again when that is safe.',
  },
  suspect: {
    name: 'suspect',
    tone: 'warn',
    means:
      'The provider refused the refresh token, or its user signed out. That is confirmed before anybody is bothered.',
  },
  blocked: {
    name: 'blocked',
    tone: 'bad',
    means: 'The provider refuses us, not the sign-in. Whoever runs this has to mend something; nothing is lost.',
  },
  needs_user: { name: 'needs a person', tone: 'bad', means: 'Only a person can bring it back, by signing in again.' },
  deleting: { name: 'being deleted', tone: 'quiet', means: 'Its refresh token is being revoked at the provider.' },
  erased: { name: 'erased', tone: 'quiet', means: 'Every secret of it is erased.' },
}

export interface Advice {
  readonly why: string
  readonly what: string
}

const SIGN_IN = 'Make a reconnect link and send it to the person.'

export const REASON: Readonly<Record<Reason, Advice>> = {
  revoked: {
    why: 'The refresh token was refused three times within a minute, outside of any doubt.',
    what: `Somebody ended the sign-in at the provider. ${SIGN_IN}`,
  },
  expired: {
    why: "The refresh token's announced end has passed, and its last presentation was refused.",
    what: `Sign-ins end after a time there. ${SIGN_IN}`,
  },
  answer_lost: {
    why: 'An answer was lost, probably with the new refresh token in it; the old one is refused.',
    what: `It may still come back by itself with a late answer. If not: ${lower(SIGN_IN)}`,
  },
  reused: {
    why: 'The provider says that a spent refresh token was seen: another program may hold a copy.',
    what: `Find who else uses this refresh token, or it ends again. Then: ${lower(SIGN_IN)}`,
  },
  signed_out: { why: 'The user signed out at the provider.', what: `If that was not meant: ${lower(SIGN_IN)}` },
  interaction_required: {
    why: 'The provider wants the user: consent, a new sign-in.',
    what: SIGN_IN,
  },
  no_refresh_token: {
    why: 'There never was a refresh token, and the access token has ended.',
    what: `Ask for offline access when signing in. ${SIGN_IN}`,
  },
}

export const BLOCKED: Readonly<Record<Blocked, Advice>> = {
  client: {
    why: 'The provider refuses our client: its id, its secret, its key or what it may do.',
    what: 'Compare the client with its registration at the provider and mend it. A change is tried at once.',
  },
  endpoint: {
    why: 'The token endpoint is not where we ask, or answers nothing that could be one.',
    what: "Correct the provider's addresses. A change is tried at once.",
  },
  request: {
    why: 'The provider refuses the request itself: a parameter or a scope.',
    what: "Look at the provider's settings of requests, and at the scope that was asked for.",
  },
  grant: {
    why: 'The provider refuses this grant without a person.',
    what: 'See that the client may use it, and that its assertion or source still is right. A change is tried at once.',
  },
}

/** What a connection is in, why, and what somebody can do; null: nobody has to. */
export function adviceOf({
  status,
  reason,
  blocked,
}: Pick<Connection, 'status' | 'reason' | 'blocked'>): Advice | null {
  if (status === 'needs_user' && reason !== null) return REASON[reason]
  if (status === 'blocked' && blocked !== null) return BLOCKED[blocked]
  if (status === 'in_doubt')
    return {
      why: STATUS.in_doubt.means,
      what: 'Wait. Or present it now, once: at a strict provider that can end the sign-in.',
    }
  if (status === 'suspect') return { why: STATUS.suspect.means, what: 'Wait for the next try.' }
  return null
}

export interface OutcomeWords {
  readonly name: string
  readonly tone: Tone
}

/** The first word of an outcome says what came of it; what follows a comma, where it was kept. */
export function outcomeWords(outcome: Outcome): OutcomeWords {
  if (outcome === null) return { name: 'on its way', tone: 'busy' }
  const [kind = '', ...more] = outcome.split(', ')
  const known = OUTCOMES[kind] ?? { name: kind.replaceAll('_', ' '), tone: 'warn' }
  return more.length === 0 ? known : { ...known, name: `${known.name} (${more.join(', ')})` }
}

const OUTCOMES: Readonly<Record<string, OutcomeWords>> = {
  granted: { name: 'granted', tone: 'good' },
  rejected: { name: 'refused', tone: 'bad' },
  unavailable: { name: 'not now', tone: 'warn' },
  not_sent: { name: 'not sent', tone: 'warn' },
  misconfigured: { name: 'our client refused', tone: 'bad' },
  in_doubt: { name: 'no answer', tone: 'doubt' },
  owner_dead: { name: 'its process died', tone: 'doubt' },
  owner_silent: { name: 'its process fell silent', tone: 'doubt' },
  reconnected: { name: 'replaced by a new sign-in', tone: 'quiet' },
}

const WHY: Readonly<Record<string, string>> = {
  fresh: 'a refresh',
  in_doubt: 'the doubt had to be resolved',
  confirm: 'a refusal was confirmed',
  sibling: 'an answer that had lost was tried',
  last: 'a last try',
}
export const whyWords = ({ why }: Pick<Presentation, 'why'>): string => WHY[why] ?? why.replaceAll('_', ' ')

export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}
const numbers = new Intl.NumberFormat('en')
export const number = (value: number): string => numbers.format(value)

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
