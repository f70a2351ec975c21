import { randomUUID } from 'node:crypto'
import type { Random } from '@tokenkeep/core'

/** Randomness of this process. Keys and nonces do not come from here: the cipher draws its own. */
export function createSystemRandom(): Random {
  return {
    uuid: () => randomUUID(),
    // Spreads retries; nothing is guessed from it, so it need not be unpredictable.
    fraction: () => Math.random(),
  }
}
