/** The database: SQLite or Postgres, as it says of itself. */
import process from 'node:process'
import type { Checked, DatabaseSeen, PostgresSeen, SqliteSeen } from '@tokenkeep/node'
import { holdWords } from '../cli/hold-words.ts'
import { findingsOf, type Finding, type Kinds } from './finding.ts'
import type { Refusal } from './refusal.ts'

export const DATABASE = {
  database: {
    is: 'ok',
    says: '{name}, version {version}, as this program has it',
    todo: null,
  },
  database_missing: {
    is: 'note',
    says: 'there is no database yet: {name}',
    todo: '`tokenkeep provider add` or `tokenkeep serve` makes one. If there was one, the name of the place has a slip.',
  },
  database_gone: {
    is: 'wrong',
    says: 'there is no database {name}, and what belongs to one lies beside it: it was moved or deleted',
    todo: 'Put that very file back where it was, and then start again. A backup starts on hold (docs/storage.md).',
  },
  database_unusable: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Do what it says; docs/errors.md has more on each. A damaged file is replaced by a backup.',
  },
  database_newer: {
    is: 'wrong',
    says: '{reason}',
    todo: 'Update Tokenkeep on this machine.',
  },
  database_older: {
    is: 'note',
    says: '{name} has version {version}, and the next start of this program makes it {newest}: older programs refuse it then',
    todo: 'Make a backup before: `tokenkeep backup FILE`, or pg_dump.',
  },
  database_on_hold: {
    is: 'wrong',
    says: '{why}',
    todo: 'When the original is off for good: `tokenkeep adopt`. If it is not, end this copy.',
  },
  database_hold_ahead: {
    is: 'wrong',
    says: 'the next process that opens it puts it {why}',
    todo: 'If the original goes on elsewhere, do not start this copy. If it is off for good, start it, and `tokenkeep adopt`.',
  },
  database_read_through: {
    is: 'ok',
    says: 'read through (`PRAGMA quick_check`), and no damage found',
    todo: null,
  },
  database_damaged: {
    is: 'wrong',
    says: 'it is damaged: {fault}',
    todo: 'End every process that uses it, keep a copy of the damaged file, and restore a backup.',
  },
  database_not_read_through: {
    is: 'note',
    says: 'it was not read through for damage: {why}',
    todo: '`tokenkeep doctor --quick-check` reads all of it, however long that takes.',
  },
  database_readable: {
    is: 'note',
    says: 'other users can read the database (mode {mode}): tokens are sealed in it, names and labels are not',
    todo: 'Close it: `chmod 600`.',
  },
  log_large: {
    is: 'note',
    says: 'its write-ahead log has {size} MiB: somebody reads for long, or nobody has folded it in since a kill',
    todo: 'Look for a program that keeps the file open. The last process that ends in order folds it in.',
  },
  other_machine: {
    is: 'wrong',
    says: 'another machine wrote to it {seconds} s ago: SQLite cannot keep two machines apart',
    todo: 'End every process there and wait for 30 s, or keep the tokens in Postgres (docs/postgres.md).',
  },
  postgres: {
    is: 'ok',
    says: 'Postgres {version}, {tls}, {sessions}',
    todo: null,
  },
  postgres_empty: {
    is: 'note',
    says: 'Postgres {name} has no tables of Tokenkeep yet',
    todo: '`tokenkeep provider add` or `tokenkeep serve` makes them. If there were some: is the URL right?',
  },
  postgres_too_old: {
    is: 'wrong',
    says: 'it is Postgres {version}, and Tokenkeep needs 15 or later',
    todo: 'Update the server.',
  },
  postgres_plain: {
    is: 'note',
    says: 'nobody keeps others on the network from reading along: the connection has no TLS',
    todo: 'Let the server speak TLS, and add ?sslmode=verify-full to the URL.',
  },
  postgres_standby: {
    is: 'wrong',
    says: 'it is a standby, and takes no writes',
    todo: 'Name the primary in the URL.',
  },
  postgres_forgets: {
    is: 'wrong',
    says: 'it runs with {setting} off: a power cut can take commits with it, and their refresh tokens',
    todo: 'Set {setting} = on in postgresql.conf, and reload.',
  },
  postgres_pooler: {
    is: 'note',
    says: 'a pooler is in between: refreshes of other hosts are seen within a second, the end of a process after its lease',
    todo: 'Give a URL that leads to the server itself; 9 sessions for each process are enough.',
  },
  postgres_no_listen: {
    is: 'note',
    says: 'what one session says (NOTIFY) another one does not hear: refreshes of other hosts are seen within a second',
    todo: 'Look at what stands before the server; what is no Postgres need not have it.',
  },
  postgres_no_locks: {
    is: 'note',
    says: 'the lock of one session is not to be seen in another: the end of a process on another host shows after its lease',
    todo: 'Look at what stands before the server; what is no Postgres need not have it.',
  },
  postgres_sessions_few: {
    is: 'note',
    says: '{used} of {most} sessions are taken: a process of Tokenkeep takes up to 9',
    todo: 'Raise max_connections, or close what is not needed.',
  },
  postgres_permission: {
    is: 'wrong',
    says: 'its user may not read and write the table "{table}"',
    todo: 'Let the user of the URL own the tables (`ALTER TABLE ... OWNER TO`), as docs/postgres.md has it.',
  },
} as const satisfies Kinds

const found = findingsOf('database', DATABASE)
const MIB = 1024 * 1024

export type Looked = DatabaseSeen | { readonly none: string; readonly postgres: PostgresSeen | null } | Refusal

/** @param leftovers what belongs to a database lies where there is none */
export function judgeDatabase(looked: Looked, leftovers: boolean): readonly Finding[] {
  if ('refused' in looked) {
    const { code, message: reason } = looked.refused
    return [found(code === 'newer_database' ? 'database_newer' : 'database_unusable', { reason })]
  }
  if ('none' in looked) {
    const { none: name, postgres } = looked
    if (postgres !== null) return [found('postgres_empty', { name }), ...judgePostgres(postgres)]
    return [leftovers ? found('database_gone', { name }) : found('database_missing', { name })]
  }
  const { name, version, newest, hold, holdAhead, sqlite, postgres } = looked
  return [
    version < newest ? found('database_older', { name, version, newest }) : found('database', { name, version }),
    ...(hold === null ? [] : [found('database_on_hold', { why: holdWords({ because: hold }) })]),
    ...(holdAhead === null ? [] : [found('database_hold_ahead', { why: holdWords({ because: holdAhead }) })]),
    ...(sqlite === null ? [] : judgeSqlite(sqlite)),
    ...(postgres === null ? [] : judgePostgres(postgres)),
  ]
}

/** SQLite folds 4 MiB in at a time; what is far above has a reason. */
const LOG_BYTES_MOST = 64 * MIB

function judgeSqlite({ walBytes, mode, otherMachineSecondsAgo }: SqliteSeen): readonly Finding[] {
  return [
    ...(process.platform !== 'win32' && (mode & 0o044) !== 0
      ? [found('database_readable', { mode: mode.toString(8) })]
      : []),
    ...(walBytes > LOG_BYTES_MOST ? [found('log_large', { size: Math.round(walBytes / MIB) })] : []),
    ...(otherMachineSecondsAgo === null ? [] : [found('other_machine', { seconds: otherMachineSecondsAgo })]),
  ]
}

/** Of two processes. */
const SESSIONS_FREE_LEAST = 18

function judgePostgres(seen: PostgresSeen): readonly Finding[] {
  const { serverVersion: version, tls, local, pooled, listens, showsLocks, sessions, lacksPermission } = seen
  const { used, most } = sessions
  const encrypted = tls === null ? (local ? 'on this machine' : 'without TLS') : tls
  const off = [...(seen.fsync ? [] : ['fsync']), ...(seen.fullPageWrites ? [] : ['full_page_writes'])]
  return [
    seen.tooOld
      ? found('postgres_too_old', { version })
      : found('postgres', { version, tls: encrypted, sessions: `${used} of ${most} sessions taken` }),
    ...(tls === null && !local ? [found('postgres_plain', {})] : []),
    ...(seen.standby ? [found('postgres_standby', {})] : []),
    ...off.map((setting) => found('postgres_forgets', { setting })),
    ...(pooled ? [found('postgres_pooler', {})] : []),
    ...(!pooled && !listens ? [found('postgres_no_listen', {})] : []),
    ...(!pooled && !showsLocks ? [found('postgres_no_locks', {})] : []),
    ...(most - used < SESSIONS_FREE_LEAST ? [found('postgres_sessions_few', { used, most })] : []),
    ...(lacksPermission === null ? [] : [found('postgres_permission', { table: lacksPermission })]),
  ]
}

export function judgeCheck(checked: Checked | 'too_large', withinMs: number): readonly Finding[] {
  switch (checked) {
    case 'ok':
      return [found('database_read_through', {})]
    case 'too_large':
      return [found('database_not_read_through', { why: 'it is large, and that would take long' })]
    case 'late':
      return [found('database_not_read_through', { why: `that took longer than ${Math.round(withinMs / 1000)} s` })]
    case 'failed':
      return [found('database_not_read_through', { why: 'another program was in the way' })]
    default:
      return checked.faults.map((fault) => found('database_damaged', { fault }))
  }
}
