/** What a token endpoint answer is made of, before it is put into Keycloak's shape. */
export interface TokenAnswerParts {
  readonly accessToken: string
  readonly tokenType: string
  /** Seconds. */
  readonly expiresIn: number
  /** null: the answer carries none. */
  readonly refreshToken: string | null
  /** Seconds; null = no fixed end, which Keycloak says as 0. */
  readonly refreshExpiresIn: number | null
  readonly idToken: string | null
  readonly scope: string
  /** null for client credentials: nobody signed in. */
  readonly sessionId: string | null
}

export type TokenAnswer = Readonly<Record<string, string | number>>

/**
 * A successful answer with Keycloak's members, in Keycloak's order.
 *
 * @see RFC 6749 section 5.1; `refresh_expires_in`, `not-before-policy` and `session_state` are Keycloak's own
 */
export function tokenAnswer(parts: TokenAnswerParts): TokenAnswer {
  return {
    access_token: parts.accessToken,
    expires_in: parts.expiresIn,
    refresh_expires_in: parts.refreshExpiresIn ?? 0,
    ...(parts.refreshToken === null ? {} : { refresh_token: parts.refreshToken }),
    token_type: parts.tokenType,
    ...(parts.idToken === null ? {} : { id_token: parts.idToken }),
    'not-before-policy': 0,
    ...(parts.sessionId === null ? {} : { session_state: parts.sessionId }),
    scope: parts.scope,
  }
}
