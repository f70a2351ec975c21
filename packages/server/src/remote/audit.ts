/** The audit log, asked of a server. */
import type { Actor, AuditLine, AuditQuery } from '@tokenkeep/node'
import { TokenError } from '@tokenkeep/core'
import { ACTS } from './known-acts.ts'
import type { AuditLineWire, AuditWire } from '../api/audit-wire.ts'
import type { Exchange } from './exchange.ts'
import { membersOf } from './members.ts'
import { queryOf } from './minutes.ts'

/** What commands need of the audit log. */
export interface AuditReading {
  list(query?: AuditQuery): Promise<readonly AuditLine[]>
}

export const remoteAudit = (ask: Exchange['ask']): AuditReading => ({
  async list({ subject, actor, after, before, limit } = {}) {
    if (actor !== undefined && !/^(?:key_\w{1,80}|library|command)$/.test(actor)) throw noActor()
    const query = queryOf({ subject, actor, after, before, limit })
    return ask({ method: 'GET', path: '/v1/audit', query }, (answer) =>
      membersOf<AuditWire>(answer, 'the answer').list('lines', readLine),
    )
  },
})

/** Whoever gives a key for its id must not leave it in the logs of whatever stands before the server. */
const noActor = (): TokenError =>
  new TokenError(
    'invalid_input',
    'actor is the id of an API key (key_...), library or command: the key itself is not asked for',
  )

function readLine(item: unknown): AuditLine {
  const line = membersOf<AuditLineWire>(item, 'a line')
  return {
    id: line.number('id'),
    at: line.moment('at'),
    actor: readActor(item),
    act: line.oneOf('act', ACTS),
    subject: line.textOrNull('subject'),
    details: line.record('details'),
    outcome: line.text('outcome'),
    endedAt: line.momentOrNull('ended_at'),
  }
}

function readActor(item: unknown): Actor {
  const actor = membersOf<AuditLineWire>(item, 'a line').nested<AuditLineWire['actor']>('actor')
  const kind = actor.oneOf('kind', ['api_key', 'command', 'library'])
  switch (kind) {
    case 'api_key':
      return { kind, id: actor.textOrNull('id') ?? '', identity: actor.textOrNull('identity') }
    case 'command':
      return {
        kind,
        user: actor.textOrNull('user') ?? '',
        host: actor.textOrNull('host') ?? '',
        pid: actor.numberOrNull('pid') ?? 0,
      }
    case 'library':
      return { kind }
  }
}
