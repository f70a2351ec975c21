/** What a token endpoint's answer means where a person has signed in: the tokens and whose they are, or why there are none. */
import {
  fromSeconds,
  type Assumptions,
  type ConnectFailure,
  type GrantedTokens,
  type OpenedClient,
  type Outcome,
  type Provider,
  type ResponseSeen,
  type SignInInput,
  type Unavailable,
} from '@tokenkeep/core'
import { readIdToken, type Identity } from './id-token.ts'
import type { ProviderAccess } from './provider-access.ts'
import { subjectByUserinfo } from './userinfo.ts'

export interface Failed {
  readonly kind: 'failed'
  readonly because: ConnectFailure
  /** The provider's error word, where it is one that cannot hold a secret. */
  readonly word: string | null
}

/** The tokens of a person who has signed in. */
export interface SignedIn {
  readonly kind: 'signed_in'
  readonly signIn: Omit<SignInInput, 'otherAccount'> & {
    /** Who signed in, as the provider calls them. */
    readonly account: string | null
  }
}

export const failed = (because: ConnectFailure, word: string | null = null): Failed => ({
  kind: 'failed',
  because,
  word,
})

/** The lifetime is used nowhere: an end that was not said is left to the import. */
export const SIGN_IN_ASSUMES: Assumptions = { lastLifetimeMs: null, unknownLifetimeMs: fromSeconds(300), asked: true }

/**
 * A granted answer with whose sign-in it is.
 *
 * @param of `asked`: the scope that was asked for, or null; `nonce`: the one that was sent, or null
 */
export async function signedInWith(
  access: ProviderAccess,
  of: {
    readonly provider: Provider
    readonly client: OpenedClient
    readonly answer: ResponseSeen
    readonly outcome: GrantedTokens
    readonly asked: string | null
    readonly nonce: string | null
  },
): Promise<SignedIn | Failed> {
  const { outcome, answer, asked } = of
  if (outcome.accessToken === null && outcome.refreshToken === null) return failed('unavailable')
  const identity = await readIdToken(access, of)
  if (identity === 'not_authentic') return failed('not_authentic')
  const subject = identity.subject ?? (await subjectByUserinfo(access, of.provider, outcome))
  const whose = { ...identity, subject, account: identity.account ?? subject }
  return { kind: 'signed_in', signIn: signInOf(outcome, answer.sentAt.wall, asked, whose) }
}

export function failedBecause(outcome: Exclude<Outcome, GrantedTokens>, word: string | null): Failed {
  switch (outcome.kind) {
    case 'rejected':
      return failed(outcome.word === 'interaction_required' ? 'interaction_required' : 'code_refused', word)
    case 'misconfigured':
      return failed('misconfigured', word)
    case 'unavailable':
      return failed(isForbidden(outcome) ? 'misconfigured' : 'unavailable', word)
    case 'in_doubt':
    case 'not_sent':
      return failed('unavailable', word)
  }
}

const isForbidden = ({ because }: Unavailable): boolean => because === 'forbidden'

function signInOf(tokens: GrantedTokens, sentAt: number, asked: string | null, identity: Identity): SignedIn['signIn'] {
  const { accessToken, refreshToken, refreshTokenLife } = tokens
  const scope = tokens.scope ?? asked
  return {
    ...(refreshToken === null ? {} : { refreshToken: refreshToken.reveal() }),
    ...(accessToken === null
      ? {}
      : {
          accessToken: accessToken.token.reveal(),
          tokenType: accessToken.tokenType,
          ...(accessToken.assumed ? {} : { expiresAt: sentAt + accessToken.lifetimeMs }),
        }),
    ...(refreshTokenLife?.lifetimeMs == null ? {} : { refreshTokenExpiresAt: sentAt + refreshTokenLife.lifetimeMs }),
    // RFC 6749 section 5.1: where the answer names none, it is what was asked for.
    ...(scope === null ? {} : { scope }),
    ...(identity.subject === null ? {} : { subject: identity.subject }),
    ...(identity.sessionId === null ? {} : { sessionId: identity.sessionId }),
    account: identity.account,
  }
}
