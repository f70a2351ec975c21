/**
 * Modelled authorization servers. They share no code with what is tested, and each keeps a log of its own: which refresh
 * tokens it made, which of them live, and what ended a sign-in.
 */
import type { Behaviour } from './policies.ts'

/** One sign-in at the server, with every refresh token that came of it. */
export interface SignIn {
  readonly name: string
  /** What its tokens are bound to; null: nothing. */
  readonly key: string | null
  readonly tokens: Issued[]
  /** How it ended; null: it lives. */
  end: { readonly at: number; readonly because: 'reuse' | 'revoked' } | null
}

export interface Issued {
  readonly value: string
  readonly of: SignIn
  readonly parent: Issued | null
  readonly children: Issued[]
  firstUsedAt: number | null
  uses: number
  /** A later answer to the same refresh token took its place. */
  replaced: boolean
  /** When it ends although nobody used it; null: never. */
  endsAt: number | null
}

export interface ServerAnswer {
  /** `asked`: for a nonce; what was presented was not looked at. */
  readonly verdict: 'granted' | 'refused' | 'killed' | 'asked'
  readonly status: number
  readonly body: object
  /** The refresh token in it, new or not. */
  readonly carries: Issued | null
}

/** A key that comes with a request, and the nonce that its proof names. */
export interface Proof {
  readonly key: string | null
  readonly nonce: string | null
}

export interface AuthorizationServer {
  signIn(at: number): Issued
  present(value: string, scope: string | null, at: number, proof: Proof): ServerAnswer
  /** What proofs have to name now; null: nothing. */
  nonceAt(at: number): string | null
  revoke(value: string, at: number): void
  find(value: string): Issued | undefined
  /** Whether presenting it now would be granted. */
  lives(token: Issued, at: number): boolean
  /** What it was asked, in order. */
  readonly log: readonly string[]
  /** The scope that each was asked for, and the sign-in that it is of. */
  readonly accessTokens: ReadonlyMap<string, IssuedAccessToken>
}

export interface IssuedAccessToken {
  readonly scope: string | null
  readonly of: SignIn
  readonly issuedAt: number
  /** When a later answer ended it before its time; null: none did. */
  killedAt: number | null
}

const REFUSED = { status: 400, body: { error: 'invalid_grant' }, carries: null } as const
const ASKED = { status: 400, body: { error: 'use_dpop_nonce' }, carries: null } as const

export interface ServerOptions {
  /** Makes its names differ from those of another server. */
  readonly prefix?: string
  /** Whether each answer ends the access tokens of the sign-in that came before. */
  readonly kills?: boolean
  /** How long a refresh token lives that nobody uses, as its answer says; null: for ever. */
  readonly refreshSeconds?: number | null
  /** Each sign-in has a key, and each proof needs a nonce, which lasts so long; null: nothing is bound to a key. */
  readonly nonceSeconds?: number | null
}

export function createAuthorizationServer(
  behaviour: Behaviour,
  lifetimeSeconds: number,
  { prefix = '', kills = false, refreshSeconds = null, nonceSeconds = null }: ServerOptions = {},
): AuthorizationServer {
  const tokens = new Map<string, Issued>()
  const accessTokens = new Map<string, IssuedAccessToken>()
  const log: string[] = []
  let signIns = 0

  const endOf = (at: number): number | null => (refreshSeconds === null ? null : at + refreshSeconds * 1000)

  const nonceAt = (at: number): string | null =>
    nonceSeconds === null ? null : `nonce-${Math.floor(at / 1000 / nonceSeconds)}`

  const newSignIn = (): SignIn => {
    const name = `${prefix}${(signIns += 1)}`
    return { name, key: nonceSeconds === null ? null : `key-${name}`, tokens: [], end: null }
  }

  const issue = (of: SignIn, parent: Issued | null, at: number): Issued => {
    const value = `rt-${of.name}-${of.tokens.length}`
    const issued: Issued = {
      value,
      of,
      parent,
      children: [],
      firstUsedAt: null,
      uses: 0,
      replaced: false,
      endsAt: endOf(at),
    }
    of.tokens.push(issued)
    parent?.children.push(issued)
    tokens.set(value, issued)
    return issued
  }

  const isAnsweredAgain = (token: Issued, at: number): boolean => {
    if (token.firstUsedAt === null) return true
    switch (behaviour.kind) {
      case 'reusable':
        return true
      case 'grace':
        return at - token.firstUsedAt <= behaviour.forMs
      case 'successor_used':
        return token.children.every(({ firstUsedAt }) => firstUsedAt === null)
      case 'counted':
        return token.uses <= behaviour.n
      case 'strict':
        return false
    }
  }

  const isOver = ({ endsAt }: Issued, at: number): boolean => endsAt !== null && at >= endsAt

  /** With all that came of it. */
  const replace = (token: Issued): void => {
    token.replaced = true
    for (const child of token.children) replace(child)
  }

  const successorOf = (token: Issued, at: number): Issued => {
    if (behaviour.kind === 'reusable' && !behaviour.rotates) {
      token.endsAt = endOf(at)
      return token
    }
    const winner = behaviour.kind === 'grace' || behaviour.kind === 'successor_used' ? behaviour.winner : 'any'
    const [first] = token.children
    if (winner === 'same' && first !== undefined) return first
    if (winner === 'newest') for (const older of token.children) replace(older)
    return issue(token.of, token, at)
  }

  return {
    accessTokens,
    log,
    signIn: (at) => issue(newSignIn(), null, at),
    nonceAt,
    find: (value) => tokens.get(value),
    lives: (token, at) => token.of.end === null && !token.replaced && !isOver(token, at) && isAnsweredAgain(token, at),
    present(value, scope, at, proof) {
      if (proof.nonce !== nonceAt(at)) {
        log.push(`${at} asked for a nonce`)
        return { verdict: 'asked', ...ASKED }
      }
      log.push(`${at} presented ${value} ${scope ?? ''}`)
      const token = tokens.get(value)
      if (token === undefined || token.of.end !== null || isOver(token, at)) return { verdict: 'refused', ...REFUSED }
      if (token.of.key !== proof.key) return { verdict: 'refused', ...REFUSED }
      if (token.replaced || !isAnsweredAgain(token, at)) {
        token.of.end = { at, because: 'reuse' }
        return { verdict: 'killed', ...REFUSED }
      }
      const successor = successorOf(token, at)
      token.firstUsedAt ??= at
      token.uses += 1
      if (kills) for (const each of accessTokens.values()) if (each.of === token.of) each.killedAt ??= at
      const accessToken = `at-${prefix}${accessTokens.size}`
      accessTokens.set(accessToken, { scope, of: token.of, issuedAt: at, killedAt: null })
      const body = {
        access_token: accessToken,
        ...(successor === token ? {} : { refresh_token: successor.value }),
        expires_in: lifetimeSeconds,
        ...(successor.endsAt === null
          ? {}
          : { refresh_expires_in: Math.max(1, Math.floor((successor.endsAt - at) / 1000)) }),
        token_type: token.of.key === null ? 'Bearer' : 'DPoP',
        scope: scope ?? 'a b',
      }
      return { verdict: 'granted', status: 200, body, carries: successor }
    },
    revoke(value, at) {
      log.push(`${at} revoked ${value}`)
      const token = tokens.get(value)
      if (token !== undefined) token.of.end ??= { at, because: 'revoked' }
    },
  }
}
