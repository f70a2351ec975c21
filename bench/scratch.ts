/** A folder for one row, gone when the row has ended. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Scratch extends AsyncDisposable {
  readonly folder: string
}

// Beside the clone and not in the system's temporary folder, which may lie in memory, where a sync costs nothing.
const PLACE = fileURLToPath(new URL('../node_modules/.cache/tokenkeep-bench', import.meta.url))

export async function makeScratch(): Promise<Scratch> {
  await mkdir(PLACE, { recursive: true })
  const folder = await mkdtemp(join(PLACE, 'row-'))
  return {
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
