/** Looks at the spill slots on disk: answers that no store has taken yet. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { decodeSlot, SLOT_BYTES } from '../packages/node/src/slot.ts'
import type { Place } from './place.ts'

/** How many slots, of whomever, hold a whole answer. */
export async function answersInSlots({ stateFolder }: Pick<Place, 'stateFolder'>): Promise<number> {
  let kept = 0
  for (const file of await filesIn(stateFolder, 'spill')) {
    // Gone in this moment, where its owner was buried.
    const bytes = await readFile(file).catch(() => Buffer.alloc(0))
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      if (decodeSlot(bytes.subarray(at, at + SLOT_BYTES)) !== null) kept += 1
    }
  }
  return kept
}

/** The owners that have shown a sign of life and were not buried. */
export async function ownersIn({ stateFolder }: Pick<Place, 'stateFolder'>): Promise<readonly string[]> {
  const files = (await filesIn(stateFolder, 'owners')).map((file) => basename(file))
  return files.filter((name) => name.endsWith('.db')).map((name) => name.slice(0, -'.db'.length))
}

/** With Postgres each installation has a folder of its own in the state folder. */
async function filesIn(stateFolder: string, kind: 'owners' | 'spill'): Promise<readonly string[]> {
  const installations = (await readdir(stateFolder).catch(() => [])).filter((name) => name.startsWith('postgres-'))
  const folders = [stateFolder, ...installations.map((name) => join(stateFolder, name))].map((each) => join(each, kind))
  const files = await Promise.all(
    folders.map(async (folder) => (await readdir(folder).catch(() => [])).map((name) => join(folder, name))),
  )
  return files.flat()
}
