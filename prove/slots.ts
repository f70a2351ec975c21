/** Looks at the spill slots on disk: answers that no store has taken yet. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeSlot, SLOT_BYTES } from '../packages/node/src/slot.ts'
import type { Place } from './place.ts'

/** How many slots, of whomever, hold a whole answer. */
export async function answersInSlots({ stateFolder }: Pick<Place, 'stateFolder'>): Promise<number> {
  const folder = join(stateFolder, 'spill')
  let kept = 0
  for (const name of await readdir(folder).catch(() => [])) {
    // Gone in this moment, where its owner was buried.
    const bytes = await readFile(join(folder, name)).catch(() => Buffer.alloc(0))
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      if (decodeSlot(bytes.subarray(at, at + SLOT_BYTES)) !== null) kept += 1
    }
  }
  return kept
}

/** The owners that have shown a sign of life and were not buried. */
export async function ownersIn(place: Place): Promise<readonly string[]> {
  const files = await readdir(join(place.stateFolder, 'owners')).catch(() => [])
  return files.filter((name) => name.endsWith('.db')).map((name) => name.slice(0, -'.db'.length))
}
