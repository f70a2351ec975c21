/**
 * The next state from an outcome and its ancestry (`PROTOCOL.md` sections 4.9, 6 and 8).
 *
 * A granted answer is accepted by what it answers: the current refresh token, its parent, or an older one. Every other
 * outcome counts only under the current fence. Pure, like `lease.ts`.
 */
import type {
  BackOff,
  ConnectionRow,
  NeedsUserReason,
  Presenting,
  Ready,
  RefreshTokenLife,
  SealedGrant,
  Sibling,
  StoredAccessToken,
  Suspect,
} from './connection.ts'
import { assertNever } from './failures.ts'
import type { End, LeftInDoubt, Misconfigured, Rejected, Unavailable } from './grant.ts'
import { next, type Fence, type OwnerId } from './ids.ts'
import { doubted, openAttemptOf, written, type Lease } from './lease.ts'
import { blockedMs, type Terms } from './policy.ts'
import type { CommitResult, Kept } from './ports.ts'
import { runsAgain } from './provider.ts'
import { sessionEndAfter } from './session-end.ts'
import {
  allSpent,
  backOffOf,
  changedSibling,
  counted,
  currentAsSibling,
  presentedSibling,
  siblingFrom,
  siblingToTry,
  withSiblings,
} from './sibling.ts'
import { later, since, type Moment, type UnixMs } from './time.ts'

export interface Concluded {
  readonly kind: CommitResult['kind']
  /** The row to write; the same object as before where nothing changes. */
  readonly row: ConnectionRow
}

/** Who writes, when by store time, and one random draw for a back-off. */
export interface Writing {
  readonly owner: OwnerId
  readonly now: Moment
  readonly draw: number
}

/** Ends the attempt of `lease` with `end`. */
export function commit(row: ConnectionRow, terms: Terms, lease: Lease, end: End, writing: Writing): Concluded {
  if (end.kind === 'granted') return accept(row, terms, keptFrom(lease, end.granted), writing)
  const attempt = openAttemptOf(row, lease)
  if (attempt === null) {
    const again = row.lastEnd?.attempt === lease.attempt && row.lastEnd.kind === end.kind
    return { kind: again ? 'again' : 'history', row }
  }
  const ended: ConnectionRow = { ...row, lastEnd: { attempt: lease.attempt, kind: end.kind } }
  const after =
    row.state.status === 'presenting' ? conclude(ended, row.state, terms, end, writing) : endedWhileDeleting(ended)
  return { kind: 'committed', row: written(after, terms, writing.owner, writing.now) }
}

/** What identifies a granted answer, with or without the lease that brought it. */
export const keptFrom = (lease: Lease, granted: SealedGrant): Kept => ({
  uid: lease.uid,
  grant: lease.grant,
  answers: lease.answers,
  fence: lease.fence,
  attempt: lease.attempt,
  granted,
})

const endedWhileDeleting = (row: ConnectionRow): ConnectionRow =>
  row.state.status === 'deleting' ? { ...row, state: { ...row.state, attempt: null } } : row

// ---- granted: by ancestry ------------------------------------------------------------------------------------------

/** Takes a granted answer, from a lease, a slot or memory, at any time after it was sent. */
export function accept(row: ConnectionRow, terms: Terms, kept: Kept, writing: Writing): Concluded {
  const { status } = row.state
  const dying = status === 'deleting' || status === 'erased'
  const nobodys: Concluded = { kind: dying ? 'revoke' : 'history', row }
  if (row.uid !== kept.uid) return nobodys
  if (isRecorded(row, kept)) return { kind: 'again', row }
  if (status === 'erased' || row.grant !== kept.grant) return nobodys

  const current = row.refreshToken?.fingerprint ?? null
  const different = kept.granted.refreshToken !== null && kept.granted.refreshToken.fingerprint !== current
  if (kept.answers === current) {
    if (!different) return refreshedInPlace(row, terms, kept, writing)
    return laterAttemptOpen(row, kept) ? hold(row, terms, kept, writing) : replace(row, terms, kept, writing)
  }
  const sibling = row.siblings.find(({ refreshToken }) => refreshToken.fingerprint === kept.answers)
  if (sibling !== undefined) return answeredSibling(row, terms, kept, sibling, writing)
  const neverPresented = row.refreshToken?.presentations === 0
  const laterThanCurrent = row.lastGrant === null || kept.fence > row.lastGrant.fence
  if (dying || !different || kept.answers === null || kept.answers !== row.parent) return nobodys
  if (neverPresented && laterThanCurrent) return replace(row, terms, kept, writing)
  return holdAsSibling(row, terms, kept, writing)
}

function isRecorded(row: ConnectionRow, kept: Kept): boolean {
  if (row.lastGrant?.attempt === kept.attempt) return true
  if (row.successor?.attempt === kept.attempt) return true
  if (row.siblings.some(({ attempt }) => attempt === kept.attempt)) return true
  // The pair of this answer stands in the row already, brought by an earlier commit of the same answer.
  const { refreshToken } = kept.granted
  return (
    refreshToken !== null &&
    kept.answers !== null &&
    kept.answers === row.parent &&
    refreshToken.fingerprint === row.refreshToken?.fingerprint
  )
}

function laterAttemptOpen(row: ConnectionRow, kept: Kept): boolean {
  if (row.state.status !== 'presenting' || row.state.attempt.id === kept.attempt) return false
  // A row whose fences went back has forgotten this answer's attempt: what is open there was acquired, and sent, later.
  return row.state.attempt.fence >= kept.fence || kept.fence > row.fence
}

/** A later attempt has a later fence, also where the store lost the last ones. */
const laterFence = (row: ConnectionRow, kept: Kept): Fence => (kept.fence > row.fence ? kept.fence : row.fence)

/** An attempt for the same refresh token is open that was sent later: its answer would win, so this one waits for it. */
function hold(row: ConnectionRow, terms: Terms, kept: Kept, writing: Writing): Concluded {
  if (row.successor !== null && row.successor.fence > kept.fence) return holdAsSibling(row, terms, kept, writing)
  const held = {
    ...row,
    fence: laterFence(row, kept),
    successor: { attempt: kept.attempt, fence: kept.fence, grant: kept.granted },
  }
  const siblings = withSiblings(row.siblings, successorAsSibling(row))
  return { kind: 'successor', row: written({ ...held, siblings }, terms, writing.owner, writing.now) }
}

/** It lost to a later one, and is kept as a last resort. */
function holdAsSibling(row: ConnectionRow, terms: Terms, kept: Kept, writing: Writing): Concluded {
  const siblings = withSiblings(row.siblings, siblingFrom(kept))
  return { kind: 'sibling', row: written({ ...row, siblings }, terms, writing.owner, writing.now) }
}

const successorAsSibling = ({ successor, refreshToken }: ConnectionRow): Sibling | null =>
  successor && siblingFrom({ ...successor, answers: refreshToken?.fingerprint ?? null, granted: successor.grant })

/**
 * A sibling was granted: it is the parent of what it brought, or current itself where no other refresh token came. While
 * an attempt for another token is open, what it brought waits as a sibling, too.
 */
function answeredSibling(row: ConnectionRow, terms: Terms, kept: Kept, sibling: Sibling, writing: Writing): Concluded {
  if (laterAttemptOpen(row, kept)) return holdAsSibling(row, terms, kept, writing)
  const came = kept.granted.refreshToken
  if (came !== null && came.fingerprint !== sibling.refreshToken.fingerprint) return replace(row, terms, kept, writing)
  const { presentations: _presentations, ...stands } = sibling.refreshToken
  const granted = { ...kept.granted, refreshToken: stands }
  return replace(row, terms, { ...kept, answers: sibling.answers, granted }, writing)
}

/** A different refresh token: a new generation, from whatever state. */
function replace(row: ConnectionRow, terms: Terms, kept: Kept, writing: Writing): Concluded {
  return {
    kind: 'committed',
    row: written(withGrant(row, terms, kept, writing.now), terms, writing.owner, writing.now),
  }
}

function withGrant(row: ConnectionRow, terms: Terms, kept: Kept, now: Moment): ConnectionRow {
  const { refreshToken, scope } = kept.granted
  const replaced = {
    ...row,
    siblings: siblingsAfter(row, kept),
    generation: next(row.generation),
    parent: kept.answers,
    refreshToken: refreshToken && { ...refreshToken, ...lifeAfter(row, terms, kept.granted), presentations: 0 },
    accessTokens: withAccessToken(row, terms, kept, now.wall),
    scope: scope ?? row.scope,
    successor: null,
  }
  return { ...replaced, ...afterGrant(row, terms, kept, replaced.refreshToken, now) }
}

/**
 * What stays a last resort once `kept` is the current pair: other answers to the token that it answers. The token before
 * was granted, so its own siblings are of no use any more.
 */
function siblingsAfter(row: ConnectionRow, kept: Kept): readonly Sibling[] {
  const held = row.successor?.attempt === kept.attempt ? null : successorAsSibling(row)
  const lost = kept.answers === row.parent ? currentAsSibling(row) : null
  const alike = row.siblings.filter(({ answers, attempt }) => answers === kept.answers && attempt !== kept.attempt)
  return withSiblings(alike.length === row.siblings.length ? row.siblings : alike, held, lost)
}

/**
 * Where the end of a sign-in is fixed and answers are silent about it, a successor has the same end. An answer without an
 * access token was cut, or is an odd one, and its silence says nothing: what it brought lives as long as the one before,
 * or it would not be refreshed before an end that nobody could read.
 */
function lifeAfter(row: ConnectionRow, terms: Terms, granted: SealedGrant): Partial<RefreshTokenLife> {
  if (granted.refreshTokenLife !== undefined) return lifeOf(granted.refreshTokenLife)
  const standing = row.refreshToken
  if (standing === null || granted.refreshToken === null || granted.refreshToken.endsAt !== null) return {}
  if (terms.provider.refreshTokenAbsoluteMs !== null) return lifeOf(standing)
  if (granted.accessToken !== null || standing.endsAt === null) return {}
  if (row.lastGrant?.sessionEnd !== undefined) return lifeOf(standing)
  const { receivedAt } = granted.refreshToken
  const lifetimeMs = standing.lifetimeMs ?? since(standing.receivedAt, standing.endsAt)
  return { receivedAt, endsAt: later(receivedAt, lifetimeMs), lifetimeMs }
}

const lifeOf = ({ receivedAt, endsAt, lifetimeMs }: RefreshTokenLife): RefreshTokenLife => ({
  receivedAt,
  endsAt,
  lifetimeMs,
})

/** The refresh token stays: its count begins anew, and an access token replaces one of its variant by a later fence. */
function refreshedInPlace(row: ConnectionRow, terms: Terms, kept: Kept, writing: Writing): Concluded {
  const overtaken = row.lastGrant !== null && row.lastGrant.fence > kept.fence
  const open = laterAttemptOpen(row, kept)
  if (overtaken || open) {
    const accessTokens = withAccessToken(row, terms, kept, writing.now.wall)
    if (accessTokens === row.accessTokens) return { kind: 'history', row }
    return { kind: 'committed', row: written({ ...row, accessTokens }, terms, writing.owner, writing.now) }
  }
  const standing = row.refreshToken
  // An answer may announce another end for the token that stays, or that it has none; silence takes back nothing.
  const { refreshToken: again } = kept.granted
  const said = kept.granted.refreshTokenLife ?? (again === null || again.endsAt === null ? undefined : again)
  const refreshToken = standing && { ...standing, presentations: 0, ...(said === undefined ? {} : lifeOf(said)) }
  const updated: ConnectionRow = {
    ...row,
    refreshToken,
    // It works, so nothing that lost to it is needed.
    siblings: row.siblings.length === 0 ? row.siblings : [],
    accessTokens: withAccessToken(row, terms, kept, writing.now.wall),
    scope: kept.granted.scope ?? row.scope,
    ...afterGrant(row, terms, kept, refreshToken, writing.now),
  }
  return { kind: 'committed', row: written(updated, terms, writing.owner, writing.now) }
}

/** What every granted answer does to the state. */
function afterGrant(
  row: ConnectionRow,
  terms: Terms,
  kept: Kept,
  refreshToken: RefreshTokenLife | null,
  now: Moment,
): Pick<ConnectionRow, 'fence' | 'state' | 'presentNow' | 'signedOutAt' | 'lastGrant' | 'lastEnd' | 'forced'> {
  const attempt = openAttemptOf(row, kept)
  const fixed = terms.provider.refreshTokenAbsoluteMs !== null
  const sessionEnd = sessionEndAfter(row, refreshToken, fixed, terms.policy, now.wall)
  // Not by times: after a start of the machine its clock counts from nought, and each grant would seem to be from before the event.
  const clears = row.signedOutAt === null || (attempt !== null && attempt.signedOutMeanwhile !== true)
  const ready: Ready = { status: 'ready', backOff: null }
  const marked: Suspect = { status: 'suspect', firstRefusedAt: now, refusals: 0, believed: null, backOff: null }
  return {
    state:
      row.state.status === 'deleting'
        ? { ...row.state, attempt: attempt === null ? row.state.attempt : null }
        : clears
          ? ready
          : marked,
    presentNow: null,
    signedOutAt: clears ? null : row.signedOutAt,
    fence: laterFence(row, kept),
    lastGrant: {
      at: now.wall,
      attempt: kept.attempt,
      fence: kept.fence,
      ...(sessionEnd === null ? {} : { sessionEnd }),
    },
    lastEnd: { attempt: kept.attempt, kind: 'granted' },
    // A refresh that no 401 had asked for shows that the storm is over.
    forced: row.accessTokens.some((token) => token.refusedAt !== null) ? row.forced : null,
  }
}

function withAccessToken(row: ConnectionRow, terms: Terms, kept: Kept, now: UnixMs): readonly StoredAccessToken[] {
  const arrived = kept.granted.accessToken
  const old = terms.provider.refreshKillsAccessToken ? [] : row.accessTokens
  if (arrived === null) return old.length === row.accessTokens.length ? row.accessTokens : old
  const same = row.accessTokens.find((token) => token.variant === arrived.variant)
  if (same !== undefined && same.fence >= kept.fence) return row.accessTokens
  // Narrower tokens that have ended go, or a row would grow with every scope ever asked for.
  const others = old.filter(
    (token) => token.variant !== arrived.variant && (token.variant === '' || token.expiresAt > now),
  )
  return [...others, { ...arrived, fence: kept.fence, refusedAt: null }]
}

// ---- everything else: under the current fence ----------------------------------------------------------------------

function conclude(
  row: ConnectionRow,
  state: Presenting,
  terms: Terms,
  end: Exclude<End, { kind: 'granted' }>,
  writing: Writing,
): ConnectionRow {
  // A good answer to this refresh token is already here. Whatever the later attempt was told, that one wins.
  if (row.successor !== null) return promoted(row, terms, writing.now)
  const sibling = presentedSibling(row, state.attempt)
  if (sibling !== null && end.kind === 'rejected') return siblingRefused(row, state, sibling, writing)
  switch (end.kind) {
    case 'rejected':
      return rejected(row, state, terms, end, writing)
    case 'unavailable':
      return backedOff(row, state, end, writing)
    case 'not_sent':
      return backedOff(counted(row, state.attempt, -1), state, { retryAfterMs: null }, writing)
    case 'misconfigured':
      return misconfigured(row, state, terms, end, writing)
    case 'in_doubt':
      return inDoubt(row, state, terms, end, writing)
    default:
      return assertNever(end)
  }
}

/** The row once the held answer is its current pair. */
export function promoted(row: ConnectionRow, terms: Terms, now: Moment): ConnectionRow {
  const { successor } = row
  if (successor === null) return row
  const kept: Kept = {
    uid: row.uid,
    grant: row.grant,
    answers: row.refreshToken?.fingerprint ?? null,
    fence: successor.fence,
    attempt: successor.attempt,
    granted: successor.grant,
  }
  return withGrant(row, terms, kept, now)
}

function backedOff(
  row: ConnectionRow,
  state: Presenting,
  end: Pick<Unavailable, 'retryAfterMs'>,
  writing: Writing,
): ConnectionRow {
  const { from } = state
  const backOff: BackOff = {
    failures: (backOffOf(row, state)?.failures ?? 0) + 1,
    failedAt: writing.now,
    draw: writing.draw,
    notBefore: notBefore(end, writing),
  }
  const sibling = presentedSibling(row, state.attempt)
  if (sibling !== null) {
    return { ...row, state: from, siblings: changedSibling(row.siblings, sibling, { backOff }) }
  }
  return { ...row, state: from.status === 'needs_user' ? from : { ...from, backOff } }
}

/** Its verdict is its own: what was known of the current refresh token is what it was. */
function siblingRefused(row: ConnectionRow, { from }: Presenting, sibling: Sibling, { now }: Writing): ConnectionRow {
  const siblings = changedSibling(row.siblings, sibling, { spent: true })
  const reason = from.status === 'suspect' && siblingToTry(siblings) === null ? from.believed : null
  return { ...row, siblings, state: reason === null ? from : { status: 'needs_user', reason, since: now.wall } }
}

const notBefore = (end: Pick<Unavailable, 'retryAfterMs'>, { now }: Writing): UnixMs | null =>
  end.retryAfterMs === null ? null : later(now.wall, end.retryAfterMs)

function inDoubt(
  row: ConnectionRow,
  state: Presenting,
  terms: Terms,
  end: LeftInDoubt,
  writing: Writing,
): ConnectionRow {
  return doubted(row, state, terms, {
    by: writing.owner,
    promptAfterMs: end.endSeen ? terms.policy.promptRetryAfterMs : null,
    silentSince: null,
    notBefore: notBefore(end, writing),
    draw: writing.draw,
    now: writing.now,
  })
}

function rejected(row: ConnectionRow, state: Presenting, terms: Terms, end: Rejected, writing: Writing): ConnectionRow {
  const { now } = writing
  if (runsAgain(row.grantType)) {
    // There is no sign-in that could be over: the provider refuses the client, or what it showed beside.
    const reason = row.grantRequest === null ? 'client' : 'grant'
    return misconfigured(row, state, terms, { kind: 'misconfigured', reason, word: end.word }, writing)
  }
  const believed = believedReason(row, state, end)
  // The provider's own word about the whole sign-in, or a sign-out: the siblings are as dead, and stay for their revocation.
  const final = end.word !== 'invalid_grant' || row.signedOutAt !== null
  const siblings = believed !== null && final ? allSpent(row.siblings) : row.siblings
  if (believed !== null && siblingToTry(siblings) === null) {
    return { ...row, siblings, state: { status: 'needs_user', reason: believed, since: now.wall } }
  }
  const { from } = state
  const refusals = from.status === 'suspect' ? from.refusals : 0
  const suspect: Suspect = {
    status: 'suspect',
    firstRefusedAt: refusals === 0 || from.status !== 'suspect' ? now : from.firstRefusedAt,
    refusals: refusals === 0 ? 1 : 2,
    believed,
    backOff: null,
  }
  return { ...row, state: suspect }
}

/** Why a refusal is believed at once; null: it is confirmed first. */
function believedReason(row: ConnectionRow, state: Presenting, end: Rejected): NeedsUserReason | null {
  if (end.word === 'interaction_required') return 'interaction_required'
  if (state.from.status === 'suspect' && state.from.believed !== null) return state.from.believed
  if (row.signedOutAt !== null) return 'signed_out'
  // Refused after a presentation without an answer: probably that one was granted. Never called revoked.
  if (state.from.status === 'in_doubt') return 'answer_lost'
  if (end.word === 'reused') return 'reused'
  if (state.attempt.why === 'last') return 'expired'
  return state.from.status === 'suspect' && state.from.refusals === 2 ? 'revoked' : null
}

function misconfigured(
  row: ConnectionRow,
  state: Presenting,
  terms: Terms,
  end: Misconfigured,
  writing: Writing,
): ConnectionRow {
  // What one caller asked for hurts nobody else.
  if (end.reason === 'asked') return { ...row, state: state.from }
  const failures = state.attempt.blockedFailures + 1
  return {
    ...row,
    state: {
      status: 'blocked',
      from: state.from,
      // RFC 8693 section 2.2.2: a subject token that is not accepted is an invalid request.
      reason: end.reason === 'request' && row.grantRequest !== null ? 'grant' : end.reason,
      word: end.word,
      failures,
      retryAt: later(writing.now.wall, blockedMs(failures, terms.policy)),
      clientRevision: terms.client.revision,
      providerRevision: terms.provider.revision,
    },
  }
}
