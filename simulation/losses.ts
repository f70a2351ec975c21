/**
 * Which sign-ins were lost, and whether anybody who had the same answers in hand could have kept them: the server's log
 * says which refresh token lived, and the world where it was.
 */
import type { ConnectionRow, Numbers, Uid } from '@tokenkeep/core'
import type { AuthorizationServer, Issued, SignIn } from './authorization-server.ts'
import type { Presented } from './presentations.ts'
import { fingerprintOf, type Slot } from './process-ports.ts'
import type { Process } from './processes.ts'

/** Why a sign-in is gone. The first four could have been avoided. */
export const AVOIDABLE = ['in_store', 'in_slot', 'in_memory', 'on_its_way'] as const
export const UNAVOIDABLE = [
  'answer_lost',
  'killed_with_answer',
  'frozen_too_long',
  'cut_off_too_long',
  'host_away',
  'store_forgot',
  'late_request',
  'server_lied',
  'operator',
] as const
export type Loss = (typeof AVOIDABLE)[number] | (typeof UNAVOIDABLE)[number]

export const isAvoidable = (loss: Loss): boolean => AVOIDABLE.some((each) => each === loss)

export interface LossesOptions {
  readonly server: AuthorizationServer
  readonly numbers: Numbers
  readonly now: () => number
  readonly presented: readonly Presented[]
  readonly slots: ReadonlySet<Slot>
  readonly processes: readonly Process[]
  readonly rowsOf: () => Iterable<ConnectionRow>
  readonly everStored: ReadonlySet<string>
  /** Refresh tokens that the store had and forgot. */
  readonly forgotten: ReadonlySet<string>
  isOperators(attempt: Presented['attempt']): boolean
}

export interface Losses {
  /** Before the server judges a request: if it ends the sign-in, this is why. */
  reaches(presented: Presented): void
  /** The row says that only a person can help. */
  gaveUp(row: ConnectionRow): void
  /** Why the sign-in of this row is lost; null: it is not. */
  lossOf(row: ConnectionRow, signIn: SignIn): Loss | null
}

export function createLosses(options: LossesOptions): Losses {
  const { server, numbers, presented } = options
  const killedBecause = new Map<SignIn, Loss>()
  const givenUpBecause = new Map<Uid, Loss>()

  const isWell = (process: Process, forMs: number): boolean =>
    process.diedAt === null &&
    process.frozenSince === null &&
    process.cutOffUntil <= options.now() &&
    options.now() - process.wellSince >= forMs

  /** Where a refresh token is. */
  const placeOf = (token: Issued): Loss => {
    const fingerprint = fingerprintOf(token.value)
    for (const row of options.rowsOf()) {
      const held = [
        row.refreshToken,
        row.successor?.grant.refreshToken,
        ...row.siblings.map((each) => each.refreshToken),
      ]
      if (held.some((each) => each?.fingerprint === fingerprint)) return 'in_store'
    }
    const brings = presented.filter(({ carries }) => carries === token)
    if (brings.some(isOvertaken)) return 'late_request'
    const spilled = [...options.slots].filter(({ kept }) => kept.granted.refreshToken?.fingerprint === fingerprint)
    if (options.forgotten.has(fingerprint)) return 'store_forgot'
    for (const { of } of spilled) {
      if (of.diedAt === null) return awayOrAt(of, 'in_slot')
      // Whoever lives on its host proves its death and replays its slots.
      const { diedAt } = of
      const patient = numbers.leaseMs + numbers.patienceMs
      const here = options.processes.some(
        (each) =>
          each.host === of.host && isWell(each, 0) && options.now() - Math.max(diedAt, each.wellSince) > patient / 4,
      )
      return here ? 'in_slot' : 'host_away'
    }
    for (const { by, answer } of brings) {
      if (by.diedAt !== null) continue
      if (answer === 'arrived') return awayOrAt(by, 'in_memory')
      if (answer === 'on_its_way') return awayOrAt(by, 'on_its_way')
    }
    return brings.some(({ answer, by }) => answer === 'arrived' && by.diedAt !== null)
      ? 'killed_with_answer'
      : 'answer_lost'
  }

  /** A later request for the same token came first: the network, or a dead machine's kernel, held this one back. */
  const isOvertaken = (one: Presented): boolean =>
    presented.some((other) => other.at > one.at && other.refreshToken === one.refreshToken && other.did === 'granted')

  const awayOrAt = (process: Process, place: Loss): Loss => {
    if (process.frozenSince !== null) return 'frozen_too_long'
    if (process.cutOffUntil > options.now()) return 'cut_off_too_long'
    // It has just come back, and had no time to say what it has.
    return isWell(process, numbers.commitDeadlineMs) ? place : 'frozen_too_long'
  }

  const newestLiving = (signIn: SignIn): Issued | undefined =>
    signIn.tokens.findLast((token) => server.lives(token, options.now()))

  return {
    reaches(one) {
      const token = server.find(one.refreshToken)
      if (token === undefined || token.of.end !== null || server.lives(token, options.now())) return
      const living = newestLiving(token.of)
      if (isOvertaken(one)) killedBecause.set(token.of, 'late_request')
      else if (options.isOperators(one.attempt)) killedBecause.set(token.of, 'operator')
      else killedBecause.set(token.of, living === undefined ? 'answer_lost' : placeOf(living))
    },
    gaveUp(row) {
      const token = row.refreshToken === null ? undefined : tokenOf(row.refreshToken.fingerprint)
      if (token === undefined || token.of.end !== null) return
      const lied = presented.some(({ refreshToken, did }) => refreshToken === token.value && did === 'lied')
      const living = newestLiving(token.of)
      const place = living === undefined ? 'answer_lost' : placeOf(living)
      givenUpBecause.set(row.uid, lied && place !== 'killed_with_answer' ? 'server_lied' : place)
    },
    lossOf(row, signIn) {
      if (row.state.status === 'deleting' || row.state.status === 'erased') return null
      // We ended it ourselves, and the store forgot that.
      if (signIn.end?.because === 'revoked') return null
      if (signIn.end?.because === 'reuse') return killedBecause.get(signIn) ?? 'in_store'
      if (row.state.status !== 'needs_user') return null
      return givenUpBecause.get(row.uid) ?? 'in_store'
    },
  }

  function tokenOf(fingerprint: string): Issued | undefined {
    return server.find(fingerprint.slice(fingerprintOf('').length))
  }
}
