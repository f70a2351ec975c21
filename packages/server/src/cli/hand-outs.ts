import { TokenError } from '@tokenkeep/core'
import type { HandOutCount } from '@tokenkeep/node'
import type { Keeper } from '../remote/keeper.ts'
import { withTokenkeep, type Context } from './context.ts'
import { localIso } from './moments.ts'
import { table, type Cell } from './table.ts'

export interface HandOutsArguments {
  readonly connection?: string
  /** The id of an API key, `library` or `command`. */
  readonly caller?: string
  /** Epoch milliseconds. */
  readonly from?: number
  readonly to?: number
  readonly limit?: number
}

const PAGE = 1000
const LIMIT_DEFAULT = 100

/** `tokenkeep hand-outs`: who was handed tokens of which connection, by the minute. */
export async function listHandOuts(context: Context, given: HandOutsArguments): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const found = await listAll(keep, given)
    output.answer(found, () => {
      if (found.length === 0)
        return ['no such hand-outs: they are counted for three days, and written every ten seconds']
      const rows = found.map((handOut): Cell[] => [
        localIso(handOut.minute),
        handOut.caller,
        handOut.identity ?? '-',
        handOut.connection ?? (handOut.uid === null ? 'several' : `deleted (${handOut.uid})`),
        String(handOut.count),
      ])
      return table(['MINUTE', 'CALLER', 'IDENTITY', 'CONNECTION', 'HAND-OUTS'], rows, output.colours.dim)
    })
  })
}

async function listAll({ handOuts }: Keeper, given: HandOutsArguments): Promise<HandOutCount[]> {
  const { limit = LIMIT_DEFAULT, ...asked } = given
  const found: HandOutCount[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await handOuts.list({ ...asked, limit: Math.min(PAGE, limit - found.length), cursor })
    found.push(...page.handOuts)
    if (page.nextCursor === null || found.length >= limit) return found
    cursor = page.nextCursor
  }
}

/** A moment as people give it: RFC 3339, or a local time of this machine. @throws TokenError `invalid_input` */
export function momentGiven(text: string): number {
  const at = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/.test(text)
    ? Date.parse(text.replace(' ', 'T'))
    : NaN
  if (!Number.isNaN(at)) return at
  throw new TokenError('invalid_input', 'a moment is like 2026-11-28T01:02:03Z, or 2026-11-28T01:02 in local time')
}
