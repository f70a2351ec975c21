/** What came of one removal. */
import { postgresMissing } from '@tokenkeep/testpostgres'
import type { Caught, Removal } from './guard.ts'
import { play, type Played } from './test-process.ts'
import type { WorkingCopy } from './working-copy.ts'

export type Verdict =
  /** The test failed, or never ended; both are what it is for. */
  | { readonly kind: 'caught'; readonly hung: boolean; readonly because: string }
  /** The test passes without the guard. */
  | { readonly kind: 'missed' }
  /** The change does not fit, or the test did not run: nothing is shown. */
  | { readonly kind: 'broken'; readonly because: string }
  /** This machine lacks a part. */
  | { readonly kind: 'not_run'; readonly because: string }

/** What this machine lacks for a removal; null: nothing. */
export const missingFor = ({ needs }: Pick<Removal, 'needs'>): string | null =>
  needs === 'postgres' ? postgresMissing() : null

/** Runs the one test of a removal on the changed sources. */
export async function tried(copy: WorkingCopy, { changes, caughtBy, needs }: Removal): Promise<Verdict> {
  const missing = missingFor({ needs })
  if (missing !== null) return { kind: 'not_run', because: missing }
  const played = await copy.changed(changes, () => play(copy.root, caughtBy.file, [caughtBy.test]))
  return typeof played === 'string' ? { kind: 'broken', because: played } : verdictOf(played, caughtBy)
}

function verdictOf({ failed, passed, hung, said }: Played, { file, test }: Caught): Verdict {
  const because = failed.get(test)
  if (because !== undefined) return { kind: 'caught', hung: false, because }
  if (hung) return { kind: 'caught', hung: true, because: 'it never ended' }
  if (passed.includes(test)) return { kind: 'missed' }
  return { kind: 'broken', because: `"${test}" of ${file} did not run: ${said.trim()}` }
}

/**
 * The tests on sources that nobody changed.
 *
 * @returns what is wrong; empty: all of them pass
 */
export async function wrongUnchanged(copy: WorkingCopy, wanted: readonly Caught[]): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const file of new Set(wanted.map((each) => each.file))) {
    const tests = [...new Set(wanted.filter((each) => each.file === file).map(({ test }) => test))]
    const { passed, failed, said } = await play(copy.root, file, tests)
    for (const test of tests)
      if (!passed.includes(test) || failed.has(test))
        wrong.push(`"${test}" of ${file} does not pass as it is: ${said.trim()}`)
  }
  return wrong
}

// ---- whether the copy is what is tested ----------------------------------------------------------------------------

// Of packages/node, which finds core by the name of its package: so the copy's core is what is loaded.
const CONTROLLED: Caught = {
  file: 'packages/node/test/store-memory.test.ts',
  test: 'reconnect is one write: grant + 1, a new pair, and the open attempt is over',
}
const IN_CORE = { file: 'packages/core/src/ids.ts', find: '((counter as number) + 1)' }
const CONTROLS: readonly (Removal & { readonly must: Verdict['kind'] })[] = [
  {
    what: 'a counter that goes up by two is caught',
    changes: [{ ...IN_CORE, replace: '((counter as number) + 2)' }],
    caughtBy: CONTROLLED,
    must: 'caught',
  },
  {
    what: 'a change that changes nothing is missed',
    changes: [{ ...IN_CORE, replace: '(1 + (counter as number))' }],
    caughtBy: CONTROLLED,
    must: 'missed',
  },
  {
    what: 'a text that is not there is said',
    changes: [{ ...IN_CORE, find: '((counter as number) + 3)', replace: '' }],
    caughtBy: CONTROLLED,
    must: 'broken',
  },
  {
    what: 'a source that does not load catches nothing',
    changes: [{ ...IN_CORE, replace: '(' }],
    caughtBy: CONTROLLED,
    must: 'broken',
  },
]

/** @returns the controls that did not end as they must; empty: what this program says can be believed */
export async function wrongControls(copy: WorkingCopy): Promise<readonly string[]> {
  const wrong: string[] = []
  for (const { must, ...control } of CONTROLS) {
    const { kind } = await tried(copy, control)
    if (kind !== must) wrong.push(`the control "${control.what}" ended as ${kind}`)
  }
  return wrong
}
