/** 2: the holder is killed after the server has committed a rotation, and started again at once. */
import type { Call } from '../../packages/node/test/fixtures/manager-orders.ts'
import type { ManagerProcess } from '../../packages/node/test/fixtures/manager-process.ts'
import { badCalls, countersOf, countOf, wordsFor } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace, type Place, type SignIn } from '../place.ts'
import { finding, type Finding, type Scenario, type Stage } from '../scenario.ts'
import { eventually, untilWall } from '../waiting.ts'

const KILLS = 100
const HOLDERS = 5
const CONNECTIONS_EACH = 10
const LIFE_SECONDS = 80

export const killedHolder: Scenario = {
  name: '2',
  title: 'kill -9 of the holder after the server committed',
  databases: DATABASES,
  limitSeconds: 600,
  async run(stage) {
    return [...(await withGrace(stage)), ...(await withoutGrace(stage))]
  },
}

/** The server answers again for 10 s: everybody survives. */
async function withGrace(stage: Stage): Promise<readonly Finding[]> {
  await using place = await openPlace({
    database: stage.database,
    realm: { accessTokenSeconds: 300, rotation: { kind: 'grace', seconds: 10 } },
    provider: { reuse: { kind: 'grace', seconds: 10, winner: 'any' } },
  })
  const signIns = await place.connect(KILLS, false)
  const calls: Call[] = []
  let slowestMs = 0
  const chain = async (mine: readonly SignIn[]): Promise<void> => {
    let holder = await place.start()
    for (const signIn of mine) {
      // Its program is loaded beforehand, so that a busy machine does not use up the grace before it begins.
      const successor = place.spawn()
      await killAfterCommit(place, holder, signIn)
      const killedAt = performance.now()
      await successor.tell({ do: 'open', options: place.options })
      holder = successor
      const [call] = await holder.tell({ do: 'token', ids: [signIn.id], api: place.server.demoApi })
      const tookMs = performance.now() - killedAt
      slowestMs = Math.max(slowestMs, tookMs)
      if (call === undefined) continue
      if (badCalls([call]).length > 0) stage.say(`${signIn.id} is lost; ${await timesOf(place, signIn)}`)
      calls.push(call)
      if (calls.length % 20 === 0) stage.say(`${calls.length} kills with grace`)
    }
    await holder.kill()
  }
  // Two at a time on one database: whoever starts buries whoever is dead, and not always its own predecessor.
  await Promise.all([0, 1].map((half) => chain(signIns.filter((_, index) => index % 2 === half))))
  const counts = await countOf(place, signIns)
  const alive = calls.length - badCalls(calls).length
  return [
    finding(
      `with 10 s of grace every connection is alive after the kill`,
      `${alive} of ${KILLS} alive${wordsFor(calls)}, ${counts.killed} sessions killed; a token ${(slowestMs / 1000).toFixed(1)} s after the kill at the latest`,
      alive === KILLS && counts.killed === 0,
    ),
  ]
}

/** When the server met its refresh tokens: whether we came too late for its grace, or something else went wrong. */
async function timesOf(place: Place, { sessionId }: SignIn): Promise<string> {
  const requests = await place.server.control.requests()
  const met = requests.filter((each) => each.endpoint === 'token' && each.sessionId === sessionId).map(({ at }) => at)
  return `the server met it at ${met
    .sort((one, other) => one - other)
    .map((at, _, all) => `${at - (all[0] ?? at)} ms`)
    .join(', ')}`
}

async function killAfterCommit(place: Place, holder: ManagerProcess, { id, sessionId }: SignIn): Promise<void> {
  const { control } = place.server
  await control.addFault({ fault: { kind: 'delay', ms: 5_000 }, when: 'after', times: 1, sessionId })
  const before = (await control.counters(place.realm, sessionId)).refreshes
  holder.tell({ do: 'token', ids: [id] }).catch(() => undefined) // It is killed before it can answer.
  await eventually('the server commits the rotation', async () => {
    return (await control.counters(place.realm, sessionId)).refreshes > before
  })
  await holder.kill()
}

/** A second presentation kills the sign-in: it is tried once, when nothing is left to protect, and the loss is said once. */
async function withoutGrace(stage: Stage): Promise<readonly Finding[]> {
  await using place = await openPlace({
    database: stage.database,
    realm: { accessTokenSeconds: LIFE_SECONDS },
    provider: { reuse: { kind: 'strict' } },
  })
  const { control, demoApi } = place.server
  const signIns = await place.connect(HOLDERS * CONNECTIONS_EACH, true)
  const everybody: ManagerProcess[] = []
  const ids = signIns.map(({ id }) => id)
  const ends = Math.max(...signIns.map(({ expiresAt }) => expiresAt ?? 0))
  const halfLifeMs = (LIFE_SECONDS * 1000) / 2
  await untilWall(ends - halfLifeMs + 1_000)
  await control.addFault({ fault: { kind: 'delay', ms: 8_000 }, when: 'after', times: signIns.length })
  const successors = await Promise.all(
    Array.from({ length: HOLDERS }, async (_, index) => {
      const mine = signIns.slice(index * CONNECTIONS_EACH, (index + 1) * CONNECTIONS_EACH)
      const holder = await place.start()
      everybody.push(holder)
      // Who wants more life than is left makes it refresh while the old token lives.
      const asked = { minTtlMs: halfLifeMs }
      holder.tell({ do: 'token', ids: mine.map(({ id }) => id), asked }).catch(() => undefined)
      const successor = place.spawn()
      everybody.push(successor)
      await eventually('the server commits all rotations of a holder', async () => {
        return (await countOf(place, mine)).refreshes === mine.length
      })
      await holder.kill()
      await successor.tell({ do: 'open', options: place.options })
      return successor
    }),
  )
  const living: Call[] = []
  const firstEnd = Math.min(...signIns.map(({ expiresAt }) => expiresAt ?? 0))
  while (Date.now() < firstEnd - 1_500) {
    for (const manager of successors) living.push(...(await manager.tell({ do: 'token', ids, api: demoApi })))
  }
  const early = (await countOf(place, signIns)).arrivals - signIns.length
  await untilWall(ends)
  const afterwards = await Promise.all(
    successors.map((manager) => manager.tell({ do: 'token', ids, asked: { waitMs: 20_000 } })),
  )
  const arrivalsThen = (await countOf(place, signIns)).arrivals
  // Nothing more is sent, whoever asks, and whatever the background would like to do.
  for (let again = 0; again < 5; again += 1) {
    await Promise.all(successors.map((manager) => manager.tell({ do: 'token', ids })))
    await untilWall(Date.now() + 2_000)
  }
  const counters = await countersOf(place, signIns)
  const counts = await countOf(place, signIns)
  const requests = await control.requests()
  const tooEarly = signIns.filter(({ sessionId, expiresAt }) => {
    // The log has them in the order of their answers.
    const [, second] = requests
      .filter((each) => each.endpoint === 'token' && each.sessionId === sessionId)
      .sort((one, other) => one.at - other.at)
    return second !== undefined && second.at < (expiresAt ?? 0)
  })
  const said = everybody.flatMap(({ events }) => events).filter(({ event }) => event.type === 'needs_user')
  const told = new Set(said.map(({ event }) => ('connection' in event ? event.connection : '')))
  const answers = afterwards.flat()
  const lost = answers.filter((call) => !call.ok && call.code === 'needs_user' && call.reason === 'answer_lost')
  return [
    finding(
      'without grace the living access token is handed out to its end, and nothing is presented meanwhile',
      `${badCalls(living).length} of ${living.length} calls bad${wordsFor(living)}, ${early} presentations too early`,
      living.length > 0 && badCalls(living).length === 0 && early === 0,
    ),
    finding(
      'without grace at most one further presentation of each token, after the end of its access token',
      `${Math.max(...counters.map(({ arrivals }) => arrivals - 1))} at most, ${tooEarly.length} before the end`,
      counters.every(({ arrivals }) => arrivals <= 2) && tooEarly.length === 0,
    ),
    finding(
      'then answer_lost for whoever asks, said once for each connection',
      `${lost.length} of ${answers.length} calls${answers.length === lost.length ? '' : wordsFor(answers)}; ${said.length} events for ${told.size} of ${signIns.length} connections`,
      lost.length === answers.length && said.length === signIns.length && told.size === signIns.length,
    ),
    finding(
      'and no presentation after that',
      `${counts.arrivals - arrivalsThen} in 10 s with callers`,
      counts.arrivals === arrivalsThen,
    ),
  ]
}
