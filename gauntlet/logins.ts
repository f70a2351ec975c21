/** What a strict authorization server knows of its logins: which refresh token is spent, and what a second presentation does. */
import { randomBytes } from 'node:crypto'

/** What the server does when a refresh token is presented that was presented before. */
export type Reuse =
  /** It takes it for theft: the login ends, with all its tokens (RFC 9700 section 4.14.2). */
  | { readonly kind: 'strict' }
  /** The same, but for so many seconds after the first presentation it answers again; every answer stays good. */
  | { readonly kind: 'grace'; readonly seconds: number }

/** What the server counted for one login. */
export interface Counters {
  /** Times that it granted tokens. */
  readonly refreshes: number
  /** Times that it met a refresh token which it had granted tokens for before. */
  readonly secondPresentations: number
  /** A second presentation has ended the login. */
  readonly killed: boolean
}

export interface Granted {
  readonly accessToken: string
  readonly expiresIn: number
  /** Null: the one that was presented goes on being good. */
  readonly refreshToken: string | null
}

export interface Logins {
  /** Signs somebody in. The access token has `livesMs` left; 0 or less: its end has passed. */
  signIn(id: string, livesMs: number): { readonly refreshToken: string; readonly accessToken: string }
  /** The login that a refresh token belongs to, spent or not; null: none. */
  loginOf(refreshToken: string): string | null
  /** @returns null: `invalid_grant` */
  present(refreshToken: string, rotate: boolean): Granted | null
  accepts(accessToken: string): boolean
  counters(id: string): Counters
  /** When the last access token of a login ends, epoch milliseconds. */
  endsAt(id: string): number
}

interface Login {
  refreshes: number
  secondPresentations: number
  killed: boolean
  endsAt: number
}

interface RefreshToken {
  readonly login: string
  /** By the monotonic clock; null: not presented yet. */
  firstPresentedAt: number | null
}

/** Makes the books of a server that issues access tokens for `accessTokenSeconds`. */
export function createLogins(reuse: Reuse, accessTokenSeconds: number): Logins {
  const logins = new Map<string, Login>()
  const refreshTokens = new Map<string, RefreshToken>()
  const accessTokens = new Map<string, { readonly login: string; readonly endsAt: number }>()

  const loginNamed = (id: string): Login => {
    const login = logins.get(id)
    if (login === undefined) throw new Error(`nobody is signed in as ${id}`)
    return login
  }
  const issueAccessToken = (id: string, livesMs: number): string => {
    const login = loginNamed(id)
    const token = `at_${randomBytes(24).toString('base64url')}`
    const endsAt = Date.now() + livesMs
    accessTokens.set(token, { login: id, endsAt })
    login.endsAt = Math.max(login.endsAt, endsAt)
    return token
  }
  const issueRefreshToken = (login: string): string => {
    const token = `rt_${randomBytes(24).toString('base64url')}`
    refreshTokens.set(token, { login, firstPresentedAt: null })
    return token
  }
  const answersAgain = (firstPresentedAt: number): boolean =>
    reuse.kind === 'grace' && performance.now() - firstPresentedAt <= reuse.seconds * 1000

  return {
    signIn(id, livesMs) {
      if (logins.has(id)) throw new Error(`somebody is signed in as ${id} already`)
      logins.set(id, { refreshes: 0, secondPresentations: 0, killed: false, endsAt: 0 })
      return { refreshToken: issueRefreshToken(id), accessToken: issueAccessToken(id, livesMs) }
    },
    loginOf: (refreshToken) => refreshTokens.get(refreshToken)?.login ?? null,
    present(refreshToken, rotate) {
      const known = refreshTokens.get(refreshToken)
      if (known === undefined) return null
      const login = loginNamed(known.login)
      if (login.killed) return null
      if (known.firstPresentedAt !== null) {
        login.secondPresentations += 1
        if (!answersAgain(known.firstPresentedAt)) {
          login.killed = true
          return null
        }
      }
      login.refreshes += 1
      if (rotate) known.firstPresentedAt ??= performance.now()
      return {
        accessToken: issueAccessToken(known.login, accessTokenSeconds * 1000),
        expiresIn: accessTokenSeconds,
        refreshToken: rotate ? issueRefreshToken(known.login) : null,
      }
    },
    accepts(accessToken) {
      const known = accessTokens.get(accessToken)
      return known !== undefined && Date.now() < known.endsAt && !loginNamed(known.login).killed
    },
    counters(id) {
      const { refreshes, secondPresentations, killed } = loginNamed(id)
      return { refreshes, secondPresentations, killed }
    },
    endsAt: (id) => loginNamed(id).endsAt,
  }
}
