/**
 * `npm run simulate -- --runs N`: plays N worlds and prints what they came to; `--seed S` alone plays one and tells its
 * story; `--policy P` only those of one policy; `--workers N` in so many threads; `--without 1,4` leaves out what its
 * story does not need.
 *
 * The exit code is 1 where something broke, 2 for what is not understood.
 */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { drawPlan } from './plan.ts'
import { playMany } from './play-many.ts'
import { POLICIES } from './policies.ts'
import { replayLine, shrink } from './shrink.ts'
import { say } from './say.ts'
import { createTally, LONG_RUN } from './tally.ts'
import { play } from './play.ts'

const RUNS_UNSAID = 1000
const PROGRESS_EVERY_MS = 10_000
/** After so many broken worlds nobody needs one more. */
const BROKEN_MOST = 5
const WORKERS_MOST = 256

const { seed, runs, policy, without, workers } = chosen()
let playing = seed
// A promise of core that nobody waits for must not fail.
process.on('unhandledRejection', (error) => {
  const line = replayLine({ seed: playing }, policy, without)
  process.stderr.write(
    `tokenkeep: nobody heard of ${error instanceof Error ? error.message : 'what failed'}\nagain: ${line}\n`,
  )
  process.exit(1)
})
process.exitCode = runs === null ? await tellOne(seed) : await tellMany(seed, runs)

async function tellOne(one: number): Promise<number> {
  const plan = drawPlan(one, policy)
  say(`seed ${one}, ${plan.policy.name}: the server is ${JSON.stringify(plan.behaviour)}`)
  say(
    `access tokens of ${plan.lifetimeSeconds} s, processes on hosts ${plan.hosts.join(', ')}, ${plan.numbers} numbers`,
  )
  for (const [index, { at, happening }] of plan.planned.entries())
    if (!without.has(index))
      say(`${String(index).padStart(4)}  at ${(at / 1000).toFixed(3)}  ${JSON.stringify(happening)}`)
  const verdict = await play(plan, without, true)
  for (const line of verdict.story) say(line)
  for (const loss of verdict.losses) say(`lost: ${loss}`)
  for (const sentence of verdict.broken) say(`BROKEN: ${sentence}`)
  say(verdict.broken.length === 0 ? 'everything held' : replayLine(plan, policy, without))
  return verdict.broken.length === 0 ? 0 : 1
}

async function tellMany(first: number, count: number): Promise<number> {
  const tally = createTally()
  const begun = performance.now()
  let progressAt = begun + PROGRESS_EVERY_MS
  const perSecond = (): string => (tally.worlds() / ((performance.now() - begun) / 1000)).toFixed(0)
  const broken: number[] = []
  await playMany({
    fromSeed: first,
    count,
    policy,
    workers: workers === 1 ? null : workers,
    counted(one) {
      playing = one.seed + 1
      tally.add(one)
      if (one.broken) broken.push(one.seed)
      if (one.broken) say(`broken, and told below: ${replayLine(one, policy, without)}`)
      if (performance.now() < progressAt) return
      progressAt = performance.now() + PROGRESS_EVERY_MS
      say(`${tally.worlds()} worlds, ${perSecond()} a second, ${tally.broken()} broken`)
    },
    goesOn: () => broken.length < BROKEN_MOST,
  })
  const rate = perSecond()
  for (const one of broken.slice(0, BROKEN_MOST)) await tellBroken(one)
  const never = tally.worlds() >= LONG_RUN && policy === null ? tally.missing() : []
  say(`\n${tally.tables()}\n`)
  const stepsEach = (tally.steps() / tally.worlds()).toFixed(0)
  say(`${tally.worlds()} worlds from seed ${first}, ${rate} a second, ${stepsEach} steps each`)
  say(`${tally.broken()} broken; lost: ${tally.avoidable()} avoidably, ${tally.unavoidable()} unavoidably`)
  if (never.length > 0) say(`never happened, so nothing was shown about it: ${never.join(', ')}`)
  return tally.broken() > 0 || never.length > 0 ? 1 : 0
}

async function tellBroken(one: number): Promise<void> {
  const plan = drawPlan(one, policy)
  const { left, verdict } = await shrink(plan, without)
  say(`\nBROKEN: ${verdict.broken.join('; ')}`)
  for (const line of verdict.story) say(`  ${line}`)
  say(`again: ${replayLine(plan, policy, left)}\n`)
}

function chosen() {
  const options = {
    runs: { type: 'string' },
    seed: { type: 'string' },
    policy: { type: 'string' },
    workers: { type: 'string' },
    without: { type: 'string' },
  } as const
  let values: { [Name in keyof typeof options]?: string | undefined }
  try {
    values = parseArgs({ options }).values
  } catch {
    refuse('give --runs N, --seed S, --policy P, --workers N, or with a seed --without 1,2')
  }
  const known = POLICIES.map(({ name }) => name)
  if (values.policy !== undefined && !known.includes(values.policy))
    refuse(`no policy is called ${values.policy}; there are ${known.join(', ')}`)
  const workersGiven = values.workers === undefined ? 1 : whole('--workers', values.workers)
  if (workersGiven < 1 || workersGiven > WORKERS_MOST) refuse(`--workers takes 1 to ${WORKERS_MOST}`)
  const runsGiven = values.runs === undefined ? null : whole('--runs', values.runs)
  return {
    policy: values.policy ?? null,
    workers: workersGiven,
    seed: values.seed === undefined ? 1 : whole('--seed', values.seed),
    runs: runsGiven ?? (values.seed === undefined ? RUNS_UNSAID : null),
    without: new Set(
      (values.without ?? '')
        .split(',')
        .filter(Boolean)
        .map((each) => whole('--without', each)),
    ),
  }
}

function whole(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) refuse(`${name} takes whole numbers, not ${JSON.stringify(text)}`)
  return Number(text)
}

function refuse(message: string): never {
  process.stderr.write(`tokenkeep: ${message}\n`)
  process.exit(2)
}
