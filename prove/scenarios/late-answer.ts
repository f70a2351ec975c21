/** 4: the server answers after 20 s, when nobody waits any more. */
import { badCalls, countOf, wordsFor } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace } from '../place.ts'
import { finding, type Finding, type Scenario, type Stage } from '../scenario.ts'
import { eventually } from '../waiting.ts'

export const lateAnswer: Scenario = {
  name: '4',
  title: 'the server answers late',
  databases: DATABASES,
  limitSeconds: 240,
  async run(stage) {
    const parts = await Promise.all([
      answeredAfter(stage, 20, 'after'),
      answeredAfter(stage, 20, 'before'),
      // Near the end of what a strict provider's answer is worth waiting for: two leases and a half.
      answeredAfter(stage, 80, 'after'),
    ])
    return parts.flat()
  },
}

async function answeredAfter(stage: Stage, seconds: number, when: 'before' | 'after'): Promise<readonly Finding[]> {
  await using place = await openPlace({
    database: stage.database,
    realm: { accessTokenSeconds: 300 },
    provider: { reuse: { kind: 'strict' } },
  })
  const signIns = await place.connect(3, false)
  const ids = signIns.map(({ id }) => id)
  await place.server.control.addFault({ fault: { kind: 'delay', ms: seconds * 1000 }, when, times: ids.length })
  const [holder, other] = await Promise.all([place.start(), place.start()])
  const [impatient, elsewhere] = await Promise.all([
    holder.tell({ do: 'token', ids, asked: { waitMs: 5_000 } }),
    other.tell({ do: 'token', ids, asked: { waitMs: 15_000 } }),
  ])
  const gaveUp = [...impatient, ...elsewhere].filter((call) => !call.ok && call.code === 'unavailable').length
  const events = () => [...holder.events, ...other.events]
  const refreshed = (): number => events().filter(({ event }) => event.type === 'refreshed').length
  await eventually('the late answers are kept', () => refreshed() === ids.length, (seconds + 10) * 1000)
  const calls = [
    ...(await holder.tell({ do: 'token', ids, api: place.server.demoApi })),
    ...(await other.tell({ do: 'token', ids, api: place.server.demoApi })),
  ]
  const counts = await countOf(place, signIns)
  const how = when === 'after' ? 'after its commit' : 'before it'
  stage.say(`answers after ${seconds} s, held up ${how}`)
  return [
    finding(
      `answered after ${seconds} s, held up ${how}: the answer is kept though the callers' deadlines have passed`,
      `${gaveUp} of ${2 * ids.length} callers gave up before; then ${calls.length - badCalls(calls).length} of ${calls.length} calls good${wordsFor(calls)}, ${counts.arrivals} presentations of ${ids.length} tokens, ${counts.killed} killed`,
      gaveUp === 2 * ids.length &&
        badCalls(calls).length === 0 &&
        counts.arrivals === ids.length &&
        counts.killed === 0,
    ),
  ]
}
