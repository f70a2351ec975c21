import type { MethodOfSecrets, Narrowing, Provider, ProviderWords, ReusePolicy, Sign } from '@tokenkeep/core'
import { knownPresets, type ProviderInput } from '@tokenkeep/node'
import { withTokenkeep, type Context } from './context.ts'
import type { Output } from './output.ts'
import { pairs, table, type Cell } from './table.ts'
import { span } from './moments.ts'
import {
  answerInWords,
  authorizationInWords,
  NARROWING,
  requestInWords,
  reuseInWords,
  wordsInWords,
} from './provider-words.ts'

export interface ProviderArguments {
  readonly preset?: string
  readonly issuer?: string
  readonly variable?: Readonly<Record<string, string>>
  readonly tokenEndpoint?: string
  readonly refreshEndpoint?: string
  readonly revocationEndpoint?: string
  readonly introspectionEndpoint?: string
  readonly authorizationEndpoint?: string
  readonly parEndpoint?: string
  readonly deviceEndpoint?: string
  readonly jwksUri?: string
  readonly userinfoEndpoint?: string
  /** Of authorization requests. */
  readonly signInParameter?: Readonly<Record<string, string>>
  readonly signInScope?: string
  readonly pkce?: boolean
  readonly authMethod?: MethodOfSecrets
  readonly reuse?: ReusePolicy
  readonly narrowing?: Narrowing
  readonly refreshKillsAccessToken?: boolean
  /** Seconds. */
  readonly accessTokenLifetime?: number
  /** Seconds. */
  readonly refreshTokenIdle?: number
  /** Seconds. */
  readonly refreshTokenAbsolute?: number
  /** Seconds. */
  readonly introspectEvery?: number
  readonly eventAudience?: string
  readonly sign?: OutcomeSigns
  readonly jsonRequests?: boolean
  readonly rawBasicCredentials?: boolean
  readonly assertionAudience?: string
  readonly parameter?: Readonly<Record<string, string>>
  readonly header?: Readonly<Record<string, string>>
  readonly tokensIn?: readonly string[]
  readonly wordsIn?: readonly string[]
  readonly subjectIn?: readonly string[]
  /** Null: not limited. */
  readonly requestsPerMinute?: number | null
  /** Null: not limited. */
  readonly concurrency?: number | null
  readonly apiBaseUrl?: readonly string[]
  readonly allowPrivateNetwork?: boolean
}

export type OutcomeSigns = { readonly [Outcome in keyof ProviderWords]?: readonly Sign[] }

/** `tokenkeep provider add ID`: adds a provider or replaces its settings. */
export async function addProvider(context: Context, id: string, given: ProviderArguments): Promise<void> {
  const { accessTokenLifetime, refreshTokenIdle, refreshTokenAbsolute, apiBaseUrl, ...same } = given
  const { variable, authMethod, sign, jsonRequests, rawBasicCredentials, assertionAudience, ...shaped } = same
  const { parameter, header, tokensIn, wordsIn, subjectIn, ...more } = shaped
  const { parEndpoint, deviceEndpoint, signInParameter, signInScope, pkce, introspectEvery, ...named } = more
  const authorization = {
    ...(signInParameter === undefined ? {} : { parameters: signInParameter }),
    ...(signInScope === undefined ? {} : { scope: signInScope }),
    ...(pkce === false ? { pkce: 'none' as const } : {}),
  }
  const request = {
    ...(jsonRequests === undefined ? {} : { encoding: 'json' as const }),
    ...(rawBasicCredentials === undefined ? {} : { basicCredentials: 'raw' as const }),
    ...(assertionAudience === undefined ? {} : { assertionAudience }),
    ...(parameter === undefined ? {} : { parameters: parameter }),
    ...(header === undefined ? {} : { headers: header }),
  }
  const answer = {
    ...(tokensIn === undefined ? {} : { tokensIn }),
    ...(wordsIn === undefined ? {} : { words: wordsIn }),
    ...(subjectIn === undefined ? {} : { subject: subjectIn }),
  }
  const known = given.preset ?? (await presetNamed(id))
  const input: ProviderInput = {
    id,
    ...named,
    ...(known === undefined ? {} : { preset: known }),
    ...(variable === undefined ? {} : { variables: variable }),
    ...(authMethod === undefined ? {} : { tokenEndpointAuthMethod: authMethod }),
    ...(accessTokenLifetime === undefined ? {} : { accessTokenLifetimeMs: milliseconds(accessTokenLifetime) }),
    ...(refreshTokenIdle === undefined ? {} : { refreshTokenIdleMs: milliseconds(refreshTokenIdle) }),
    ...(refreshTokenAbsolute === undefined ? {} : { refreshTokenAbsoluteMs: milliseconds(refreshTokenAbsolute) }),
    ...(introspectEvery === undefined ? {} : { introspectEveryMs: milliseconds(introspectEvery) }),
    ...(sign === undefined ? {} : { words: sign }),
    ...(Object.keys(request).length === 0 ? {} : { request }),
    ...(Object.keys(answer).length === 0 ? {} : { answer }),
    ...(Object.keys(authorization).length === 0 ? {} : { authorization }),
    ...(parEndpoint === undefined ? {} : { pushedAuthorizationRequestEndpoint: parEndpoint }),
    ...(deviceEndpoint === undefined ? {} : { deviceAuthorizationEndpoint: deviceEndpoint }),
    ...(apiBaseUrl === undefined ? {} : { apiBaseUrls: apiBaseUrl }),
  }
  const { output } = context
  await withTokenkeep(context, { missing: 'make' }, async (keep) => {
    const provider = await keep.providers.put(input)
    output.answer(provider, () => [
      ...described(provider, output),
      '',
      `Next: tokenkeep client add ID --provider ${provider.id} --client-id CLIENT_ID --client-secret-stdin`,
    ])
  })
}

/** `tokenkeep provider add google` means the preset of that name. */
const presetNamed = async (id: string): Promise<string | undefined> =>
  Object.hasOwn(await knownPresets(), id) ? id : undefined

/** Rounded, because 1.001 times 1000 is a little less than 1001. */
const milliseconds = (seconds: number): number => Math.round(seconds * 1000)

/** `tokenkeep provider list` */
export async function listProviders(context: Context): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const providers = await keep.providers.list()
    output.answer(providers, () =>
      providers.length === 0
        ? ['no providers yet: `tokenkeep provider add` adds one']
        : table(
            ['ID', 'PRESET', 'ISSUER OR TOKEN ENDPOINT', 'REUSE'],
            providers.map((provider) => [
              provider.id,
              provider.preset ?? '-',
              provider.issuer ?? provider.tokenEndpoint ?? '-',
              reuseInWords(provider.reuse),
            ]),
            output.colours.dim,
          ),
    )
  })
}

/** `tokenkeep provider show ID` */
export async function showProvider(context: Context, id: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const provider = await keep.providers.get(id)
    context.output.answer(provider, () => described(provider, context.output))
  })
}

function described(provider: Provider, { colours }: Output): string[] {
  const lifetime = (durationMs: number | null): string => (durationMs === null ? '-' : span(durationMs))
  const entries: (readonly [string, Cell])[] = [
    ['id', provider.id],
    ['preset', provider.preset ?? '-'],
    ['issuer', provider.issuer ?? '-'],
    ['token endpoint', provider.tokenEndpoint ?? 'discovered from the issuer'],
    ...(provider.refreshEndpoint === null ? [] : [['refresh endpoint', provider.refreshEndpoint] as const]),
    ['revocation endpoint', provider.revocationEndpoint ?? discovered(provider)],
    ['introspection endpoint', provider.introspectionEndpoint ?? discovered(provider)],
    ['authorization endpoint', provider.authorizationEndpoint ?? discovered(provider)],
    ['pushed authorization requests', provider.pushedAuthorizationRequestEndpoint ?? discovered(provider)],
    ['device authorization endpoint', provider.deviceAuthorizationEndpoint ?? discovered(provider)],
    ['keys', provider.jwksUri ?? discovered(provider)],
    ...(provider.userinfoEndpoint === null ? [] : [['userinfo endpoint', provider.userinfoEndpoint] as const]),
    ['clients with a secret use', provider.tokenEndpointAuthMethod],
    ['second presentation', reuseInWords(provider.reuse)],
    ['narrower scope', NARROWING[provider.narrowing]],
    [
      'a refresh',
      provider.refreshKillsAccessToken ? 'ends earlier access tokens' : 'leaves earlier access tokens alone',
    ],
    ['access token lives', lifetime(provider.accessTokenLifetimeMs)],
    ['unused refresh token lives', lifetime(provider.refreshTokenIdleMs)],
    ...(provider.refreshTokenAbsoluteMs === null
      ? []
      : [['a sign-in lives', lifetime(provider.refreshTokenAbsoluteMs)] as const]),
    ...wordsInWords(provider.words).map(([outcome, signs]) => [`said for: ${outcome}`, signs] as const),
    ...some('requests', requestInWords(provider.request)),
    ...some('answers', answerInWords(provider.answer)),
    ...some('sign-ins', authorizationInWords(provider.authorization)),
    ...(provider.introspectEveryMs === null
      ? []
      : [['asked whether a token is active', `every ${span(provider.introspectEveryMs)}, while it is used`] as const]),
    ...(provider.eventAudience === null ? [] : [['audience of its events', provider.eventAudience] as const]),
    ['refreshes a minute', limit(provider.requestsPerMinute)],
    ['refreshes at once', limit(provider.concurrency)],
    ['APIs', provider.apiBaseUrls.length === 0 ? 'any' : provider.apiBaseUrls.join(' ')],
    ['private network', provider.allowPrivateNetwork ? 'allowed' : 'refused'],
  ]
  return pairs(entries, colours.dim)
}

const some = (name: string, value: string | null): readonly (readonly [string, string])[] =>
  value === null ? [] : [[name, value]]

const limit = (most: number | null): string => (most === null ? 'not limited' : `${most} from one process`)

const discovered = ({ issuer }: Provider): string => (issuer === null ? 'none' : 'discovered from the issuer')
