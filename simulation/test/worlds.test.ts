/** A part of what `npm run simulate` plays: as many worlds as fit into the time of a test, always the same ones. */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { drawPlan, type Planned } from '../plan.ts'
import { replayLine, shrink } from '../shrink.ts'
import { createTally } from '../tally.ts'
import { play } from '../play.ts'
import { playMany } from '../play-many.ts'

const FROM_SEED = 1
const WORLDS_MOST = 20_000
/** With fewer of them nothing was shown: a core that six others want plays a hundred and fifty a second. */
const WORLDS_LEAST = 1000
/** A machine that is slow, or has other work, plays fewer. */
const FOR_MS = 25_000
/** `npm test` plays them alone, after everything else: the test runner follows every promise of its own thread, so not there. */
const WORKERS = availableParallelism()
const HARMLESS_FOR_MS = 5000
const HARMLESS_LEAST = 30

test('in thousands of random worlds every invariant holds, everybody settles, and no sign-in is lost that could have been kept', async (t) => {
  const tally = createTally()
  const begun = performance.now()
  let broken: number | null = null
  await playMany({
    fromSeed: FROM_SEED,
    count: WORLDS_MOST,
    policy: null,
    workers: WORKERS,
    counted(one) {
      tally.add(one)
      if (one.broken) broken ??= one.seed
    },
    goesOn: () => broken === null && performance.now() - begun < FOR_MS,
  })
  if (broken !== null) {
    const plan = drawPlan(broken, null)
    const shorter = await shrink(plan, new Set())
    const story = [...shorter.verdict.broken, ...shorter.verdict.story].join('\n  ')
    assert.fail(`${story}\nagain: ${replayLine(plan, null, shorter.left)}`)
  }
  assert.ok(tally.worlds() >= WORLDS_LEAST, `${tally.worlds()} worlds are too few to show anything`)
  const seconds = (performance.now() - begun) / 1000
  t.diagnostic(
    `${tally.worlds()} worlds, ${(tally.worlds() / seconds).toFixed(0)} a second; ${tally.unavoidable()} lost unavoidably`,
  )
})

test('the same seed tells the same story', async () => {
  const told = await Promise.all([7, 7].map(async (seed) => (await play(drawPlan(seed, null), new Set(), true)).story))
  assert.deepEqual(told[0], told[1])
  assert.ok((told[0]?.length ?? 0) > 5)
})

test('with every answer delivered nothing is lost, whatever else happens', async () => {
  const harmless: ReadonlySet<Planned['happening']['kind']> = new Set([
    'ask',
    'report_401',
    'reconnect',
    'too_many_requests',
    'down',
  ])
  const begun = performance.now()
  let played = 0
  for (let seed = 1; seed <= 200 && performance.now() - begun < HARMLESS_FOR_MS; seed += 1) {
    const plan = drawPlan(seed, null)
    const left = plan.planned.flatMap(({ happening }, index) => (harmless.has(happening.kind) ? [] : [index]))
    const { broken, losses } = await play(plan, new Set(left))
    assert.deepEqual({ seed, broken, losses }, { seed, broken: [], losses: [] })
    played += 1
  }
  assert.ok(played >= HARMLESS_LEAST, `${played} worlds are too few to show anything`)
})
