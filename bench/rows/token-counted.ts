/** `token()` with its hand-outs counted, against the same source without the line that counts. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { openTokenkeep, OpenOptions, Tokenkeep } from '@tokenkeep/node'
import { openInstallation } from '../installation.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'

const CONNECTIONS = 1000
const HOUR_MS = 3_600_000
const ROUND_MS = 100
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What counts a hand-out from memory, in `cache.ts`. */
const COUNTING = '      entry.untold += 1\n'

export const tokenCounted: Row<'rate'> = {
  name: 'token-counted',
  figures: {
    rate: {
      name: 'token-counted',
      reference: 'the same source without the line that counts',
      direction: 'at least',
      unit: 'ratio',
      bound: 0.9,
    },
  },
  processes: 3,
  async measure() {
    // Not in the scratch folder of other rows: below `node_modules` Node strips no types.
    const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-bench-'))
    await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
    await using installation = await openInstallation()
    const ids = await installation.connect('dealer', CONNECTIONS, HOUR_MS)
    const options: OpenOptions = { path: installation.database, keyFile: installation.keyFile }
    const open = {
      counted: await copied(join(folder, 'counted'), { counts: true }),
      one: await copied(join(folder, 'one'), { counts: false }),
      two: await copied(join(folder, 'two'), { counts: false }),
    }
    await using counts = await open.counted(options)
    await using first = await open.one(options)
    await using second = await open.two(options)
    const loops = [
      await loop('subject', counts, ids),
      await loop('reference', first, ids),
      await loop('copy', second, ids),
    ] as const
    for (const each of loops) await each(0)
    const [subject, reference, copy] = loops
    return await alternate(
      {
        subject: async () => ({ rate: await subject(ROUND_MS) }),
        reference: async () => ({ rate: await reference(ROUND_MS) }),
        copy: async () => ({ rate: await copy(ROUND_MS) }),
      },
      { rounds: 15, warmUp: 3 },
    )
  },
}

/** A loop of its own for each, which the compiler treats apart. */
async function loop(
  name: string,
  keep: Tokenkeep,
  ids: readonly string[],
): Promise<(forMs: number) => Promise<number>> {
  const { href } = new URL('../references/token-loop.ts', import.meta.url)
  const { tokenLoop } = (await import(`${href}?${name}`)) as typeof import('../references/token-loop.ts')
  return tokenLoop(keep, ids)
}

/**
 * A copy of core and node, with or without the count. One that counts is a copy as well: functions of which a process has
 * made several, as those of the clone are, run slower.
 */
async function copied(folder: string, { counts }: { readonly counts: boolean }): Promise<typeof openTokenkeep> {
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, '@tokenkeep'), { recursive: true })
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (name.startsWith('.') || name === '@tokenkeep' || name === 'tokenkeep') continue
    await symlink(join(ROOT, 'node_modules', name), join(modules, name))
  }
  for (const name of ['core', 'node']) {
    for (const part of ['src', 'package.json'])
      await cp(join(ROOT, 'packages', name, part), join(folder, 'packages', name, part), { recursive: true })
    await symlink(join('..', '..', 'packages', name), join(modules, '@tokenkeep', name))
  }
  const cache = join(folder, 'packages', 'core', 'src', 'cache.ts')
  const text = await readFile(cache, 'utf8')
  if (!text.includes(COUNTING)) throw new Error('cache.ts has no line that counts as this row knows it')
  if (!counts) await writeFile(cache, text.replace(COUNTING, ''))
  const { href } = pathToFileURL(join(folder, 'packages', 'node', 'src', 'index.ts'))
  return ((await import(href)) as { openTokenkeep: typeof openTokenkeep }).openTokenkeep
}
