/** What holds for every sequence of events (`PROTOCOL.md` sections 3 and 8). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
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
  writing,
  STRICT,
  granted,
  requestOf,
  ENDS,
  DEAD,
  silentFor,
  type Situation,
  ALL,
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
      return { ...of, row: reconnected(of.row, STRICT, pair, null, writing(of.elapsed)) }
    },
  },
  {
    name: 'delete',
    brings: 'other',
    run: (of) => ({ ...of, row: deleting(of.row, STRICT, writing(of.elapsed)) }),
  },
]

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
    assert.ok(step.brings !== 'other' || status === 'deleting', 'only a grant and reconnect revive it')
  }
  const replaced = before.refreshToken?.fingerprint !== after.refreshToken?.fingerprint
  assert.equal(after.generation > before.generation, replaced, 'a generation is a different refresh token')
  if (replaced) {
    const successor = before.successor?.grant.refreshToken?.fingerprint
    assert.ok(step.brings !== 'other' || after.refreshToken?.fingerprint === successor, 'only a grant brings one')
  }
  if (before.state.status === 'presenting' && after.state.status === 'presenting') {
    assert.equal(after.state.attempt.id, before.state.attempt.id, 'another attempt begins only after this one ended')
  }
  if (before.state.status !== 'presenting' && after.state.status === 'presenting') {
    assert.equal(after.fence, before.fence + 1, 'each acquire raises the fence')
    assert.equal(after.refreshToken?.presentations, (before.refreshToken?.presentations ?? 0) + 1)
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
