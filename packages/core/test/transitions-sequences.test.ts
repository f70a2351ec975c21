/** What holds for every sequence of events (`PROTOCOL.md` sections 3 and 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deleting, reconnected, refused } from '../src/acts.ts'
import { accept, commit } from '../src/commit.ts'
import type { ConnectionRow, Status } from '../src/connection.ts'
import { acquire } from '../src/lease.ts'
import { schedule } from '../src/schedule.ts'
import { takeOver } from '../src/takeover.ts'
import type { DurationMs } from '../src/time.ts'
import {
  HOUR,
  ME,
  OTHER,
  momentAt,
  NOBODY,
  writing,
  STRICT,
  granted,
  requestOf,
  ENDS,
  DEAD,
  silentFor,
  type Situation,
  ALL,
  LATE,
  WITH_PARENT,
  kept,
} from './transitions-world.ts'

interface Step {
  readonly name: string
  readonly brings: 'grant' | 'reconnect' | 'other'
  run(of: Situation): Situation
}

const waits = (name: string, waitMs: DurationMs | number): Step => ({
  name,
  brings: 'other',
  run: (of) => ({ ...of, elapsed: of.elapsed + waitMs }),
})

const STEPS: readonly Step[] = [
  waits('a minute', 60_000),
  waits('two hours', 2 * HOUR),
  ...[ME, OTHER].map((owner): Step => ({
    name: `${owner} acquires`,
    brings: 'other',
    run: (of) => {
      const allowed = schedule(of.row, STRICT, owner, momentAt(of.elapsed), true)
      const why = allowed.kind === 'now' ? allowed.why : 'fresh'
      const now = momentAt(of.elapsed)
      const decision = acquire(of.row, STRICT, requestOf(of.row, why, owner, of.elapsed), now)
      return decision.kind === 'acquired' ? { ...of, row: decision.row, lease: decision.lease } : of
    },
  })),
  ...ENDS.map((end): Step => ({
    name: `the last attempt ends: ${end.kind}`,
    brings: 'other',
    run: (of) => ({ ...of, row: commit(of.row, STRICT, of.lease, end, writing(of.elapsed)).row }),
  })),
  {
    name: 'the last attempt is granted',
    brings: 'grant',
    run: (of) => {
      const answer = kept(of, `rt after ${of.lease.fence}`, `at after ${of.lease.fence}`, of.elapsed)
      return { ...of, row: accept(of.row, STRICT, answer, writing(of.elapsed)).row }
    },
  },
  ...(['dead', 'silent'] as const).map((how): Step => ({
    name: `its owner is ${how}`,
    brings: 'other',
    run: (of) => {
      const evidence = how === 'dead' ? DEAD : silentFor(of.lease)
      const row = takeOver(of.row, STRICT, evidence, OTHER, 0, momentAt(of.elapsed))
      return row === 'moved' ? of : { ...of, row }
    },
  })),
  {
    name: 'a 401',
    brings: 'other',
    run: (of) => {
      const [token] = of.row.accessTokens
      if (token === undefined) return of
      return { ...of, row: refused(of.row, STRICT, token.fingerprint, writing(of.elapsed)).row }
    },
  },
  {
    name: 'reconnect',
    brings: 'reconnect',
    run: (of) => {
      if (of.row.state.status === 'deleting' || of.row.state.status === 'erased') return of
      const pair = granted(`rt of sign-in ${of.row.grant + 1}`, `at of sign-in ${of.row.grant + 1}`, of.elapsed)
      return { ...of, row: reconnected(of.row, STRICT, pair, NOBODY, writing(of.elapsed)) }
    },
  },
  {
    name: 'delete',
    brings: 'other',
    run: (of) => ({ ...of, row: deleting(of.row, STRICT, writing(of.elapsed)) }),
  },
]

const presentationsOf = ({ refreshToken, siblings }: ConnectionRow): number =>
  [refreshToken, ...siblings.map((each) => each.refreshToken)].reduce(
    (sum, each) => sum + (each?.presentations ?? 0),
    0,
  )

const WAITS_FOR_NOTHING: readonly Status[] = ['ready', 'needs_user', 'erased']

function assertStep(before: ConnectionRow, step: Step, after: ConnectionRow): void {
  const { status } = after.state
  assert.ok(WAITS_FOR_NOTHING.includes(status) || after.dueAt !== null, 'something happens by itself (invariant 14)')
  if (after === before) return
  assert.equal(after.revision, before.revision + 1, 'every write raises the revision, once')
  assert.ok(after.fence >= before.fence && after.generation >= before.generation, 'counters only rise')
  assert.equal(after.uid, before.uid)
  assert.equal(after.grant, before.grant + (step.brings === 'reconnect' ? 1 : 0), 'only reconnect raises the grant')
  if (before.state.status === 'needs_user' && status !== 'needs_user') {
    const tried = after.state.status === 'presenting' && after.state.attempt.why === 'sibling'
    assert.ok(step.brings !== 'other' || status === 'deleting' || tried, 'only a grant and reconnect revive it')
  }
  const replaced = before.refreshToken?.fingerprint !== after.refreshToken?.fingerprint
  assert.equal(after.generation > before.generation, replaced, 'a generation is a different refresh token')
  if (replaced) {
    const held = [before.successor?.grant.refreshToken, ...before.siblings.map(({ refreshToken }) => refreshToken)]
    const brought = held.some((token) => token?.fingerprint === after.refreshToken?.fingerprint)
    assert.ok(step.brings !== 'other' || brought, 'only a grant brings one')
  }
  if (before.state.status === 'presenting' && after.state.status === 'presenting') {
    assert.equal(after.state.attempt.id, before.state.attempt.id, 'another attempt begins only after this one ended')
  }
  if (before.state.status !== 'presenting' && after.state.status === 'presenting') {
    assert.equal(after.fence, before.fence + 1, 'each acquire raises the fence')
    assert.equal(presentationsOf(after), presentationsOf(before) + 1, 'it is counted before it is sent')
  }
}

test('whatever happens in whatever order, the invariants of a row hold', () => {
  const DEPTH = 3
  let steps = 0
  const walk = (of: Situation, path: readonly string[]): void => {
    for (const step of STEPS) {
      const then = step.run(of)
      steps += 1
      try {
        assertStep(of.row, step, then.row)
      } catch (error) {
        throw new Error(`after ${[...path, step.name].join(' -> ')}`, { cause: error })
      }
      if (path.length <= DEPTH) walk(then, [...path, step.name])
    }
  }
  for (const [name, of] of Object.entries(ALL)) if (of.row.state.status !== 'erased') walk(of, [name])
  assert.ok(steps > 10_000)
})

const LATE_ANSWER: Step = {
  name: 'the answer to the parent comes late',
  brings: 'grant',
  run: (of) => ({ ...of, row: accept(of.row, STRICT, LATE, writing(of.elapsed)).row }),
}

test('in long sequences, with an answer that comes too late anywhere, no granted answer is lost and nobody is stuck', () => {
  const starts = Object.entries(WITH_PARENT).filter(([, { row }]) => row.state.status !== 'erased')
  const steps = fc.array(fc.constantFrom(...STEPS, LATE_ANSWER), { maxLength: 25 })
  fc.assert(
    fc.property(fc.constantFrom(...starts), steps, ([, start], path) => {
      let of = start
      for (const step of path) {
        const then = step.run(of)
        assertStep(of.row, step, then.row)
        if (step.name === 'the last attempt is granted') assertKept(of, then.row)
        of = then
      }
    }),
    { numRuns: 3000 },
  )
})

/** A granted answer of the current grant to the current token, or to a sibling, is in the row afterwards. */
function assertKept({ row, lease }: Situation, after: ConnectionRow): void {
  const brought = `rt after ${lease.fence}`
  const knew = [row.refreshToken, ...row.siblings.map(({ refreshToken }) => refreshToken)]
  if (lease.grant !== row.grant || !knew.some((token) => token?.fingerprint === lease.answers)) return
  const held = [after.successor?.grant.refreshToken, ...after.siblings.map(({ refreshToken }) => refreshToken)]
  const kept = [after.refreshToken, ...held].some((token) => token?.fingerprint === brought)
  assert.ok(kept, `${brought} is in the row`)
}
