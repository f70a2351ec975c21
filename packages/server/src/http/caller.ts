/**
 * Who asks, and what that caller may do and see: known by an API key, or by a JWT of an identity that a key trusts.
 *
 * A key that was good is believed for one second without asking the database: a revocation by another process takes that
 * long to be noticed, and the hot path stays synchronous. While the database does not answer, a key that it said was good is
 * believed for as long as remembered tokens are handed out without it: a living access token beats an error.
 */
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIPv6 } from 'node:net'
import { later, ms, since, TokenError, type Clock, type MonoMs } from '@tokenkeep/core'
import type { ApiKey, ApiKeyScope, ByJwt, Callers, PageSessions } from '@tokenkeep/node'
import { BELIEVED_MS, createBelieved, forgetOldest, isBelievedWithout } from './bounded.ts'
import { HttpProblem } from './problem.ts'
import { createRateWindow, createRateWindows, type RateWindow } from './rate-window.ts'
import type { Log } from './log.ts'
import type { HttpSettings } from './settings.ts'

export interface Caller {
  readonly apiKey: ApiKey
  /** The id of the identity that it is known by; null: the key itself. */
  readonly identity: string | null
  /** Only connections with certain labels exist for it. */
  readonly limited: boolean
}

export interface CallerDesk {
  /**
   * The caller of a key or a JWT that was good within the last second; undefined: ask `identify`. Counts the request.
   */
  remembered(credential: string): Caller | undefined
  /**
   * The caller of a key or a JWT. Counts the request; a wrong one counts for the address that it came from.
   *
   * @throws TokenError `rate_limited`; `server_unreachable`: the keys of the JWT's issuer cannot be had
   * @returns null: nobody
   */
  identify(credential: string, address: string): Promise<Caller | null>
  /**
   * Counts a credential that was none for the address that it came from.
   *
   * @throws TokenError `rate_limited`
   */
  countWrong(address: string): void
  /**
   * The caller of a session of the page. Counts the request; a wrong one counts for the address that it came from.
   *
   * @throws TokenError `rate_limited`
   * @returns null: nobody, or not any more
   */
  session(secret: string, address: string): Promise<Caller | null>
  /** Whether the connection exists for this caller. One question to the database, whatever the answer. */
  admits(caller: Caller, connection: string): Promise<boolean>
  /** Keys or connections were changed here: nothing that was believed is believed any longer. */
  forget(): void
}

const REMEMBERED_MAX = 10_000
const ADDRESSES_MAX = 10_000
const CALLER_WINDOW_MS = 10_000
const ADDRESS_WINDOW_MS = 60_000
const TOLD_APART_MS = 60_000

interface Known {
  readonly caller: Caller
  readonly window: RateWindow
  readonly until: MonoMs
  /** When the database said so. */
  readonly readAt: MonoMs
  /** When the key or the JWT ends, epoch milliseconds. */
  readonly endsAt: number
}

type Read = Pick<Known, 'readAt' | 'endsAt'> & { readonly apiKey: ApiKey; readonly identity: string | null }

interface Nobody {
  readonly apiKey: null
  /** Why, where the operator should know. */
  readonly tell: () => void
}
const NOBODY: Nobody = { apiKey: null, tell: () => undefined }

export function createCallerDesk(of: {
  readonly callers: Callers
  readonly pageSessions: Pick<PageSessions, 'bySecret'>
  readonly clock: Pick<Clock, 'now'>
  readonly settings: Pick<HttpSettings, 'callerRequestsPer10s' | 'wrongKeysPerMinute'>
  readonly log: Log
}): CallerDesk {
  const { callers, pageSessions, clock, settings, log } = of
  const known = new Map<string, Known>()
  /** What each limited key may see, for while the database does not answer. */
  const seen = createBelieved<boolean>(REMEMBERED_MAX)
  /** By the id of an identity: when its issuer's keys could not be had, and that was told. */
  const toldAt = new Map<string, MonoMs>()
  /** By the id of the key: what was counted outlives what is believed. */
  const windows = new Map<string, RateWindow>()
  const wrongKeys = createRateWindows({
    limit: settings.wrongKeysPerMinute,
    windowMs: ADDRESS_WINDOW_MS,
    keysMax: ADDRESSES_MAX,
  })

  const count = (window: RateWindow, now: MonoMs): void => {
    if (settings.callerRequestsPer10s === 0) return
    const waitMs = window.take(now)
    if (waitMs !== null) throw tooMany(waitMs, 'this API key makes too many requests')
  }

  const windowOf = (id: string): RateWindow => {
    const before = windows.get(id)
    if (before !== undefined) return before
    const window = createRateWindow(settings.callerRequestsPer10s, CALLER_WINDOW_MS)
    forgetOldest(windows, REMEMBERED_MAX)
    windows.set(id, window)
    return window
  }

  const tooMany = (waitMs: number, what: string): TokenError =>
    new TokenError('rate_limited', `${what}: wait for ${Math.ceil(waitMs / 1000)} s.`, {
      retryAt: (clock.now().wall + waitMs) as TokenError['retryAt'],
    })

  const countWrong = (address: string, what: string, now: MonoMs): void => {
    const waitMs = settings.wrongKeysPerMinute === 0 ? null : wrongKeys.take(networkOf(address), now)
    if (waitMs !== null) throw tooMany(waitMs, `too many wrong ${what} came from your address`)
  }

  const ask = async (credential: string): Promise<Omit<Read, 'readAt'> | Nobody> => {
    if (!isKey(credential)) return byJwt(credential)
    const apiKey = await callers.byKey(credential)
    return apiKey === null ? NOBODY : { apiKey, identity: null, endsAt: endOf(apiKey) }
  }
  const askSession = async (secret: string): Promise<Omit<Read, 'readAt'> | Nobody> => {
    const session = await pageSessions.bySecret(secret)
    return session === null ? NOBODY : { apiKey: session.apiKey, identity: null, endsAt: session.expiresAt }
  }
  const endOf = ({ expiresAt }: ApiKey): number => expiresAt ?? Infinity

  /** Seldom, for nobody knows who sends these JWTs. */
  const tellOfIssuer = (about: { readonly apiKeyId: string; readonly identity: string }, now: MonoMs): void => {
    const before = toldAt.get(about.identity)
    if (before !== undefined && since(before, now) < TOLD_APART_MS) return
    forgetOldest(toldAt, REMEMBERED_MAX)
    toldAt.set(about.identity, now)
    log.warn(about, "the keys of a JWT's issuer cannot be had")
  }

  const byJwt = async (jwt: string): Promise<Omit<Read, 'readAt'> | Nobody> => {
    const shown = await callers.byJwt(jwt)
    if (shown.kind === 'nobody') return NOBODY
    const { apiKey } = shown
    if (shown.kind === 'known')
      return { apiKey, identity: shown.identity.id, endsAt: Math.min(shown.until, endOf(apiKey)) }
    const about = { apiKeyId: apiKey.id, identity: shown.identity.id }
    if (shown.kind === 'unavailable') {
      tellOfIssuer(about, clock.now().mono)
      throw keysUnreachable()
    }
    // The answer tells nobody why. Whoever has no JWT that the issuer signed writes nothing into the log.
    const { because } = shown
    if (NOT_SIGNED.includes(because)) return NOBODY
    return { apiKey: null, tell: () => log.warn({ ...about, because }, 'a JWT that its issuer signed was refused') }
  }

  /** What the database says of a key, JWT or session; while it does not answer, what it said last. */
  const read = async (name: string, asked: () => Promise<Omit<Read, 'readAt'> | Nobody>): Promise<Read | Nobody> => {
    try {
      const said = await asked()
      return said.apiKey === null ? said : { ...said, readAt: clock.now().mono }
    } catch (error) {
      const entry = known.get(name)
      const { mono: now, wall } = clock.now()
      if (entry === undefined || !isBelievedWithout(error, entry.readAt, now)) throw error
      if (entry.endsAt <= wall) throw error
      const { apiKey, identity } = entry.caller
      return { apiKey, identity, readAt: entry.readAt, endsAt: entry.endsAt }
    }
  }

  const remembered = (name: string): Caller | undefined => {
    const entry = known.get(name)
    if (entry === undefined) return undefined
    const now = clock.now().mono
    if (now >= entry.until) return undefined
    count(entry.window, now)
    return entry.caller
  }

  const identify = async (
    name: string,
    of: {
      readonly asked: () => Promise<Omit<Read, 'readAt'> | Nobody>
      readonly address: string
      /** What a wrong one is called. */
      readonly what: string
    },
  ): Promise<Caller | null> => {
    const said = await read(name, of.asked)
    const { mono: now, wall } = clock.now()
    if (said.apiKey === null) {
      known.delete(name)
      // Looked for first and counted then: whoever shares an address with a flood still gets in with a good key.
      countWrong(of.address, of.what, now)
      said.tell()
      return null
    }
    const { apiKey, identity, readAt, endsAt } = said
    const entry: Known = {
      caller: { apiKey, identity, limited: Object.keys(apiKey.labels).length > 0 },
      window: windowOf(apiKey.id),
      until: later(now, ms(Math.min(BELIEVED_MS, endsAt - wall))),
      readAt,
      endsAt,
    }
    if (known.size >= REMEMBERED_MAX) known.clear()
    known.set(name, entry)
    count(entry.window, now)
    return entry.caller
  }

  return {
    remembered: (credential) => remembered(nameOf(credential)),
    identify: (credential, address) =>
      identify(nameOf(credential), {
        asked: () => ask(credential),
        address,
        what: isKey(credential) ? 'API keys' : 'API keys and JWTs',
      }),
    async session(secret, address) {
      const name = nameOfSession(secret)
      const asked = () => askSession(secret)
      return remembered(name) ?? (await identify(name, { asked, address, what: 'sessions' }))
    },
    countWrong: (address) => countWrong(address, 'tokens', clock.now().mono),
    async admits({ apiKey }, connection) {
      const asked = `${apiKey.id}\n${connection}`
      const { mono: now } = clock.now()
      try {
        const admitted = await callers.admits(connection, apiKey.labels)
        seen.put(asked, admitted, now)
        return admitted
      } catch (error) {
        return seen.instead(asked, error, now)
      }
    },
    forget() {
      known.clear()
      seen.forgetAll()
    },
  }
}

/** Why a JWT is not one that its issuer signed. */
const NOT_SIGNED: readonly Extract<ByJwt, { readonly kind: 'not_valid' }>['because'][] = [
  'malformed',
  'algorithm',
  'key',
  'signature',
]

const keysUnreachable = (): TokenError =>
  new TokenError(
    'server_unreachable',
    "the keys of this JWT's issuer cannot be had, so nobody knows whether it is valid: try again, and see that its metadata and its JWKS can be fetched from here.",
  )

/** Every key begins so, and no JWT does. */
export const isKey = (credential: string): boolean => credential.startsWith('tkk_')

/** By what a key or JWT is remembered: JWTs are long, and ten thousand of them are much. */
const nameOf = (credential: string): string =>
  isKey(credential) ? credential : hash('sha256', credential, 'base64url')

/** No key and no JWT has a space, so that none of them is ever taken for a session. */
const nameOfSession = (secret: string): string => `session ${hash('sha256', secret, 'base64url')}`

/** Whoever has one IPv6 address usually has the other 2^64 of its network as well. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address
  // `::` stands for as many groups of zeros as are missing (RFC 4291 section 2.2).
  const [before = '', after = ''] = address.toLowerCase().split('::', 2)
  const first = before.split(':').filter((group) => group !== '')
  const last = after.split(':').filter((group) => group !== '')
  const zeros = Array<string>(8 - first.length - last.length).fill('0')
  return [...first, ...zeros, ...last].slice(0, 4).join(':')
}

export const may = ({ apiKey }: Caller, scopes: readonly ApiKeyScope[]): boolean =>
  apiKey.scopes.includes('admin') || scopes.some((scope) => apiKey.scopes.includes(scope))

/** RFC 6750 section 2.1: the scheme is compared without regard to case. */
export function bearerOf(authorization: string | undefined): string | null {
  if (authorization === undefined) return null
  // Nearly everybody writes it so; only the others need the rule.
  if (authorization.startsWith('Bearer tkk_')) return authorization.slice('Bearer '.length)
  const [, key] = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization) ?? []
  return key ?? null
}

/**
 * Who sends this request: by its key, else by the session of the page where that is taken.
 *
 * @param sessions null: a key alone is taken, as where tokens are handed out
 * @throws HttpProblem `unauthorized`, `origin_refused`; TokenError `rate_limited`
 */
export async function callerOf(
  request: FromSomebody,
  desk: CallerDesk,
  sessions: SessionsOfRequests | null,
): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization === undefined && sessions !== null) {
    const secret = sessions.secretOf(request)
    if (secret !== null) return (await desk.session(secret, request.ip)) ?? raiseOver()
  }
  const key = bearerOf(authorization)
  if (key === null) throw unauthorized(authorization === undefined ? 'none' : 'other_scheme')
  const caller = desk.remembered(key) ?? (await desk.identify(key, request.ip))
  if (caller === null) throw unauthorized('wrong')
  return caller
}

export interface FromSomebody {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly protocol: string
  readonly ip: string
}

/** How a request shows the session of the page. */
export interface SessionsOfRequests {
  /** @returns null: it shows none. @throws HttpProblem `origin_refused`: another page than ours sends it */
  secretOf(request: FromSomebody): string | null
}

function raiseOver(): never {
  throw unauthorized('session_over')
}

/** RFC 6750 section 3. */
export const unauthorized = (
  given: 'none' | 'wrong' | 'other_scheme' | 'session_over' | 'not_signed_in' | 'code_over',
): HttpProblem =>
  new HttpProblem(
    'unauthorized',
    {
      none: 'an API key is missing: send it as `Authorization: Bearer KEY` (`tokenkeep key create` makes one).',
      wrong:
        'this API key is not known here: it is wrong, revoked or past its end (`tokenkeep key list`); or it is a JWT that is not valid, or of nobody whom a key trusts.',
      session_over: 'you are not signed in any more: sign in again with an API key.',
      code_over:
        'this link was used already, or its minute is over: sign in with an API key, or start again for a new one.',
      not_signed_in: 'nobody is signed in here.',
      other_scheme: 'the header Authorization is not `Bearer KEY` with an API key of Tokenkeep.',
    }[given],
    {
      headers: {
        'www-authenticate': `Bearer realm="tokenkeep"${given === 'wrong' ? ', error="invalid_token"' : ''}`,
      },
    },
  )

/** RFC 6750 section 3.1. */
export const forbidden = (needed: readonly ApiKeyScope[]): HttpProblem =>
  new HttpProblem('forbidden', `this API key lacks the scope for this: ${needed.join(' or ')}.`, {
    headers: {
      'www-authenticate': `Bearer realm="tokenkeep", error="insufficient_scope", scope="${needed.join(' ')}"`,
    },
  })
