/** 7: one of four processes refreshes; how soon do the others hand out the new token? */
import type { HeardEvent, Sight } from '../../packages/node/test/fixtures/manager-orders.ts'
import type { ManagerProcess } from '../../packages/node/test/fixtures/manager-process.ts'
import { countOf } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace } from '../place.ts'
import { finding, type Scenario } from '../scenario.ts'
import { median, untilWall } from '../waiting.ts'

const PROCESSES = 4
const CONNECTIONS = 6
const REFRESHES = 8
const LIFE_SECONDS = 4
const BOUND_MS = 50

export const notice: Scenario = {
  name: '7',
  title: 'four processes learn of a new token',
  databases: DATABASES,
  limitSeconds: 180,
  async run(stage) {
    await using place = await openPlace({
      database: stage.database,
      realm: { accessTokenSeconds: LIFE_SECONDS },
      provider: { reuse: { kind: 'strict' } },
    })
    const signIns = await place.connect(CONNECTIONS, false)
    const ids = signIns.map(({ id }) => id)
    const [holder, ...others] = await Promise.all(Array.from({ length: PROCESSES }, () => place.start()))
    if (holder === undefined) throw new Error('no process was started')
    await holder.tell({ do: 'token', ids })
    // Asked for every few milliseconds, as a busy program does: what they get comes from memory.
    for (const other of others) await other.tell({ do: 'look', ids, everyMs: 3 })
    for (let round = 1; round <= REFRESHES; round += 1) {
      const held = await holder.tell({ do: 'token', ids })
      const ends = Math.min(...held.map((call) => (call.ok ? call.expiresAt : 0)))
      // A caller who wants half of the life refreshes a little before the others would do so by themselves.
      await untilWall(ends - LIFE_SECONDS * 500 - 20)
      await Promise.all(
        Array.from({ length: 10 }, async (_, step) => {
          await untilWall(ends - LIFE_SECONDS * 500 - 20 + step * 20)
          await holder.tell({ do: 'token', ids, asked: { minTtlMs: LIFE_SECONDS * 500 } })
        }),
      )
      stage.say(`${round} refreshes of ${ids.length} connections`)
    }
    await untilWall(Date.now() + 1_500)
    const seen = await Promise.all(others.map((other) => other.tell({ do: 'seen' })))
    const delays = delaysOf(holder, seen)
    const counts = await countOf(place, signIns)
    const middle = median(delays)
    const slowest = Math.max(...delays)
    return [
      finding(
        `the others hold the new token within ${BOUND_MS} ms (median) of the commit`,
        `median ${middle.toFixed(1)} ms, slowest ${slowest.toFixed(0)} ms, of ${delays.length}; ${counts.secondPresentations} second presentations`,
        delays.length >= 2 * ids.length && middle <= BOUND_MS && counts.secondPresentations === 0,
      ),
    ]
  },
}

/** From each commit in the holder to the first hand-out of its token in each other process. */
function delaysOf(holder: ManagerProcess, seen: readonly (readonly Sight[])[]): readonly number[] {
  const commits = holder.events.filter(isRefreshed)
  return commits.flatMap((commit, index) => {
    const next = commits.slice(index + 1).find((later) => later.event.connection === commit.event.connection)
    return seen.flatMap((sights) => {
      const sight = sights.find(
        ({ id, at }) =>
          id === commit.event.connection && at >= commit.mono - 5 && (next === undefined || at < next.mono),
      )
      return sight === undefined ? [] : [Math.max(0, sight.at - commit.mono)]
    })
  })
}

type Refreshed = HeardEvent & { readonly event: { readonly type: 'refreshed' } }
const isRefreshed = (heard: HeardEvent): heard is Refreshed => heard.event.type === 'refreshed'
