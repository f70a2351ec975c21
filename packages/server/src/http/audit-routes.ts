/**
 * `GET /v1/audit`: there is no other operation on it, so that nobody changes what is in it. It is about everything, and so
 * are keys with scope admin, which no labels limit.
 */
import type { AuditLine, Tokenkeep } from '@tokenkeep/node'
import type { AuditLineWire } from '../api/audit-wire.ts'
import type { Handlers } from './routes.ts'

const LIMIT_DEFAULT = 100

export function auditHandlers({ keep }: { readonly keep: Pick<Tokenkeep, 'audit'> }): Pick<Handlers, 'listAudit'> {
  return {
    async listAudit({ query }) {
      const limit = query.limit ?? LIMIT_DEFAULT
      const lines = await keep.audit.list({ ...query, limit })
      return {
        lines: lines.map(lineWire),
        next_before: lines.length < limit ? null : (lines.at(-1)?.id ?? null),
      }
    },
  }
}

const NOBODY = { id: null, identity: null, user: null, host: null, pid: null }

const lineWire = ({ at, actor, details, endedAt, ...line }: AuditLine): AuditLineWire => ({
  ...line,
  at: new Date(at).toISOString(),
  actor: { ...NOBODY, ...actor },
  details: { ...details },
  ended_at: endedAt === null ? null : new Date(endedAt).toISOString(),
})
