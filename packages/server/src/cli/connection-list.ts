/** `tokenkeep connection list`: which connections are asked for. */
import type { Command } from 'commander'
import type { Reason, Status } from '@tokenkeep/core'
import { REASONS, STATUSES } from './connection-words.ts'
import type { Context } from './context.ts'
import { count, labelled, oneOf } from './read-argument.ts'

export interface ListArguments {
  readonly search?: string
  readonly provider?: string
  readonly client?: string
  readonly status?: readonly Status[]
  readonly reason?: readonly Reason[]
  readonly label?: Readonly<Record<string, string>>
  /** Absent: all. */
  readonly limit?: number
  readonly after?: string
}

export function addConnectionList(connection: Command, context: () => Context): void {
  const living = STATUSES.filter((status) => status !== 'erased')
  connection
    .command('list')
    .description('list connections, all where no limit is given')
    .option('--search <text>', 'only those whose id, subject or value of a label begins with it')
    .option('--provider <id>', 'only those of this provider')
    .option('--client <id>', 'only those of this client')
    .option('--status <status>', `only those in this status: ${living.join(', ')}; may be repeated`, oneOf(living))
    .option(
      '--reason <reason>',
      `only those that this is wrong with: ${REASONS.join(', ')}; may be repeated`,
      oneOf(REASONS),
    )
    .option('--label <name=value>', 'only those with this label; may be repeated', labelled)
    .option('--limit <count>', 'at most so many', count)
    .option('--after <id>', 'begin behind this id')
    .action(async (given: ListArguments) => (await import('./connection.ts')).listConnections(context(), given))
}
