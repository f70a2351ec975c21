import type { Actor, AuditLine } from '@tokenkeep/node'
import type { Keeper } from '../remote/keeper.ts'
import { withTokenkeep, type Context } from './context.ts'
import { localIso } from './moments.ts'
import { table, type Cell } from './table.ts'

export interface AuditArguments {
  readonly subject?: string
  readonly actor?: string
  readonly after?: number
  readonly limit?: number
}

const PAGE = 1000
const LIMIT_DEFAULT = 100

/** `tokenkeep audit`: who did what, newest first. */
export async function listAudit(context: Context, given: AuditArguments): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const found = await listAll(keep, given)
    output.answer(found, () => {
      if (found.length === 0) return ['no such acts']
      const { colours } = output
      const rows = found.map((line): Cell[] => [
        String(line.id),
        localIso(line.at),
        actorWords(line.actor),
        line.act,
        line.subject ?? '-',
        line.outcome === 'done' ? line.outcome : { text: line.outcome, paint: colours.yellow },
        JSON.stringify(line.details),
      ])
      return table(['ID', 'AT', 'WHO', 'DID', 'SUBJECT', 'OUTCOME', 'DETAILS'], rows, colours.dim)
    })
  })
}

async function listAll({ audit }: Keeper, given: AuditArguments): Promise<AuditLine[]> {
  const { limit = LIMIT_DEFAULT, ...asked } = given
  const found: AuditLine[] = []
  for (;;) {
    const wanted = Math.min(PAGE, limit - found.length)
    const page = await audit.list({ ...asked, before: found.at(-1)?.id, limit: wanted })
    found.push(...page)
    if (page.length < wanted || found.length >= limit) return found
  }
}

function actorWords(actor: Actor): string {
  switch (actor.kind) {
    case 'api_key':
      return actor.identity === null ? actor.id : `${actor.id} by ${actor.identity}`
    case 'command':
      return `${actor.user}@${actor.host} (pid ${actor.pid})`
    case 'library':
      return 'library'
  }
}
