import { Option, type Command } from 'commander'
import { collected, count, labelled } from './read-argument.ts'
import type { Context } from './context.ts'

/** `tokenkeep events` */
export function addEvents(program: Command, context: () => Context): void {
  program
    .command('events')
    .description('what happened, the newest last; with --follow also what happens')
    .option('--follow', 'go on as it happens, until a signal')
    .option('--type <type>', 'only these, connection.needs_user for example; may be repeated', collected)
    .option('--connection <id>', 'only about this connection')
    .option('--label <name=value>', 'only of connections with this label; may be repeated', labelled)
    .option('--limit <count>', 'so many of the newest; default 20, with --after 1000', count)
    .addOption(new Option('--after <cursor>', 'what came after this cursor of --json, the oldest first'))
    .action(async (given: import('./events.ts').EventsArguments) =>
      (await import('./events.ts')).showEvents(context(), given),
    )
}
