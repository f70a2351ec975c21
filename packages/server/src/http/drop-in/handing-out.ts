/**
 * From a connection that a client may use to the answer: the token, and whether it is the one that the client has
 * already. A token that is remembered and need not be checked passes without an async layer of its own.
 */
import type { FastifyReply } from 'fastify'
import { TokenError, type Clock, type HandOut, type TokenOptions } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import type { Acting } from '../acting.ts'
import type { Caller } from '../caller.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { FreeSince } from '../free-since.ts'
import {
  acted,
  againAt,
  firstTime,
  isAskedAgain,
  stepFor,
  type Asking,
  type HandedOut,
  type Said,
} from './asked-again.ts'
import { forgetOldest } from '../bounded.ts'
import type { Confirm } from './confirmation.ts'
import { createTokenAnswers } from './token-answer.ts'
import { createUpstreamChecks } from './upstream-checks.ts'

/** An access token that the client may have. */
export interface Wanted {
  readonly caller: Caller
  readonly connection: string
  readonly options: TokenOptions
  readonly asking: Asking
  /** Whoever would be asking again, and through what. */
  readonly holder: string
  /** Whether a hand-out is of the connection that the client may use... */
  readonly confirm: Confirm
  /** ...and what is said where it is not. */
  readonly refusal: () => Error
  /** What goes back to the client; null: it has nothing to refresh by. */
  readonly refreshToken: string | null
  /** It comes in exchange for another token, and the answer says so. */
  readonly exchanged: boolean
  /** The provider, where asking often is a loop; null: any number of processes share what they get. */
  readonly loopsAt: string | null
}

export interface HandingOutSetup {
  readonly keep: Tokenkeep
  readonly acting: Acting
  readonly metrics: Metrics
  readonly clock: Pick<Clock, 'now'>
  readonly freeSince: FreeSince
  readonly log: Log
  /** For metrics. */
  readonly operation: string
}

const HOLDERS_MAX = 10_000

/** @returns answers a client; rejects where there is no token for it */
export function createHandingOut(setup: HandingOutSetup): (reply: FastifyReply, wanted: Wanted) => Promise<void> {
  const { keep, acting, metrics, clock, log, operation, freeSince } = setup
  const answers = createTokenAnswers()
  const handedOut = new Map<string, HandedOut>()
  const checks = createUpstreamChecks(async (connection): Promise<Said> => {
    try {
      const said = await keep.introspect(connection)
      return said === 'unavailable' ? 'unknown' : said
    } catch (error) {
      // The token is in hand: that nobody can be asked about it is no reason to keep it.
      if (!(error instanceof TokenError)) log.error({ operation, error }, 'an introspection failed')
      return 'unknown'
    }
  })

  const remember = (holder: string, what: HandedOut): void => {
    handedOut.delete(holder)
    forgetOldest(handedOut, HOLDERS_MAX)
    handedOut.set(holder, what)
  }

  const send = (reply: FastifyReply, wanted: Wanted, given: HandOut): void => {
    metrics.handOut('drop_in', 'ok')
    metrics.answered(operation, 200)
    freeSince.answered(reply.request.raw.socket)
    answers.send(reply, given, wanted, clock.now().wall)
  }

  /** Sends it, unless somebody has to be asked about it. */
  const handOut = (reply: FastifyReply, wanted: Wanted, given: HandOut): void | Promise<void> => {
    const { holder, asking } = wanted
    const confirmed = wanted.confirm(given)
    if (confirmed !== true) return afterConfirming(reply, wanted, given, confirmed)
    const token = answers.nameOf(given)
    const before = handedOut.get(holder)
    if (before?.token !== token) {
      remember(holder, firstTime(token, clock.now().mono))
      return send(reply, wanted, given)
    }
    if (!isAskedAgain(before, asking)) return send(reply, wanted, given)
    const handed = againAt(before, asking.askedAt)
    if (handed !== before) remember(holder, handed)
    // The provider is asked about the token with the full scope: its word says nothing about a narrower one.
    const said = isNarrowed(wanted.options) ? 'unsupported' : checks.look(wanted.connection, asking.askedAt)
    return typeof said === 'string'
      ? act(reply, wanted, given, said)
      : said.then((word) => act(reply, wanted, given, word))
  }

  const afterConfirming = async (
    reply: FastifyReply,
    wanted: Wanted,
    given: HandOut,
    confirmed: Promise<boolean>,
  ): Promise<void> => {
    if (!(await confirmed)) throw wanted.refusal()
    return handOut(reply, wanted, given)
  }

  const act = (reply: FastifyReply, wanted: Wanted, given: HandOut, said: Said): void | Promise<void> => {
    const word = wanted.loopsAt === null && said === 'unsupported' ? 'unknown' : said
    const handed = handedOut.get(wanted.holder)
    const step = stepFor(handed, answers.nameOf(given), word)
    if (step === 'hand_out') return send(reply, wanted, given)
    if (step === 'report' && handed !== undefined) remember(wanted.holder, acted(handed))
    return replace(reply, wanted, given, step)
  }

  const replace = async (
    reply: FastifyReply,
    wanted: Wanted,
    given: HandOut,
    step: 'replace' | 'report',
  ): Promise<void> => {
    const { caller, connection, options, holder, loopsAt } = wanted
    if (step === 'report') {
      const provider = loopsAt === null ? null : await keep.providers.get(loopsAt)
      // Forced, a refresh would end the token that works in every other process.
      if (provider?.refreshKillsAccessToken === true) {
        send(reply, wanted, given)
        return
      }
      await keep.rejected(connection, given.accessToken)
    }
    const next = await acting(caller).token(connection, options)
    if (!(await wanted.confirm(next))) throw wanted.refusal()
    const token = answers.nameOf(next)
    if (token !== answers.nameOf(given)) remember(holder, firstTime(token, clock.now().mono))
    send(reply, wanted, next)
  }

  return (reply, wanted) =>
    acting(wanted.caller)
      .token(wanted.connection, wanted.options)
      .then((given) => handOut(reply, wanted, given))
}

const isNarrowed = ({ scope, resource }: TokenOptions): boolean => scope !== undefined || resource !== undefined
