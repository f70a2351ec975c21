/** The queue before a provider, alone: who wakes it, and what a long one costs. */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import {
  NUMBERS,
  policyOf,
  type Alarm,
  type Clock,
  type DurationMs,
  type MonoMs,
  type UnixMs,
  type View,
} from '@tokenkeep/core'
import { createGate, type Gate } from '../src/gate.ts'
import { URGENCIES } from '../src/urgency.ts'

const S = 1_000
const REVISION = 1

interface Time {
  readonly clock: Clock
  pass(forMs: number): Promise<void>
}

function virtualTime(): Time {
  let at = 0
  let alarms: { readonly at: number; readonly ring: () => void }[] = []
  const clock: Clock = {
    now: () => ({ wall: (1_790_000_000_000 + at) as UnixMs, mono: at as MonoMs }),
    tick: () => clock.alarm(50 as DurationMs).rung,
    alarm(afterMs): Alarm {
      const { promise, resolve } = Promise.withResolvers<void>()
      const entry = { at: at + afterMs, ring: resolve }
      alarms.push(entry)
      return { rung: promise, cancel: () => void (alarms = alarms.filter((each) => each !== entry)) }
    },
  }
  return {
    clock,
    async pass(forMs) {
      const until = at + forMs
      for (;;) {
        await setImmediate()
        const [next] = alarms.sort((a, b) => a.at - b.at)
        if (next === undefined || next.at > until) break
        at = next.at
        alarms.shift()
        next.ring()
      }
      at = until
    },
  }
}

/** Looks at a view are counted. */
function views(concurrency: number | null): { view(name: string): View; looks(): number } {
  const provider = { id: 'p', revision: REVISION, requestsPerMinute: null, concurrency, reuse: { kind: 'strict' } }
  const terms = {
    provider,
    client: { id: 'c', revision: REVISION },
    policy: policyOf({ reuse: { kind: 'strict' } }, 'refresh_token'),
  }
  let looks = 0
  return {
    view: (name) =>
      ({
        row: { uid: name, provider: 'p', client: 'c' },
        get terms() {
          looks += 1
          return terms
        },
      }) as unknown as View,
    looks: () => looks,
  }
}

const gateOn = ({ clock }: Time): Gate =>
  createGate({ clock, random: { uuid: () => 'u', fraction: () => 0.5 }, events: { tell: () => undefined } }, NUMBERS)

test('what could be lost gets the place of one that begins to hang, in that moment, also where nothing else happens', async () => {
  const time = virtualTime()
  const gate = gateOn(time)
  const { view } = views(2)
  await gate.enter(view('a'), URGENCIES.caller)
  await gate.enter(view('b'), URGENCIES.caller)
  await time.pass(S)
  let wentAt: number | null = null
  void gate.enter(view('pressing'), URGENCIES.closing).then(({ kind }) => {
    if (kind === 'pass') wentAt = time.clock.now().mono
  })
  await time.pass(NUMBERS.callerDeadlineMs + S)
  assert.equal(wentAt, NUMBERS.connectDeadlineMs + NUMBERS.grantDeadlineMs)
})

test('a queue before a provider that is down costs each who comes the same, however long it is', async () => {
  const looksFor = async (count: number): Promise<number> => {
    const time = virtualTime()
    const gate = gateOn(time)
    const { view, looks } = views(null)
    for (const name of ['a', 'b', 'c']) {
      const pass = await gate.enter(view(name), URGENCIES.caller)
      assert.ok(pass.kind === 'pass')
      pass.leave({ kind: 'in_doubt', because: 'reset', status: null, endSeen: true, retryAfterMs: null })
    }
    const before = looks()
    for (let index = 0; index < count; index += 1) void gate.enter(view(`w${index}`), URGENCIES.ahead)
    for (let index = 0; index < count; index += 1) gate.raise(`w${index}` as View['row']['uid'])
    return looks() - before
  }
  const [few, many] = [await looksFor(100), await looksFor(1_000)]
  assert.ok(few > 0 && many <= 11 * few, `${few} looks for 100, ${many} for 1,000`)
})
