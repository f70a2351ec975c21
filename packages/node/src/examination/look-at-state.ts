/** Who lives on this host, and which answers wait in slots. */
import { answersInSlots } from '../spill-slots.ts'
import { ownersSeen } from '../liveness.ts'
import type { StateSeen } from './seen.ts'

/** @throws TokenError `folder_unusable` where files cannot be read */
export async function lookAtState(folder: string): Promise<StateSeen> {
  const owners = await ownersSeen(folder)
  const count = (is: 'alive' | 'dead' | 'unknown'): number => owners.filter((each) => each.is === is).length
  const living = new Set<string>(owners.filter(({ is }) => is !== 'dead').map(({ owner }) => owner))
  let [ofAlive, ofDead] = [0, 0]
  for (const [owner, answers] of await answersInSlots(folder)) {
    if (living.has(owner)) ofAlive += answers
    else ofDead += answers
  }
  return {
    folder,
    alive: count('alive'),
    dead: count('dead'),
    unknown: count('unknown'),
    answers: { ofAlive, ofDead },
  }
}
