/** The commands that read what was recorded. */
import { InvalidArgumentError, type Command } from 'commander'
import type { Context } from './context.ts'

export function registerRecords(program: Command, context: () => Context): void {
  program
    .command('hand-outs')
    .description('who was handed tokens of which connection in which minute, newest first')
    .option('--connection <id>', 'of the connection that has this id, or had it last', filled)
    .option(
      '--caller <id>',
      'to this API key (key_...); library or command: in a process that opens the data itself',
      filled,
    )
    .option('--from <moment>', 'from this minute on, for example 2026-11-28T01:02:03Z', filled)
    .option('--to <moment>', 'before this moment; default: now', filled)
    .option('--limit <n>', 'so many at most; default 100', count)
    .action(async (given: HandOutsGiven) => {
      const { listHandOuts, momentGiven } = await import('./hand-outs.ts')
      const { from, to, ...rest } = given
      await listHandOuts(context(), {
        ...rest,
        ...(from === undefined ? {} : { from: momentGiven(from) }),
        ...(to === undefined ? {} : { to: momentGiven(to) }),
      })
    })
  program
    .command('audit')
    .description('who did what: every administrative act, newest first')
    .option('--subject <id>', 'to this connection, provider, client or API key', filled)
    .option('--actor <id>', 'by this API key (key_...); library or command: where the data are', filled)
    .option('--after <id>', 'only later lines than this one', count)
    .option('--limit <n>', 'so many at most; default 100', count)
    .action(async (given: import('./audit.ts').AuditArguments) =>
      (await import('./audit.ts')).listAudit(context(), given),
    )
}

interface HandOutsGiven {
  readonly connection?: string
  readonly caller?: string
  readonly from?: string
  readonly to?: string
  readonly limit?: number
}

function filled(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.')
  return text
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number, 1 or more.')
  return Number(text)
}
