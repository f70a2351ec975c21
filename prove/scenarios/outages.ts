/** 6: the database goes away in the middle of refreshes, alone, or together with everybody who had it open. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Call } from '../../packages/node/test/fixtures/manager-orders.ts'
import { badCalls, countOf, wordsFor } from '../counts.ts'
import { DATABASES, type Outage } from '../database.ts'
import { openPlace, type Place, type PlaceOptions, type SignIn } from '../place.ts'
import { finding, notRun, type Finding, type Scenario, type Stage } from '../scenario.ts'
import { answersInSlots } from '../slots.ts'
import { eventually } from '../waiting.ts'

const PROCESSES = 6
const REFRESHES = 50
const AWAY_MS = 5_000

export const outages: Scenario = {
  name: '6',
  title: `the database goes away in the middle of ${REFRESHES} refreshes`,
  databases: DATABASES,
  limitSeconds: 600,
  async run(stage) {
    const findings: Finding[] = []
    for (const act of [aloneAway, killedWithAnswers, everybodyKilled]) {
      for (let nth = 0, names = 1; nth < names; nth += 1) {
        await using place = await openPlace(placeFor(stage, act))
        const { outages: all, missing } = place.database
        names = all.length
        const outage = all[nth]
        if (outage === undefined) continue
        if (nth === 0 && missing !== null) findings.push(notRun(`disk full: ${act.name}`, missing))
        stage.say(`${outage.name}: ${act.name}`)
        try {
          findings.push(...(await act(place, outage)))
        } finally {
          await outage.end()
        }
      }
    }
    return findings
  },
}

type Act = (place: Place, outage: Outage) => Promise<readonly Finding[]>

function placeFor({ database }: Stage, act: Act): PlaceOptions {
  const grace = act === everybodyKilled
  return {
    database,
    small: true,
    realm: { accessTokenSeconds: 300, ...(grace ? { rotation: { kind: 'grace', seconds: 30 } } : {}) },
    provider: { reuse: grace ? { kind: 'grace', seconds: 30, winner: 'any' } : { kind: 'strict' } },
  }
}

/** Some refreshes are under way, some begin while it is away, some have ended before. */
async function aloneAway(place: Place, outage: Outage): Promise<readonly Finding[]> {
  const signIns = await place.connect(REFRESHES, false)
  const { control, demoApi } = place.server
  await control.addFault({ fault: { kind: 'delay', ms: 700 }, when: 'after', times: REFRESHES })
  const managers = await Promise.all(Array.from({ length: PROCESSES }, () => place.start()))
  const during = managers.flatMap((manager, at) =>
    signIns.map(async ({ id }, index) => {
      await pause(index * 60 + at * 5)
      return manager.tell({ do: 'token', ids: [id], asked: { waitMs: 40_000 }, api: demoApi })
    }),
  )
  await eventually('half of the refreshes have reached the server', async () => {
    return (await countOf(place, signIns)).arrivals >= REFRESHES / 2
  })
  await outage.begin()
  await pause(AWAY_MS)
  await outage.end()
  const meanwhile = (await Promise.all(during)).flat(2)
  const afterwards = await askAll(place, signIns)
  const counts = await countOf(place, signIns)
  const told = badCalls(meanwhile).filter((call) => call.ok || call.code !== 'store_unavailable')
  return [
    finding(
      `${outage.name} for ${AWAY_MS / 1000} s in the middle of ${REFRESHES} refreshes, strict: 0 lost`,
      `${badCalls(afterwards).length} lost${wordsFor(afterwards)}, ${counts.refreshes} refreshes, ${counts.secondPresentations} second presentations, ${counts.killed} killed`,
      badCalls(afterwards).length === 0 &&
        counts.refreshes >= REFRESHES &&
        counts.secondPresentations === 0 &&
        counts.killed === 0,
    ),
    finding(
      `${outage.name}: whoever asks meanwhile gets a token, or is told store_unavailable`,
      `${meanwhile.length - badCalls(meanwhile).length} of ${meanwhile.length} got one; ${told.length} were told something else${wordsFor(told)}`,
      told.length === 0,
    ),
  ]
}

/** All answers come while it is away; then every process is killed. What they had received lies in their slots. */
async function killedWithAnswers(place: Place, outage: Outage): Promise<readonly Finding[]> {
  const signIns = await place.connect(REFRESHES, false)
  await place.server.control.addFault({ fault: { kind: 'delay', ms: 15_000 }, when: 'after', times: REFRESHES })
  const managers = await Promise.all(Array.from({ length: PROCESSES }, () => place.start()))
  for (const [at, manager] of managers.entries()) {
    const mine = signIns.filter((_, index) => index % PROCESSES === at).map(({ id }) => id)
    manager.tell({ do: 'token', ids: mine }).catch(() => undefined) // It is killed before it can answer.
  }
  await eventually('the server has committed every rotation', async () => {
    return (await countOf(place, signIns)).refreshes === REFRESHES
  })
  await outage.begin()
  await eventually('every answer lies in a slot', async () => (await answersInSlots(outage)) === REFRESHES)
  await Promise.all(managers.map((manager) => manager.kill()))
  await outage.end()
  const calls = await askAll(place, signIns)
  const counts = await countOf(place, signIns)
  // Some were committed before the store could say so: no caller waits for those, and a living process replays them still.
  await using _living = await place.start()
  const left = await eventually('the slots are empty', async () => (await answersInSlots(place)) === 0)
    .then(() => 0)
    .catch(() => answersInSlots(place))
  return [
    finding(
      `${outage.name} when ${REFRESHES} answers come, then every process killed, strict: 0 lost`,
      `${badCalls(calls).length} lost${wordsFor(calls)}, ${counts.secondPresentations} second presentations, ${counts.killed} killed, ${left} answers left in slots`,
      badCalls(calls).length === 0 && counts.secondPresentations === 0 && counts.killed === 0 && left === 0,
    ),
  ]
}

/** Nobody has received anything yet when all are killed: the server's grace brings them back. */
async function everybodyKilled(place: Place, outage: Outage): Promise<readonly Finding[]> {
  const signIns = await place.connect(REFRESHES, false)
  await place.server.control.addFault({ fault: { kind: 'delay', ms: 4_000 }, when: 'after', times: REFRESHES })
  const managers = await Promise.all(Array.from({ length: PROCESSES }, () => place.start()))
  const ids = signIns.map(({ id }) => id)
  for (const manager of managers) manager.tell({ do: 'token', ids }).catch(() => undefined)
  await eventually('half of the rotations are committed', async () => {
    return (await countOf(place, signIns)).refreshes >= REFRESHES / 2
  })
  await Promise.all([outage.begin(), ...managers.map((manager) => manager.kill())])
  await outage.end()
  const calls = await askAll(place, signIns)
  const counts = await countOf(place, signIns)
  return [
    finding(
      `${outage.name} and SIGKILL of everybody in the middle, grace 30 s: 0 lost`,
      `${badCalls(calls).length} lost${wordsFor(calls)}, ${counts.killed} killed`,
      badCalls(calls).length === 0 && counts.killed === 0,
    ),
  ]
}

/** A token of each, in a process that was not there before, and once more after a refresh with what is kept. */
async function askAll(place: Place, signIns: readonly SignIn[]): Promise<readonly Call[]> {
  await using manager = await place.start()
  const ids = signIns.map(({ id }) => id)
  const asked = { waitMs: 60_000 }
  const first = await manager.tell({ do: 'token', ids, asked, api: place.server.demoApi })
  const resource = 'https://api.example/afterwards'
  return [...first, ...(await manager.tell({ do: 'token', ids, asked: { ...asked, resource } }))]
}
