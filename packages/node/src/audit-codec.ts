/** How lines of the audit log are read and written, the same in both databases. */
import type { Actor } from './actor.ts'
import { ACTS, type AuditLine, type AuditQuery, type AuditRows, type LineEnd } from './audit.ts'
import { integer, integerOrNull, json, text, textOrNull, type CellRecord } from './cells.ts'

export const AUDIT_COLUMNS = 'at, actor, actor_facts, act, subject, details, outcome, ended_at'

type Adding = Parameters<AuditRows['add']>[0]

export function lineValues({ at, actor, act, subject, details, end }: Adding): (string | number | null)[] {
  const { kind: _kind, ...facts } = actor
  const name = actor.kind === 'api_key' ? actor.id : actor.kind
  return [
    at,
    name,
    JSON.stringify(facts),
    act,
    subject,
    JSON.stringify(details),
    end?.outcome ?? null,
    end?.endedAt ?? null,
  ]
}

/** What was known before stays where the end says nothing. A line that has ended is never changed. */
export const END_OF_LINE = `SET outcome = ?, ended_at = ?, subject = coalesce(?, subject), details = coalesce(?, details)
  WHERE no = ? AND outcome IS NULL`
export const endValues = ({ outcome, endedAt, subject, details, id }: LineEnd): (string | number | null)[] => [
  outcome,
  endedAt,
  subject,
  details === null ? null : JSON.stringify(details),
  id,
]

type Asked = Parameters<AuditRows['list']>[0]

/** @param table of the lines */
export function selectLines(
  table: string,
  { subject, actor, after, before }: Pick<AuditQuery, 'subject' | 'actor' | 'after' | 'before'>,
): string {
  const conditions = [
    ...(subject === undefined ? [] : ['subject = ?']),
    ...(actor === undefined ? [] : ['actor = ?']),
    ...(after === undefined ? [] : ['no > ?']),
    ...(before === undefined ? [] : ['no < ?']),
  ]
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')} `
  return `SELECT no, ${AUDIT_COLUMNS} FROM ${table} ${where}ORDER BY no DESC LIMIT ?`
}

export const askedValues = ({ subject, actor, after, before, limit }: Asked): (string | number)[] =>
  [subject, actor, after, before, limit].filter((each) => each !== undefined)

export function readLine(record: CellRecord): AuditLine {
  const act = ACTS.find((each) => each === record['act'])
  if (act === undefined) throw new Error('the database holds an act that this program does not know')
  const name = text(record, 'actor')
  const kind = name === 'library' || name === 'command' ? name : 'api_key'
  return {
    id: integer(record, 'no'),
    at: integer(record, 'at'),
    actor: { kind, ...(json(record, 'actor_facts') as object) } as Actor,
    act,
    subject: textOrNull(record, 'subject'),
    details: json(record, 'details') as AuditLine['details'],
    outcome: textOrNull(record, 'outcome') ?? 'open',
    endedAt: integerOrNull(record, 'ended_at'),
  }
}
