/**
 * The two requests of a device: for its codes, and whether its person has signed in.
 *
 * @see RFC 8628 sections 3.1, 3.2, 3.4 and 3.5
 */
import {
  beganPolling,
  fromSeconds,
  judgeDevicePoll,
  Secret,
  TokenError,
  type DeviceHeard,
  type DevicePoll,
  type DpopKey,
  type OpenedClient,
  type Provider,
} from '@tokenkeep/core'
import { memberOf, wordOf } from './answer-member.ts'
import { askAsClient } from './client-request.ts'
import { askProving } from './proving-request.ts'
import type { ProviderAccess } from './provider-access.ts'
import { away, unusable } from './sign-in.ts'
import { failed, failedBecause, signedInWith, SIGN_IN_ASSUMES, type Failed, type SignedIn } from './sign-in-answer.ts'
import { parseWebUrl } from './web-url.ts'

/** What a device was given. */
export interface DeviceCodes {
  readonly deviceCode: Secret<'device_code'>
  /** For the person to type; any characters. */
  readonly userCode: string
  readonly verificationUri: string
  /** With the code in it; null: not given. */
  readonly verificationUriComplete: string | null
  readonly poll: DevicePoll
}

interface Parties {
  readonly provider: Provider
  readonly client: OpenedClient
}

// A person waits for the code.
const BEGIN_DEADLINE_MS = fromSeconds(10)
const POLL_DEADLINE_MS = fromSeconds(30)
const DEVICE_CODE_LENGTH_MAX = 8 * 1024
const USER_CODE_LENGTH_MAX = 100
const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/**
 * Asks for codes.
 *
 * @throws TokenError `unavailable`: no answer that can be used; `provider_refused`: it has no such endpoint, refuses the
 *   client, or answers with what nobody can be sent to
 */
export async function askForCodes(
  access: ProviderAccess,
  of: Parties & { readonly scope: string | null; readonly resources: readonly string[] },
): Promise<DeviceCodes> {
  const { provider, client, scope, resources } = of
  const parameters = new URLSearchParams({
    ...provider.request.parameters,
    client_id: client.clientId,
    ...(scope === null ? {} : { scope: scope.replaceAll(' ', provider.request.scopeSeparator) }),
  })
  for (const resource of resources) parameters.append('resource', resource)
  const request = { provider, client, endpoint: 'deviceAuthorizationEndpoint', parameters } as const
  const answer = await askAsClient(access, request, BEGIN_DEADLINE_MS)
  if (answer === 'none') throw noEndpoint(provider)
  if (answer === 'failed') throw away(provider)
  if (answer === 'unusable') throw unusable(client)
  const word = wordOf(answer)
  if (answer.status >= 500 || answer.status === 429 || !answer.complete) throw away(provider)
  if (answer.status < 200 || answer.status > 299 || word !== null)
    throw refusal(
      provider,
      `refused to begin a sign-in on a device (${word ?? `status ${answer.status}`}): look at the registration of ` +
        `client "${client.id}" (many providers have the device flow turned off), its scope, and the endpoint`,
    )
  const unfit = (): never => {
    throw refusal(provider, 'answered a device without a code, or without an https address where a person could go')
  }
  const textAt = (name: string, lengthMax: number): string => {
    const value = memberOf(answer, name)
    return typeof value === 'string' && value !== '' && value.length <= lengthMax && value.isWellFormed()
      ? value
      : unfit()
  }
  // Some servers still call it as the first drafts of the RFC did.
  const uri = parseWebUrl(memberOf(answer, 'verification_uri') ?? memberOf(answer, 'verification_url'))
  const complete = parseWebUrl(memberOf(answer, 'verification_uri_complete'))
  return {
    deviceCode: new Secret('device_code', textAt('device_code', DEVICE_CODE_LENGTH_MAX)),
    userCode: textAt('user_code', USER_CODE_LENGTH_MAX),
    verificationUri: 'url' in uri ? uri.url : unfit(),
    verificationUriComplete: 'url' in complete ? complete.url : null,
    poll: beganPolling(
      { interval: memberOf(answer, 'interval'), expiresIn: memberOf(answer, 'expires_in') },
      access.clock.now().mono,
    ),
  }
}

/** What came of one question. */
export type DeviceAnswered =
  | SignedIn
  | { readonly kind: 'failed'; readonly because: Failed['because'] | 'expired'; readonly word: string | null }
  | Extract<DeviceHeard, { readonly kind: 'pending' | 'slow_down' | 'unanswered' }>

/**
 * Asks once whether the person has signed in.
 *
 * @param of `asked`: the scope that was asked for, or null; `dpopKey`: what the tokens will be bound to, or null
 */
export async function askDevice(
  access: ProviderAccess,
  of: Parties & {
    readonly deviceCode: Secret<'device_code'>
    readonly asked: string | null
    readonly dpopKey: DpopKey | null
  },
): Promise<DeviceAnswered> {
  const { provider, client, deviceCode, asked, dpopKey } = of
  const parameters = new URLSearchParams({
    ...provider.request.parameters,
    grant_type: GRANT,
    device_code: deviceCode.reveal(),
  })
  const request = { provider, client, endpoint: 'tokenEndpoint', parameters, dpopKey } as const
  const answer = await askProving(access, request, POLL_DEADLINE_MS)
  if (answer === 'none' || answer === 'unusable') return failed('misconfigured')
  if (answer === 'failed') return { kind: 'unanswered', retryAfterMs: null }
  const heard = judgeDevicePoll(answer, provider, SIGN_IN_ASSUMES)
  switch (heard.kind) {
    case 'granted':
      return signedInWith(access, { provider, client, answer, outcome: heard, asked, nonce: null })
    case 'refused':
      return failedBecause(heard.outcome, wordOf(answer))
    case 'ended':
      return { kind: 'failed', because: heard.because, word: heard.word }
    case 'pending':
    case 'slow_down':
    case 'unanswered':
      return heard
  }
}

const noEndpoint = (provider: Provider): TokenError =>
  refusal(
    provider,
    'has no device authorization endpoint: give deviceAuthorizationEndpoint, or an issuer to discover it ' +
      '(CLI: `--device-endpoint`), or sign in with a browser',
  )

const refusal = (provider: Provider, sentence: string): TokenError =>
  new TokenError('provider_refused', `provider "${provider.id}" ${sentence}`, { subject: provider.id })
