import { resolve } from 'node:path'
import { withDataHere, type Context } from './context.ts'
import { printable } from './printable.ts'

/** `tokenkeep backup FILE` */
export async function backup(context: Context, file: string): Promise<void> {
  const path = resolve(context.around.folder, file)
  await withDataHere(context, 'backup', async (keep) => {
    await keep.backUp(path)
    context.output.answer({ file: path }, () => [
      `${printable(path)} holds the database as it is now. It is of no use without the master key, which is not in it.`,
      'Put in the place of the database, it starts on hold: `tokenkeep adopt` when the original is off for good.',
    ])
  })
}
