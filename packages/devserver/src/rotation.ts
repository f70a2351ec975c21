/**
 * What a realm does with a refresh token that is presented, and presented again.
 *
 * - `strict`: every presentation rotates; a second one is reuse and kills the whole session (RFC 9700 section 4.14.2).
 * - `grace`: a rotated token is answered again for `seconds` after its first use; later it is reuse. `winner` says what a
 *   second answer holds: `any` (default) another successor, all stay valid; `newest` another successor, earlier ones go
 *   stale; `same` the tokens of the first answer.
 * - `counted`: a rotated token is answered `reuses` times more (Keycloak's `refreshTokenMaxReuse`); then it is reuse.
 * - `reusable`: no rotation; the answer carries the same refresh token, or none.
 */
export type Rotation =
  | { readonly kind: 'strict' }
  | { readonly kind: 'grace'; readonly seconds: number; readonly winner?: 'any' | 'newest' | 'same' }
  | { readonly kind: 'counted'; readonly reuses: number }
  | { readonly kind: 'reusable'; readonly answer?: 'same' | 'none' }

/** How often a refresh token was answered, and since when; `stale` = a newer answer took its place. */
export interface TokenUse {
  readonly uses: number
  readonly firstUsedMs: number | null
  readonly stale: boolean
}

export type Verdict =
  | { readonly verdict: 'rotate' }
  | { readonly verdict: 'rotate_again'; readonly retireEarlier: 'yes' | 'no' }
  | { readonly verdict: 'repeat_answer' }
  | { readonly verdict: 'keep'; readonly answer: 'same' | 'none' }
  | { readonly verdict: 'stale' }
  | { readonly verdict: 'reuse' }

/**
 * Judges one presentation of a living session's refresh token. Pure.
 *
 * @param nowMs epoch milliseconds; the grace window counts from the token's first use, its last millisecond included
 */
export function judgePresentation(rotation: Rotation, use: TokenUse, nowMs: number): Verdict {
  if (use.stale) return { verdict: 'stale' }
  if (rotation.kind === 'reusable') return { verdict: 'keep', answer: rotation.answer ?? 'same' }
  if (use.uses === 0 || use.firstUsedMs === null) return { verdict: 'rotate' }

  switch (rotation.kind) {
    case 'strict':
      return { verdict: 'reuse' }
    case 'counted':
      return use.uses <= rotation.reuses ? { verdict: 'rotate_again', retireEarlier: 'no' } : { verdict: 'reuse' }
    case 'grace':
      if (nowMs - use.firstUsedMs > rotation.seconds * 1000) return { verdict: 'reuse' }
      if (rotation.winner === 'same') return { verdict: 'repeat_answer' }
      return { verdict: 'rotate_again', retireEarlier: rotation.winner === 'newest' ? 'yes' : 'no' }
  }
}
