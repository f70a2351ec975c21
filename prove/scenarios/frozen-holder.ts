/** 3: the holder stands still (SIGSTOP) with the answer in its socket, or before it has sent anything. */
import { setTimeout as pause } from 'node:timers/promises'
import { badCalls, countOf, wordsFor } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace, type Place, type PlaceOptions, type SignIn } from '../place.ts'
import { finding, type Finding, type Scenario, type Stage } from '../scenario.ts'
import { eventually } from '../waiting.ts'

const CONNECTIONS = 5
const FROZEN_MS = 12_000
/** Longer than a lease, shorter than the patience with whoever fell silent. */
const FROZEN_BEYOND_LEASE_MS = 40_000

const STRICT = {
  realm: { accessTokenSeconds: 300 },
  provider: { reuse: { kind: 'strict' } },
} as const satisfies Partial<PlaceOptions>

const GRACE = {
  realm: { accessTokenSeconds: 300, rotation: { kind: 'grace', seconds: 10 } },
  provider: { reuse: { kind: 'grace', seconds: 10, winner: 'any' } },
} as const satisfies Partial<PlaceOptions>

export const frozenHolder: Scenario = {
  name: '3',
  title: 'the holder is frozen',
  databases: DATABASES,
  limitSeconds: 400,
  async run(stage) {
    const parts = await Promise.all([
      onItsWay(stage, 'strict', STRICT, FROZEN_MS, 'right after the commit'),
      onItsWay(stage, 'grace 10 s', GRACE, FROZEN_MS, 'right after the commit'),
      onItsWay(stage, 'strict', STRICT, FROZEN_MS, 'with its request on its way'),
      onItsWay(stage, 'strict', STRICT, FROZEN_BEYOND_LEASE_MS, 'right after the commit'),
      beforeSending(stage, 'strict', STRICT, FROZEN_BEYOND_LEASE_MS),
      beforeSending(stage, 'grace 10 s', GRACE, 8_000),
    ])
    return parts.flat()
  },
}

async function onItsWay(
  stage: Stage,
  name: string,
  options: Partial<PlaceOptions>,
  frozenMs: number,
  moment: 'right after the commit' | 'with its request on its way',
): Promise<readonly Finding[]> {
  await using place = await openPlace({ database: stage.database, ...options })
  const signIns = await place.connect(CONNECTIONS, false)
  const ids = signIns.map(({ id }) => id)
  const [holder, other] = await Promise.all([place.start(), place.start()])
  const committedFirst = moment === 'right after the commit'
  // The answer leaves a moment later, so that it finds the holder frozen.
  const when = committedFirst ? 'after' : 'before'
  await place.server.control.addFault({ fault: { kind: 'delay', ms: 1_000 }, when, times: CONNECTIONS })
  const waitMs = frozenMs + 60_000
  const held = holder.tell({ do: 'token', ids, asked: { waitMs }, api: place.server.demoApi })
  await eventually(`the server ${committedFirst ? 'commits' : 'gets'} all of them`, async () => {
    const { refreshes, arrivals } = await countOf(place, signIns)
    return (committedFirst ? refreshes : arrivals) === CONNECTIONS
  })
  await holder.freeze()
  const asked = other.tell({ do: 'token', ids, asked: { waitMs }, api: place.server.demoApi })
  await pause(frozenMs)
  holder.thaw()
  const [calls, own] = await Promise.all([asked, held])
  stage.say(`${name}: frozen for ${frozenMs / 1000} s ${moment}, and thawed`)
  const counts = await countOf(place, signIns)
  const afterwards = await refreshOnceMore(place, signIns)
  const strict = name === 'strict'
  const everySecond = strict ? `, ${counts.secondPresentations} second presentations` : ''
  return [
    finding(
      `${name}: holder frozen for ${frozenMs / 1000} s ${moment}: nobody killed${strict ? ', nothing presented twice' : ''}`,
      `${counts.killed} killed${everySecond}; ${afterwards}`,
      counts.killed === 0 && (!strict || counts.secondPresentations === 0) && afterwards === ALL_REFRESH,
    ),
    finding(
      `${name}: meanwhile the other process's calls succeed, and the holder's own afterwards`,
      `${badCalls(calls).length} of ${calls.length} and ${badCalls(own).length} of ${own.length} bad${wordsFor([...calls, ...own])}`,
      badCalls(calls).length === 0 && badCalls(own).length === 0,
    ),
  ]
}

async function beforeSending(
  stage: Stage,
  name: string,
  options: Partial<PlaceOptions>,
  frozenMs: number,
): Promise<readonly Finding[]> {
  await using place = await openPlace({ database: stage.database, ...options })
  const signIns = await place.connect(1, false)
  const ids = signIns.map(({ id }) => id)
  const [holder, other] = await Promise.all([place.start(), place.start()])
  await holder.tell({ do: 'freeze_when_connected', port: Number(new URL(place.server.origin).port) })
  const waitMs = 120_000
  const held = holder.tell({ do: 'token', ids, asked: { waitMs } })
  await holder.frozen()
  const asked = other.tell({ do: 'token', ids, asked: { waitMs }, api: place.server.demoApi })
  await pause(frozenMs)
  const before = await countOf(place, signIns)
  holder.thaw()
  // Time for the holder to do what it must not: it would send in the tick in which it wakes.
  await pause(3_000)
  const woken = await countOf(place, signIns)
  stage.say(`${name}: frozen for ${frozenMs / 1000} s before it sent anything, and thawed`)
  const [calls, own] = await Promise.all([asked, held])
  const counts = await countOf(place, signIns)
  const afterwards = await refreshOnceMore(place, signIns)
  const sent = woken.arrivals - before.arrivals
  return [
    finding(
      `${name}: frozen before the send and woken after its lease: nothing sent`,
      `${sent} requests when it woke, ${counts.arrivals} in all, ${counts.secondPresentations} second presentations, ${counts.killed} killed; ${afterwards}`,
      sent === 0 && counts.arrivals === 1 && counts.secondPresentations === 0 && afterwards === ALL_REFRESH,
    ),
    finding(
      `${name}: all callers get a token in the end`,
      `${badCalls(calls).length} of ${calls.length} and ${badCalls(own).length} of ${own.length} bad${wordsFor([...calls, ...own])}`,
      badCalls(calls).length === 0 && badCalls(own).length === 0,
    ),
  ]
}

const ALL_REFRESH = 'every connection refreshes once more'

/** What is kept works: a token for a resource never asked for before has to be refreshed for. */
async function refreshOnceMore(place: Place, signIns: readonly SignIn[]): Promise<string> {
  await using manager = await place.start({ background: false })
  const asked = { resource: 'https://api.example/afterwards' }
  const calls = await manager.tell({ do: 'token', ids: signIns.map(({ id }) => id), asked })
  const bad = badCalls(calls).length
  return bad === 0 ? ALL_REFRESH : `${bad} do not refresh any more${wordsFor(calls)}`
}
