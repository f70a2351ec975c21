/** A copy of the sources in a folder of its own, in which texts are changed: the clone itself is never touched. */
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { timesIn, type Change } from './guard.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NOT_COPIED = new Set(['node_modules', 'dist'])

export interface WorkingCopy extends AsyncDisposable {
  readonly root: string
  /**
   * Changes the texts, runs `during`, and puts them back.
   *
   * @returns what `during` brings; a sentence where a text does not stand in its file exactly once, and nothing was run
   */
  changed<Value>(changes: readonly Change[], during: () => Promise<Value>): Promise<Value | string>
}

export async function makeWorkingCopy(): Promise<WorkingCopy> {
  const root = await mkdtemp(join(tmpdir(), 'tokenkeep-guards-'))
  await cp(join(ROOT, 'package.json'), join(root, 'package.json'))
  await cp(join(ROOT, 'packages'), join(root, 'packages'), {
    recursive: true,
    filter: (from) => !NOT_COPIED.has(basename(from)),
  })
  await linkInstalled(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  for (const name of await readdir(join(ROOT, 'packages'))) {
    const own = join(ROOT, 'packages', name, 'node_modules')
    if ((await readdir(own).catch(() => [])).length > 0)
      await linkInstalled(own, join(root, 'packages', name, 'node_modules'))
  }

  const changed: WorkingCopy['changed'] = async (changes, during) => {
    const before = new Map<string, string>()
    const texts = new Map<string, string>()
    for (const change of changes) {
      const path = join(root, change.file)
      const text = texts.get(path) ?? (await readFile(path, 'utf8'))
      if (!before.has(path)) before.set(path, text)
      const times = timesIn(text, change)
      if (times !== 1) return `this text stands in ${change.file} ${times} times, not once: ${change.find}`
      // By a function: `$` means nothing in it.
      texts.set(
        path,
        text.replace(change.find, () => change.replace),
      )
    }
    try {
      for (const [path, text] of texts) await writeFile(path, text)
      return await during()
    } finally {
      for (const [path, text] of before) await writeFile(path, text)
    }
  }
  return { root, changed, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}

/**
 * What was installed is linked to, but for our own packages: npm has them as relative links, and the same link in the copy
 * leads to the copy's sources.
 */
async function linkInstalled(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
    else if (entry.name.startsWith('@')) await linkInstalled(source, target)
    else await symlink(source, target)
  }
}
