/** The keys that seal what is stored; not the API keys of programs, which are `tokenkeep key`. */
import type { Tokenkeep } from '@tokenkeep/node'
import { withDataHere, type Context } from './context.ts'
import { printable } from './printable.ts'
import { table } from './table.ts'

const withKeys = <Result>(context: Context, act: (keys: Tokenkeep['masterKeys']) => Promise<Result>): Promise<Result> =>
  withDataHere(context, 'master-key', (keep) => act(keep.masterKeys))

/** `tokenkeep master-key list` */
export async function listMasterKeys(context: Context): Promise<void> {
  const { output } = context
  await withKeys(context, async (keys) => {
    const found = await keys.list()
    output.answer(found, () =>
      table(
        ['NAME', 'ID', 'SEALS', 'SECRETS'],
        found.map(({ name, id, current, sealed }) => [name, id, current ? 'yes' : 'no', String(sealed)]),
        output.colours.dim,
      ),
    )
  })
}

/** `tokenkeep master-key add` */
export async function addMasterKey(context: Context): Promise<void> {
  await withKeys(context, async (keys) => {
    const { name } = await keys.add()
    context.output.answer({ name }, () => [
      `The new master key ${printable(name)} is in the key file, and only opens. Copy the file to every host that uses the`,
      `database; then, on each of them: tokenkeep master-key rotate ${printable(name)}`,
    ])
  })
}

/** `tokenkeep master-key rotate [NAME]` */
export async function rotateMasterKey(context: Context, given: string | undefined): Promise<void> {
  await withKeys(context, async (keys) => {
    const { name, resealed } = await keys.rotate(given)
    context.output.answer({ name, resealed }, () => [
      `The master key ${printable(name)} seals from now on; ${resealed} connections and clients were sealed anew.`,
      'Keep a copy of the key file, and not together with the data. The old keys stay in it: backups from before need',
      'them. Processes that run find the new key by themselves. `tokenkeep master-key remove` takes an old one out.',
    ])
  })
}

/** `tokenkeep master-key reseal` */
export async function resealWithMasterKey(context: Context): Promise<void> {
  await withKeys(context, async (keys) => {
    const { resealed } = await keys.reseal()
    context.output.answer({ resealed }, () => [`${resealed} connections and clients were sealed anew.`])
  })
}

/** `tokenkeep master-key remove NAME` */
export async function removeMasterKey(
  context: Context,
  name: string,
  { othersChecked = false }: { readonly othersChecked?: boolean },
): Promise<void> {
  await withKeys(context, async (keys) => {
    await keys.remove(name, { othersChecked })
    context.output.answer({ name }, () => [
      `The master key ${printable(name)} is gone from the key file. Backups that it sealed can be opened only with a copy of it.`,
    ])
  })
}
