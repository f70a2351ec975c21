/** The keys that a client signs with, for people: which there are, another one, and what its provider is to be told. */
import type { ClientKeyInfo } from '@tokenkeep/node'
import { withTokenkeep, type Context } from './context.ts'
import { table } from './table.ts'

export interface RotationArguments {
  readonly now?: boolean
  /** Seconds. */
  readonly useAfter?: number
  /** Seconds. */
  readonly keepPublished?: number
}

/** `tokenkeep client keys ID` */
export async function listClientKeys(context: Context, id: string): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const keys = await keep.clients.keys(id)
    output.answer(keys, () =>
      keys.length === 0 ? ['this client signs with no key of its own'] : rows(keys, output.colours.dim),
    )
  })
}

/** `tokenkeep client rotate-key ID` */
export async function rotateClientKey(context: Context, id: string, given: RotationArguments): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const keys = await keep.clients.rotateKey(id, {
      now: given.now,
      afterMs: milliseconds(given.useAfter),
      keepMs: milliseconds(given.keepPublished),
    })
    output.answer(keys, () => [
      ...rows(keys, output.colours.dim),
      '',
      `Where the provider does not fetch them itself: tokenkeep client jwks ${id}`,
    ])
  })
}

/** `tokenkeep client jwks ID`: the set itself, as JSON, for registering it by hand. */
export async function showClientJwks(context: Context, id: string): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const jwks = await keep.clients.jwks(id)
    output.answer(jwks, () => JSON.stringify(jwks, null, 2).split('\n'))
  })
}

const rows = (keys: readonly ClientKeyInfo[], dim: (text: string) => string): string[] =>
  table(
    ['KID', 'ALG', 'STATE', 'SIGNS FROM', 'PUBLISHED UNTIL'],
    keys.map((key) => [
      key.kid,
      key.alg,
      key.state,
      moment(key.signsFrom),
      key.publishedUntil === null ? '-' : moment(key.publishedUntil),
    ]),
    dim,
  )

const moment = (epochMs: number): string => new Date(epochMs).toISOString()
const milliseconds = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : Math.round(seconds * 1000)
