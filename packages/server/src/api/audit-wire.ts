/** The audit log on the wire. */
import { z } from 'zod'
import { moment } from './moment.ts'

// Written out rather than imported, because this file is the contract; the compiler compares (`audit-routes`).
export const ACTS = [
  'provider.put',
  'client.put',
  'client.rotate_key',
  'connection.import',
  'connection.reconnect',
  'connection.resolve',
  'connection.label',
  'connection.delete',
  'connect_session.create',
  'device_sign_in.begin',
  'local_refresh_token.share',
  'local_refresh_token.revoke',
  'api_key.create',
  'api_key.revoke',
  'api_key.set_source',
  'api_key.trust',
  'api_key.untrust',
  'master_key.add',
  'master_key.rotate',
  'master_key.reseal',
  'master_key.remove',
  'adopt',
  'backup',
  'denied',
] as const

const lineId = z.number().int().min(0).max(999_999_999_999)

export const AuditQuery = z.strictObject({
  subject: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({ description: 'The id of what it was done to: of a connection, a provider, a client, an API key' }),
  actor: z
    .string()
    .regex(/^(?:key_\w{1,80}|library|command)$/, 'is the id of an API key (key_...), library or command')
    .optional()
    .meta({ description: 'The id of an API key; library or command: done where the data are' }),
  after: lineId.optional().meta({ description: 'Only lines with higher ids' }),
  before: lineId.optional().meta({ description: 'Only lines with lower ids: next_before of the page before' }),
  limit: z.number().int().min(1).max(1000).optional().meta({ description: '100 where absent' }),
})

export const AuditLine = z
  .object({
    id: z.int().meta({ description: 'Later lines have higher ones' }),
    at: moment.meta({ description: 'When it was begun' }),
    actor: z.object({
      kind: z.enum(['api_key', 'command', 'library']),
      id: z.string().nullable().meta({ description: 'Of the API key' }),
      identity: z.string().nullable().meta({ description: 'The identity by which the key was known' }),
      user: z.string().nullable().meta({ description: 'Of a command: as the system names the user' }),
      host: z.string().nullable(),
      pid: z.int().nullable(),
    }),
    act: z.enum(ACTS).meta({ description: 'denied: an operation that the API key has no scope for' }),
    subject: z.string().nullable().meta({ description: 'The id of what it was done to' }),
    details: z.record(z.string(), z.unknown()).meta({ description: 'What changed: names, hosts, scopes, labels' }),
    outcome: z.string().meta({
      description:
        'done, or the code of the error that it ended with; open: under way, or broken off, and then it may have been done',
      examples: ['done', 'open', 'invalid_input'],
    }),
    ended_at: moment.nullable(),
  })
  .meta({ id: 'AuditLine', description: 'One administrative act' })

export const AuditAnswer = z
  .object({
    lines: z.array(AuditLine).meta({ description: 'Newest first' }),
    next_before: z.int().nullable().meta({ description: 'null: that was all' }),
  })
  .meta({ id: 'Audit' })

export type AuditLineWire = z.infer<typeof AuditLine>
export type AuditWire = z.infer<typeof AuditAnswer>
