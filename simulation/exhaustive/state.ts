/** Where a world stands, so that two that stand alike are told apart from all others. */
import { hash } from 'node:crypto'
import type { ConnectionRow } from '@tokenkeep/core'
import type { World } from '../world.ts'
import type { Steps } from './steps.ts'

export const condense = (text: string): string => hash('sha1', text, 'base64')

/** A row is never changed, but replaced. */
const written = new WeakMap<ConnectionRow, string>()
function wordsOf(row: ConnectionRow): string {
  const before = written.get(row)
  if (before !== undefined) return before
  const words = JSON.stringify(row)
  written.set(row, words)
  return words
}

/** What all processes share: the store, the slots, and what the server was asked. */
export function sharedBy({ memory, slots, server, presentations }: World): string {
  const parts = [...memory.rows.values()].map(wordsOf)
  for (const [uid, entries] of memory.history) parts.push(`${uid} ${JSON.stringify([...entries])}`)
  for (const { of, kept } of slots) parts.push(`${of.owner} keeps ${kept.granted.refreshToken?.fingerprint}`)
  for (const each of presentations.all)
    parts.push(
      `${each.at} ${each.attempt} ${each.fault} ${each.reachedAt} ${each.did} ${each.answer} ${each.arrivedAt}`,
    )
  return [...parts, ...server.log].join('\n')
}

/** That, what each process has met, and what is on its way. */
export function stateOf(world: World, steps: Steps, spent: string): string {
  // Of the dead only what they have on its way counts.
  const processes = world.processes.map((each) =>
    each.diedAt === null
      ? `${each.owner} ${steps.metBy(each)} ${each.frozenSince} ${each.hasNews} ${each.mayFind}`
      : `${each.owner} died ${each.diedAt}`,
  )
  const waiting = steps
    .waiting()
    .map(({ of, name, after, standsStill }) => `${of.owner} ${name} ${after} ${standsStill}`)
  return condense([world.timeline.now(), spent, sharedBy(world), ...processes, ...waiting].join('\n'))
}
