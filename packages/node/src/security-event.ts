/**
 * What a security event token says, as far as it is about sign-ins.
 *
 * @see RFC 8417 section 2.2 (claims); CAEP 1.0 sections 2 and 3 (`event_timestamp`, `session-revoked`,
 *   `credential-change`); RFC 9493 section 3 (subject identifiers); Shared Signals Framework 1.0 (complex subjects)
 */
import type { SignedOutBy, UnixMs } from '@tokenkeep/core'
import type { JWTPayload } from 'jose'
import { isRecord } from './input-members.ts'
import { keepable } from './keepable.ts'

/** One thing to be done. `verify`: it is not said that a sign-in is over, only that it may be. */
export type SecurityEventMeans =
  | { readonly kind: 'sign_out'; readonly of: SignedOutBy; readonly at: UnixMs }
  | { readonly kind: 'verify'; readonly subject: string; readonly at: UnixMs }

const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const CREDENTIAL_CHANGE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change'

/**
 * Reads the claims of a token whose signature, type, issuer, audience and time were checked.
 *
 * @param issuer whose subjects are ours
 * @param issuedAt its `iat`; no event in it is later
 * @returns what is to be done: nothing for events, and for subjects, that mean nothing here
 */
export function readSecurityEvent(
  claims: JWTPayload,
  issuer: string | null,
  issuedAt: UnixMs,
): readonly SecurityEventMeans[] | 'claims' {
  const { events } = claims
  if (!isRecord(events) || Object.keys(events).length === 0) return 'claims'
  const means: SecurityEventMeans[] = []
  for (const type of [SESSION_REVOKED, CREDENTIAL_CHANGE]) {
    if (!Object.hasOwn(events, type)) continue
    const event = events[type]
    if (!isRecord(event)) return 'claims'
    // Drafts had the subject inside of the event.
    const identifier = claims['sub_id'] ?? event['subject']
    if (!isRecord(identifier)) return 'claims'
    const of = subjectOf(identifier, issuer)
    const at = momentOf(event['event_timestamp'] ?? claims['toe'], issuedAt)
    means.push(...(type === SESSION_REVOKED ? revoked(of, at) : changed(of, at)))
  }
  return means
}

interface SubjectOf {
  /** Whose sign-ins; null: not said, or not in a way that is known here. */
  readonly subject: string | null
  readonly sessionId: string | null
  /** It is about less than all sign-ins of the subject, and which ones cannot be told. */
  readonly narrower: boolean
}

function revoked({ subject, sessionId, narrower }: SubjectOf, at: UnixMs): readonly SecurityEventMeans[] {
  const session: readonly SecurityEventMeans[] = sessionId === null ? [] : [{ kind: 'sign_out', of: { sessionId }, at }]
  if (subject === null) return session
  if (narrower) return [...session, { kind: 'verify', subject, at }]
  return [...session, { kind: 'sign_out', of: { subject }, at }]
}

/** The sign-ins live on at most servers, and at some they do not. */
const changed = ({ subject }: SubjectOf, at: UnixMs): readonly SecurityEventMeans[] =>
  subject === null ? [] : [{ kind: 'verify', subject, at }]

const NOBODY: SubjectOf = { subject: null, sessionId: null, narrower: false }

function subjectOf(identifier: Readonly<Record<string, unknown>>, issuer: string | null): SubjectOf {
  switch (formatOf(identifier)) {
    case 'iss_sub':
      return { ...NOBODY, subject: userIn(identifier, issuer) }
    case 'opaque': {
      // It is the issuer's own name of a session or of a user, and does not say of which.
      const id = textIn(identifier, 'id')
      return { ...NOBODY, subject: id, sessionId: id }
    }
    case 'complex': {
      const { format: _, subject_type: __, user, session, tenant: ___, ...others } = identifier
      const sessionId = isRecord(session) && formatOf(session) === 'opaque' ? textIn(session, 'id') : null
      const subject = isRecord(user) ? userIn(user, issuer) : null
      // The session alone is meant, not what else its user has.
      if (sessionId !== null) return { ...NOBODY, sessionId }
      return { ...NOBODY, subject, narrower: session !== undefined || Object.keys(others).length > 0 }
    }
    case null:
    default:
      return NOBODY
  }
}

/** Drafts called it `subject_type`, with hyphens; and a complex one was known by what it has. */
function formatOf(identifier: Readonly<Record<string, unknown>>): string | null {
  const format = identifier['format'] ?? identifier['subject_type']
  if (typeof format === 'string') return format.replaceAll('-', '_')
  return isRecord(identifier['user']) || isRecord(identifier['session']) ? 'complex' : null
}

function userIn(user: Readonly<Record<string, unknown>>, issuer: string | null): string | null {
  const format = formatOf(user)
  if (format === 'opaque') return textIn(user, 'id')
  // A subject of another issuer is another one, whatever it is called.
  return format === 'iss_sub' && issuer !== null && user['iss'] === issuer ? textIn(user, 'sub') : null
}

const textIn = (of: Readonly<Record<string, unknown>>, member: string): string | null => {
  const text = of[member]
  return typeof text === 'string' && keepable(text) ? text : null
}

/** As seconds this is the year 5138, as milliseconds 1973: drafts showed milliseconds. */
const SECONDS_MOST = 1e11

/** When it happened: what is sent late must not end a sign-in that was made meanwhile. */
function momentOf(said: unknown, issuedAt: UnixMs): UnixMs {
  if (typeof said !== 'number') return issuedAt
  const at = said > SECONDS_MOST ? said : said * 1000
  // No moment at all: better a sign-in too many that has to show that it lives than one too few.
  return (at >= SECONDS_MOST ? Math.min(at, issuedAt) : issuedAt) as UnixMs
}
