/**
 * What is said to a provider while a person signs in: where the browser is sent, what it brought back, and the exchange of
 * the code for tokens.
 *
 * @see RFC 6749 sections 4.1.1 to 4.1.4, RFC 7636 (PKCE), RFC 8707 (resource), RFC 9126 (pushed requests), RFC 9207 (`iss`),
 *   RFC 9449 (DPoP)
 */
import { createHash } from 'node:crypto'
import { fromSeconds, judge, TokenError, type DpopKey, type OpenedClient, type Provider } from '@tokenkeep/core'
import { askAsClient } from './client-request.ts'
import { askProving } from './proving-request.ts'
import type { ProviderAccess } from './provider-access.ts'
import { failed, failedBecause, SIGN_IN_ASSUMES, signedInWith, type Failed, type SignedIn } from './sign-in-answer.ts'
import { memberOf, wordOf } from './answer-member.ts'

/** What a sign-in asks for. */
interface Asked {
  readonly redirectUri: string
  /** Null: what the provider's data says, or none. */
  readonly scope: string | null
  readonly resources: readonly string[]
}

interface Parties {
  readonly provider: Provider
  readonly client: OpenedClient
}

/** What one attempt to sign in has of its own. */
interface AskedNow {
  readonly state: string
  readonly codeVerifier: string
  readonly nonce: string
  /** The thumbprint of the key that its tokens will be bound to (RFC 9449 section 10); null or absent: to none. */
  readonly dpopJkt?: string | null
}

export interface SignIns {
  /**
   * Where the browser is to go.
   *
   * @throws TokenError `unavailable`: the provider's metadata, or its answer to the pushed request, did not come;
   *   `provider_refused`: it has no authorization endpoint, refused the pushed request, or takes no PKCE of a public client
   */
  authorizationUrl(of: Parties & Asked & AskedNow): Promise<{ readonly url: string }>
  /** Reads what the provider sent the browser back with. Its `state` was compared before. */
  read(provider: Provider, answer: URLSearchParams): Promise<{ readonly kind: 'code'; readonly code: string } | Failed>
  /** Exchanges the code, once: it is spent whatever comes back. */
  exchange(
    of: Parties &
      Asked & {
        readonly code: string
        readonly codeVerifier: string
        readonly nonce: string
        readonly dpopKey?: DpopKey | null
      },
  ): Promise<SignedIn | Failed>
}

// A person waits, and a code lives for minutes at most; nobody else has to be kept waiting.
const EXCHANGE_DEADLINE_MS = fromSeconds(30)
const METADATA_DEADLINE_MS = fromSeconds(10)
const CODE_LENGTH_MAX = 8 * 1024

export function createSignIns(access: ProviderAccess): SignIns {
  const { discovery } = access

  /** Left at the provider beforehand: what the browser carries then names it only. */
  const pushed = async (
    { provider, client }: Parties,
    parameters: URLSearchParams,
  ): Promise<URLSearchParams | 'not_offered'> => {
    const answer = await askAsClient(
      access,
      { provider, client, endpoint: 'pushedAuthorizationRequestEndpoint', parameters },
      METADATA_DEADLINE_MS,
    )
    if (answer === 'none') {
      const says = await discovery.says(provider, METADATA_DEADLINE_MS)
      if (says !== 'failed' && says.requiresPushedRequests) throw noPushing(provider)
      return 'not_offered'
    }
    if (answer === 'failed') throw away(provider)
    if (answer === 'unusable') throw unusable(client)
    const uri = memberOf(answer, 'request_uri')
    if (answer.status >= 200 && answer.status < 300 && typeof uri === 'string')
      return new URLSearchParams({ client_id: client.clientId, request_uri: uri })
    const word = wordOf(answer)
    if (answer.status >= 500 || word === null) throw away(provider)
    throw new TokenError(
      'provider_refused',
      `provider "${provider.id}" refused the sign-in that was announced to it (${word}): look at the registration of ` +
        `client "${client.id}", its redirect URI and its scope`,
      { subject: provider.id },
    )
  }

  return {
    async authorizationUrl({ provider, client, ...asked }) {
      // Whoever gets hold of its code could redeem it (RFC 9700 section 2.1.1).
      if (provider.authorization.pkce === 'none' && client.tokenEndpointAuthMethod === 'none')
        throw unprotected(provider, client)
      const endpoint = await discovery.find(provider, 'authorizationEndpoint', METADATA_DEADLINE_MS)
      if (endpoint === 'failed') throw away(provider)
      if (endpoint === 'none') throw noEndpoint(provider)
      const parameters = authorizationParameters({ provider, client, ...asked })
      const left = await pushed({ provider, client }, parameters)
      const url = new URL(endpoint)
      // Its own query stays (RFC 6749 section 3.1).
      for (const [name, value] of left === 'not_offered' ? parameters : left) url.searchParams.append(name, value)
      return { url: url.href }
    },

    async read(provider, answer) {
      const twice = [...new Set(answer.keys())].some((name) => READ.includes(name) && answer.getAll(name).length > 1)
      if (twice) return failed('not_authentic')
      const issuer = answer.get('iss')
      const says = await discovery.says(provider, METADATA_DEADLINE_MS)
      // Whose answer it is cannot be told while the metadata are away.
      if (says === 'failed' && issuer === null) return failed('unavailable')
      if (says !== 'failed' && says.namesIssuer && issuer === null) return failed('not_authentic')
      if (issuer !== null && provider.issuer !== null && issuer !== provider.issuer) return failed('not_authentic')
      const error = answer.get('error')
      if (error !== null) return refusedBecause(plainWord(error))
      const code = answer.get('code') ?? ''
      return code === '' || code.length > CODE_LENGTH_MAX ? failed('not_authentic') : { kind: 'code', code }
    },

    async exchange({ provider, client, redirectUri, code, codeVerifier, nonce, dpopKey = null, scope, resources }) {
      const parameters = new URLSearchParams({
        // A provider can want a fixed redirect_uri with each refresh, and the code has its own.
        ...provider.request.parameters,
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        ...(provider.authorization.pkce === 'none' ? {} : { code_verifier: codeVerifier }),
      })
      for (const resource of resources) parameters.append('resource', resource)
      const request = { provider, client, endpoint: 'tokenEndpoint', parameters, dpopKey } as const
      const answer = await askProving(access, request, EXCHANGE_DEADLINE_MS)
      if (answer === 'none') return failed('misconfigured')
      if (answer === 'failed') return failed('unavailable')
      if (answer === 'unusable') return failed('misconfigured')
      const outcome = judge(answer, provider, SIGN_IN_ASSUMES)
      if (outcome.kind !== 'granted') return failedBecause(outcome, wordOf(answer))
      const asked = scope ?? provider.authorization.scope
      return signedInWith(access, { provider, client, answer, outcome, asked, nonce: hasNonce(asked) ? nonce : null })
    },
  }
}

/** Parameters that are read; the others are passed over (RFC 6749 section 3.1). */
const READ = ['code', 'error', 'iss', 'state']

function authorizationParameters(of: Parties & Asked & AskedNow): URLSearchParams {
  const { provider, client, redirectUri, state, codeVerifier, nonce, dpopJkt = null, resources } = of
  const { parameters: own, scope: usual, pkce } = provider.authorization
  const scope = of.scope ?? usual
  const parameters = new URLSearchParams({
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: redirectUri,
    ...own,
    ...(scope === null ? {} : { scope: scope.replaceAll(' ', provider.request.scopeSeparator) }),
    state,
    ...(hasNonce(scope) ? { nonce } : {}),
    ...(dpopJkt === null ? {} : { dpop_jkt: dpopJkt }),
    ...(pkce === 'none' ? {} : { code_challenge: challengeOf(codeVerifier), code_challenge_method: 'S256' }),
  })
  for (const resource of resources) parameters.append('resource', resource)
  return parameters
}

/** OpenID Connect Core section 3.1.2.1: without this scope there is no ID token that could hold it. */
const hasNonce = (scope: string | null): boolean => scope?.split(' ').includes('openid') ?? false

const challengeOf = (codeVerifier: string): string => createHash('sha256').update(codeVerifier).digest('base64url')

/** RFC 6749 section 4.1.2.1; OpenID Connect Core section 3.1.2.6. */
function refusedBecause(word: string | null): Failed {
  switch (word) {
    case 'access_denied':
      return failed('denied', word)
    case 'login_required':
    case 'consent_required':
    case 'interaction_required':
    case 'account_selection_required':
      return failed('interaction_required', word)
    case 'server_error':
    case 'temporarily_unavailable':
      return failed('unavailable', word)
    case null:
    default:
      return failed('misconfigured', word)
  }
}

/** An error word as it may be kept and shown: RFC 6749 section 4.1.2.1 allows more. */
const plainWord = (word: string): string | null => (/^[\w.-]{1,60}$/.test(word) ? word : null)

export const away = (provider: Provider): TokenError =>
  new TokenError('unavailable', `provider "${provider.id}" does not answer: try again in a moment`, {
    subject: provider.id,
  })

export const unusable = (client: OpenedClient): TokenError =>
  new TokenError(
    'provider_refused',
    `client "${client.id}" cannot prove itself: look at its secret, key or certificate`,
    {
      subject: client.id,
    },
  )

const unprotected = (provider: Provider, client: OpenedClient): TokenError =>
  new TokenError(
    'provider_refused',
    `client "${client.id}" is a public one, which may sign in with PKCE only, and provider "${provider.id}" is set to take ` +
      'none: register a client that proves itself, or set authorization.pkce to "S256"',
    { subject: client.id },
  )

const noPushing = (provider: Provider): TokenError =>
  new TokenError(
    'provider_refused',
    `provider "${provider.id}" takes pushed sign-ins alone (RFC 9126) and does not say where: give ` +
      'pushedAuthorizationRequestEndpoint (CLI: `--par-endpoint`)',
    { subject: provider.id },
  )

const noEndpoint = (provider: Provider): TokenError =>
  new TokenError(
    'provider_refused',
    `provider "${provider.id}" has no authorization endpoint: give authorizationEndpoint, or an issuer to discover it ` +
      '(CLI: `--authorization-endpoint`)',
    { subject: provider.id },
  )
