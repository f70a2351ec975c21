/** `tokenkeep connection label ID`: sets labels, and takes some away. */
import { InvalidArgumentError, type Command } from 'commander'
import { TokenError } from '@tokenkeep/core'
import { connectionLines } from './connection.ts'
import { withTokenkeep, type Context } from './context.ts'
import { collected } from './read-argument.ts'

export function addConnectionLabel(connection: Command, context: () => Context): void {
  connection
    .command('label <id> [labels...]')
    .description('set labels of a connection (NAME=VALUE), or take some away; the others stay')
    .option('--remove <name>', 'take this label away; may be repeated', collected)
    .action((id: string, labels: readonly string[], { remove = [] }: { remove?: readonly string[] }) =>
      labelConnection(context(), id, { set: labels.map(readLabel), remove }),
    )
}

function readLabel(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('A label is NAME=VALUE.')
  return [text.slice(0, at), text.slice(at + 1)]
}

async function labelConnection(
  context: Context,
  id: string,
  { set, remove }: { readonly set: readonly (readonly [string, string])[]; readonly remove: readonly string[] },
): Promise<void> {
  const names = [...set.map(([name]) => name), ...remove]
  if (names.length === 0) throw new TokenError('invalid_input', 'give NAME=VALUE, or --remove NAME')
  const twice = names.some((name, at) => names.indexOf(name) !== at)
  if (twice) throw new TokenError('invalid_input', 'one label is named twice: give each of them once')
  const changes = Object.fromEntries([...set, ...remove.map((name) => [name, null] as const)])
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const info = await keep.connections.label(id, changes)
    context.output.answer(info, () => connectionLines(info, context))
  })
}
