import { TokenError } from '@tokenkeep/core'
import type { ApiKey, ApiKeyScope } from '@tokenkeep/node'
import { API_KEY_SCOPES } from '../remote/known-words.ts'
import { withTokenkeep, type Context } from './context.ts'
import { fromNow, momentFromNow } from './moments.ts'
import type { Output } from './output.ts'
import { printable } from './printable.ts'
import { pairs, table, type Cell } from './table.ts'

export interface KeyArguments {
  readonly name: string
  readonly scope?: readonly string[]
  readonly label?: Readonly<Record<string, string>>
  /** Provider to connection. */
  readonly source?: Readonly<Record<string, string>>
  /** Seconds. */
  readonly expiresIn?: number
}

/** `tokenkeep key create`: makes an API key and shows it, which nobody can do again. */
export async function createKey(context: Context, given: KeyArguments): Promise<void> {
  const { output, around } = context
  const scopes = given.scope?.map(knownScope)
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { apiKey, key } = await keep.apiKeys.create({
      name: given.name,
      scopes,
      labels: given.label,
      sources: given.source,
      expiresAt: given.expiresIn === undefined ? undefined : around.now() + given.expiresIn * 1000,
    })
    output.answer({ ...apiKey, key }, () => [
      ...described(apiKey, context),
      ...pairs([['key', key]], output.colours.dim),
      '',
      'The key is shown now and never again. A program sends it as `Authorization: Bearer KEY`, the command reads it from',
      'TOKENKEEP_API_KEY, and at the drop-in token endpoint it is the client_secret, with the id as the client_id.',
    ])
  })
}

/** `tokenkeep key list` */
export async function listKeys(context: Context): Promise<void> {
  const { output, around } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const found = await keep.apiKeys.list()
    output.answer(found, () =>
      found.length === 0
        ? ['no API keys yet: `tokenkeep key create` makes one']
        : table(
            ['ID', 'NAME', 'SCOPES', 'ONLY WITH', 'SOURCES', 'TRUSTS', 'MADE', 'LIVES'],
            found.map((apiKey): Cell[] => [
              apiKey.id,
              apiKey.name,
              apiKey.scopes.join(' '),
              inWords(apiKey.labels),
              inWords(apiKey.sources),
              trusted(apiKey).join(' ') || '-',
              fromNow(apiKey.createdAt, around.now()),
              lifeCell(apiKey, around.now(), output),
            ]),
            output.colours.dim,
          ),
    )
  })
}

export interface TrustArguments {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  readonly jwksUri?: string
  readonly allowPrivateNetwork?: boolean
}

/** `tokenkeep key trust ID`: whoever shows a JWT of this issuer and subject is known as by the key. */
export async function trustIdentity(context: Context, id: string, given: TrustArguments): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { issuer, subject, audience, jwksUri, allowPrivateNetwork } = given
    const apiKey = await keep.apiKeys.trust(id, { issuer, subject, audience, jwksUri, allowPrivateNetwork })
    context.output.answer(apiKey, () => described(apiKey, context))
  })
}

/** `tokenkeep key untrust ID IDENTITY` */
export async function untrustIdentity(context: Context, id: string, identity: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const apiKey = await keep.apiKeys.untrust(id, identity)
    context.output.answer(apiKey, () => described(apiKey, context))
  })
}

/** `tokenkeep key revoke ID` */
export async function revokeKey(context: Context, id: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const apiKey = await keep.apiKeys.revoke(id)
    context.output.answer(apiKey, () => [
      `${printable(apiKey.id)} (${printable(apiKey.name)}) is revoked: it is refused from now on, and so are its local ` +
        'refresh tokens.',
    ])
  })
}

/** `tokenkeep key source ID PROVIDER [CONNECTION]`: whose token serves `client_credentials`; none: nobody's any more. */
export async function setKeySource(
  context: Context,
  id: string,
  { provider, connection }: { readonly provider: string; readonly connection: string | undefined },
): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const apiKey = await keep.apiKeys.setSource(id, provider, connection ?? null)
    context.output.answer(apiKey, () => described(apiKey, context))
  })
}

function described(apiKey: ApiKey, { around, output }: Context): string[] {
  const now = around.now()
  return pairs(
    [
      ['id', apiKey.id],
      ['name', apiKey.name],
      ['scopes', apiKey.scopes.join(' ')],
      ['only with labels', inWords(apiKey.labels)],
      ['client credentials from', inWords(apiKey.sources)],
      ...identitiesOf(apiKey),
      ['made', momentFromNow(apiKey.createdAt, now)],
      ['lives', lifeCell(apiKey, now, output)],
    ],
    output.colours.dim,
  )
}

/** For a line of a list. */
const trusted = ({ identities }: ApiKey): string[] => identities.map(({ id, subject }) => `${id}=${subject}`)

const identitiesOf = ({ identities }: ApiKey): [string, string][] =>
  identities.map(({ id, issuer, subject, audience }) => ['trusts', `${id}: ${subject} of ${issuer}, for ${audience}`])

const inWords = (named: Readonly<Record<string, string>>): string =>
  Object.entries(named)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ') || '-'

function lifeCell({ revokedAt, expiresAt }: ApiKey, nowMs: number, { colours }: Output): Cell {
  if (revokedAt !== null) return { text: `revoked ${fromNow(revokedAt, nowMs)}`, paint: colours.dim }
  if (expiresAt === null) return 'no end'
  if (expiresAt <= nowMs) return { text: `ended ${fromNow(expiresAt, nowMs)}`, paint: colours.dim }
  return `ends ${fromNow(expiresAt, nowMs)}`
}

function knownScope(text: string): ApiKeyScope {
  const scope = API_KEY_SCOPES.find((each) => each === text)
  if (scope !== undefined) return scope
  throw new TokenError('invalid_input', `each --scope is one of ${API_KEY_SCOPES.join(', ')}`)
}
