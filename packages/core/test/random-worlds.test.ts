/**
 * Random worlds: two processes share one connection at a server that rotates, while answers are lost, late or nonsense,
 * the store goes away, and processes freeze and die. Whatever happens, the promises of `docs/architecture.md` hold.
 *
 * A failure names its seed; `SEED=<seed> npm test -- packages/core/test/random-worlds.test.ts` repeats that world alone.
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { startScheduler, TokenError, type ReusePolicy } from '@tokenkeep/core'
import { createWorld, follow, MIN, S, type Fate, type Process, type World } from './manager-world.ts'

/** The whole of it takes minutes: CONTRIBUTING says how. */
const WORLDS = process.env['TOKENKEEP_GENERATED'] === 'whole' ? 40 : 15
const STEPS = 60
const LIFETIME_SECONDS = 120

/** mulberry32: small, seeded, good enough to choose faults with. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Policy {
  readonly reuse: ReusePolicy
  readonly graceMs: number
}
const POLICIES: readonly Policy[] = [
  { reuse: { kind: 'strict' }, graceMs: 0 },
  { reuse: { kind: 'unknown' }, graceMs: 0 },
  { reuse: { kind: 'grace', seconds: 30, winner: 'any' }, graceMs: 30 * S },
]

const SCRIPTS: readonly World['scripts'][number][] = [
  {},
  {},
  {},
  { afterMs: 3 * S },
  { afterMs: 25 * S },
  { reset: 'before' },
  { reset: 'after' },
  { answer: { status: 503, body: {} } },
  { answer: { status: 429, body: {}, retryAfter: '7' } },
  { answer: { status: 502, body: { html: true } } },
  { answer: { status: 400, body: { error: 'invalid_grant' } } },
]

/** What fails together. A store that takes no commit takes no intent and no takeover either: that makes waiting for it safe. */
const OUTAGES = [['read'], ['acquire', 'renew', 'commit', 'takeOver', 'due'], ['changes'], ['connect']] as const

/** Why a refresh token that was presented before may be presented again now; null: it may not. */
function excuse(one: World['presented'][number], reuse: ReusePolicy, all: World['presented']): string | null {
  const { at, row } = one
  const { state, accessTokens } = row
  // A process that fell silent and woke finds its attempt taken over: it may send only as long as its lease is half over.
  const from = state.status === 'presenting' ? state.from.status : null
  const wall = 1_790_000_000_000 + at
  const living = accessTokens.some((token) => token.refusedAt === null && token.expiresAt > wall)
  if (from === 'suspect') return 'a refusal is confirmed'
  const before = all.slice(0, -1).findLast((each) => each.refreshToken === one.refreshToken)
  if (from === 'ready' && before?.refused === true) return 'the earlier one was refused without being spent'
  if (from !== 'in_doubt') return null
  if (reuse.kind === 'grace') return 'inside its grace, or nothing is left to protect'
  if (!living) return 'nothing is left to protect'
  const since = state.status === 'presenting' && state.from.status === 'in_doubt' ? state.from.since.at : at
  const inThisDoubt = all.filter((each) => each.refreshToken === one.refreshToken && each.at >= since && each.at <= at)
  return reuse.kind === 'unknown' && inThisDoubt.length === 2 ? 'the one prompt retry' : null
}

interface Live {
  process: Process
  thaw: (() => void) | null
}

async function play(seed: number): Promise<void> {
  const draw = random(seed)
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(draw() * values.length)] as Value
  const policy = POLICIES[seed % POLICIES.length] as Policy
  const world = createWorld({ reuse: policy.reuse })
  Object.assign(world.server, { graceMs: policy.graceMs, expiresIn: LIFETIME_SECONDS })
  let names = 0
  const start = async (): Promise<Live> => {
    const started = world.start(`process-${(names += 1)}`)
    // As at a real start: slots are replayed before anything is presented. Then what is due happens by itself.
    await started.manager.watches.buryTheDead()
    startScheduler(started.ports, started.manager, started.custody.finishDeletion)
    await world.pass(1)
    return { process: started, thaw: null }
  }
  const lives: Live[] = [await start(), await start()]
  const [first] = lives
  assert.ok(first)
  const end = 1_790_000_000_000 + LIFETIME_SECONDS * S
  await first.process.custody.import({
    id: 'x',
    client: 'c',
    refreshToken: 'rt-0',
    accessToken: 'at-0',
    expiresAt: end,
    scope: 'a b',
  })

  // Most worlds know only some of the three things that can lose an answer for good, so that in the others none is lost.
  const can = { kill: draw() < 0.4, freeze: draw() < 0.4, loseAnswers: draw() < 0.4 }
  const asked: { readonly fate: Fate; readonly scope: string | undefined }[] = []
  let seen = 0
  const look = (): void => {
    for (; seen < world.presented.length; seen += 1) {
      const one = world.presented[seen]
      assert.ok(one)
      const times = world.presented.slice(0, seen + 1).filter((each) => each.refreshToken === one.refreshToken).length
      if (times > 1)
        assert.notEqual(
          excuse(one, policy.reuse, world.presented.slice(0, seen + 1)),
          null,
          `${one.refreshToken} left ${times} times`,
        )
    }
  }
  for (let step = 0; step < STEPS; step += 1) {
    const live = pick(lives)
    const chance = draw()
    if (chance < 0.45) {
      // Two in one turn: they meet before the row says that anybody presents.
      for (const scope of [pick([undefined, undefined, 'a', 'b']), pick([undefined, 'a', 'b'])]) {
        asked.push({ fate: follow(live.process.manager.token('x', scope === undefined ? {} : { scope })), scope })
      }
    } else if (chance < 0.6) {
      const script = pick(SCRIPTS)
      if (script.reset !== 'after' || can.loseAnswers) world.scripts.push(script)
    } else if (chance < 0.65) {
      if (!can.kill) continue
      world.kill(live.process)
      lives[lives.indexOf(live)] = await start()
    } else if (chance < 0.7) {
      if (can.freeze) live.thaw ??= world.freeze(live.process)
    } else if (chance < 0.8) {
      live.thaw?.()
      live.thaw = null
    } else if (chance < 0.85) {
      for (const verb of pick(OUTAGES)) world.fails.add(verb)
    } else {
      world.fails.clear()
    }
    // A step at a time, so that each presentation is seen with the row as it was then.
    for (let left = pick([0, 20, 300, 2 * S, 20 * S, 70 * S]); left >= 0; left -= 500) {
      await world.pass(Math.min(500, left))
      look()
    }
  }

  // Peace: everything works again, and enough time passes for every patience.
  world.scripts.length = 0
  world.fails.clear()
  for (const live of lives) live.thaw?.()
  for (let minute = 0; minute < 8; minute += 1) {
    const knocking = lives.map(({ process: each }) => follow(each.manager.token('x')))
    await world.pass(MIN)
    look()
    for (const { error } of knocking) assert.ok(error === undefined || error instanceof TokenError)
  }
  const last = lives.map(({ process: each }) => follow(each.manager.token('x')))
  await world.pass(MIN)
  for (const { token, code } of last) {
    assert.ok(token !== undefined || code === 'needs_user', `nobody is stuck, but one was told ${code ?? 'nothing'}`)
    // A refusal in doubt is believed at once, also one that was spurious; no other is.
    const { state } = world.row()
    const believed = state.status === 'needs_user' && state.reason === 'answer_lost'
    if (code === 'needs_user') assert.ok(world.server.dead || believed, 'a living sign-in was given up')
  }
  if (!can.kill && !can.freeze && !can.loseAnswers) {
    assert.equal(world.server.dead, false, 'a sign-in was lost with every answer in hand')
  }
  for (const { fate, scope } of asked) {
    assert.ok(fate.error === undefined || fate.error instanceof TokenError, 'a caller met a defect')
    if (fate.token === undefined || fate.token === 'at-0') continue
    assert.equal(world.issued.get(fate.token), scope ?? null, 'a caller got the token of another scope')
  }
}

const only = process.env['SEED']
const seeds = only === undefined ? Array.from({ length: WORLDS }, (_, index) => index + 1) : [Number(only)]

test(`in ${seeds.length} random worlds no refresh token leaves again without leave, and nobody is stuck at the end`, async () => {
  for (const seed of seeds) {
    try {
      await play(seed)
    } catch (error) {
      throw new Error(`broke in world SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
  }
})
