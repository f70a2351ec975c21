import type { Narrowing, Provider, ReusePolicy } from '@tokenkeep/core'
import type { ProviderInput } from '@tokenkeep/node'
import { withTokenkeep, type Context } from './context.ts'
import type { Output } from './output.ts'
import { pairs, table, type Cell } from './table.ts'
import { span } from './moments.ts'

export interface ProviderArguments {
  readonly preset?: string
  readonly issuer?: string
  readonly tokenEndpoint?: string
  readonly revocationEndpoint?: string
  readonly introspectionEndpoint?: string
  readonly reuse?: ReusePolicy
  readonly narrowing?: Narrowing
  readonly refreshKillsAccessToken?: boolean
  /** Seconds. */
  readonly accessTokenLifetime?: number
  /** Seconds. */
  readonly refreshTokenIdle?: number
  readonly apiBaseUrl?: readonly string[]
  readonly allowPrivateNetwork?: boolean
}

/** `tokenkeep provider add ID`: adds a provider or replaces its settings. */
export async function addProvider(context: Context, id: string, given: ProviderArguments): Promise<void> {
  const { accessTokenLifetime, refreshTokenIdle, apiBaseUrl, ...same } = given
  const input: ProviderInput = {
    id,
    ...same,
    ...(accessTokenLifetime === undefined ? {} : { accessTokenLifetimeMs: milliseconds(accessTokenLifetime) }),
    ...(refreshTokenIdle === undefined ? {} : { refreshTokenIdleMs: milliseconds(refreshTokenIdle) }),
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
    ['revocation endpoint', provider.revocationEndpoint ?? discovered(provider)],
    ['introspection endpoint', provider.introspectionEndpoint ?? discovered(provider)],
    ['second presentation', reuseInWords(provider.reuse)],
    ['narrower scope', NARROWING[provider.narrowing]],
    [
      'a refresh',
      provider.refreshKillsAccessToken ? 'ends earlier access tokens' : 'leaves earlier access tokens alone',
    ],
    ['access token lives', lifetime(provider.accessTokenLifetimeMs)],
    ['unused refresh token lives', lifetime(provider.refreshTokenIdleMs)],
    ['APIs', provider.apiBaseUrls.length === 0 ? 'any' : provider.apiBaseUrls.join(' ')],
    ['private network', provider.allowPrivateNetwork ? 'allowed' : 'refused'],
  ]
  return pairs(entries, colours.dim)
}

const discovered = ({ issuer }: Provider): string => (issuer === null ? 'none' : 'discovered from the issuer')

const NARROWING = {
  token_only: 'narrows that one access token',
  sticks: 'narrows the sign-in for good',
  unknown: 'not known, so not asked for',
} as const satisfies Record<Narrowing, string>

function reuseInWords(reuse: ReusePolicy): string {
  switch (reuse.kind) {
    case 'strict':
      return 'ends the sign-in'
    case 'unknown':
      return 'not known'
    case 'reusable':
      return 'answered: refresh tokens do not rotate'
    case 'counted':
      return `answered ${reuse.n} times more`
    case 'grace':
      return 'seconds' in reuse ? `answered for ${reuse.seconds} s` : 'answered until the successor is used'
  }
}
