import { withTokenkeep, type Context } from './context.ts'

export interface TokenArguments {
  readonly scope?: string
  readonly resource?: readonly string[]
  /** Seconds. */
  readonly minTtl?: number
  /** Seconds. */
  readonly wait?: number
}

/**
 * `tokenkeep token ID`: the access token and a line break, so that `$(...)` in a shell is the token; with `--json` the
 * members of a token endpoint's answer (RFC 6749 section 5.1), `expires_in` rounded down to what is left.
 */
export async function token(context: Context, id: string, asked: TokenArguments): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { accessToken, tokenType, expiresAt, scope } = await keep.token(id, {
      scope: asked.scope,
      resource: asked.resource,
      minTtlMs: milliseconds(asked.minTtl),
      waitMs: milliseconds(asked.wait),
    })
    const answer = {
      access_token: accessToken,
      token_type: tokenType,
      expires_in: Math.max(0, Math.floor((expiresAt - context.around.now()) / 1000)),
      ...(scope === null ? {} : { scope }),
    }
    context.output.answer(answer, () => [accessToken])
  })
}

const milliseconds = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : seconds * 1000
