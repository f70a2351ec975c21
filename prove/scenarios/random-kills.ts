/** 5: six processes with 200 connections, and again and again one of them is killed wherever it is. */
import { setTimeout as pause } from 'node:timers/promises'
import type { LoggedRequest } from '@tokenkeep/devserver'
import type { HistoryEntry } from '@tokenkeep/node'
import type { Call } from '../../packages/node/test/fixtures/manager-orders.ts'
import { machineMono, type ManagerProcess } from '../../packages/node/test/fixtures/manager-process.ts'
import { badCalls, countOf, wordsFor } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace, type Place, type PlaceOptions, type SignIn } from '../place.ts'
import { finding, type Finding, type Scenario, type Stage } from '../scenario.ts'
import { answersInSlots, ownersIn } from '../slots.ts'
import { eventually, median } from '../waiting.ts'

const KILLS = 300
const PROCESSES = 6
const CONNECTIONS = 200
const LIFE_SECONDS = 10
/** What the store does not take within 250 ms is written to a slot; a busy machine has the rest of this for the writing. */
const IN_MEMORY_MOST_MS = 1_000

export const randomKills: Scenario = {
  name: '5',
  title: '300 random kill -9 over 6 processes and 200 connections',
  databases: DATABASES,
  limitSeconds: 3_000,
  async run(stage) {
    return [...(await withGrace(stage)), ...(await strict(stage))]
  },
}

async function withGrace(stage: Stage): Promise<readonly Finding[]> {
  await using place = await openPlace({
    database: stage.database,
    realm: { accessTokenSeconds: LIFE_SECONDS, rotation: { kind: 'grace', seconds: 30 } },
    provider: { reuse: { kind: 'grace', seconds: 30, winner: 'any' } },
  })
  const signIns = await place.connect(CONNECTIONS, true)
  const { good, requests } = await killAtRandom(stage, place, signIns)
  await using last = await place.start()
  const asked = { resource: 'https://api.example/afterwards', waitMs: 60_000 }
  const calls = await last.tell({ do: 'token', ids: signIns.map(({ id }) => id), asked })
  for (const line of await storiesOf(place, badCalls(calls), signIns, await requests())) stage.say(line)
  const counts = await countOf(place, signIns)
  return [
    finding(
      `${KILLS} random kills, grace 30 s: 0 of ${CONNECTIONS} connections lost`,
      `${badCalls(calls).length} lost${wordsFor(calls)}, ${counts.killed} sessions killed; ${good} good calls and ${counts.refreshes} refreshes meanwhile`,
      badCalls(calls).length === 0 && counts.killed === 0 && counts.refreshes > CONNECTIONS,
    ),
  ]
}

async function strict(stage: Stage): Promise<readonly Finding[]> {
  const options: PlaceOptions = {
    database: stage.database,
    realm: { accessTokenSeconds: LIFE_SECONDS },
    provider: { reuse: { kind: 'strict' } },
  }
  await using place = await openPlace(options)
  const signIns = await place.connect(CONNECTIONS, true)
  const lived = await killAtRandom(stage, place, signIns)
  const last = await place.start()
  const ids = signIns.map(({ id }) => id)
  // What is in doubt is decided after the end of its access token, or of the patience with whoever fell silent.
  await eventually(
    'no connection is in doubt any more',
    async () => {
      const calls = await last.tell({ do: 'token', ids, asked: { minTtlMs: 1, waitMs: 1_000 } })
      return calls.every((call) => call.ok || call.code === 'needs_user')
    },
    180_000,
  )
  const asked = { resource: 'https://api.example/afterwards', waitMs: 60_000 }
  const calls = await last.tell({ do: 'token', ids, asked })
  const lost = badCalls(calls)
  await last.kill()
  const log = await lived.requests()
  const losses = await place.use(async (keep) => {
    const found: Loss[] = []
    for (const call of lost) {
      const signIn = signIns.find(({ id }) => id === call.id)
      if (signIn === undefined) continue
      found.push(explain(signIn, await keep.connections.history(call.id, 50), lived, log))
    }
    return found
  })
  const kept = await answersInSlots(place)
  const unexplained = losses.filter(({ explained }) => !explained)
  const neverRead = losses.filter(({ explained, inMemoryMs }) => explained && inMemoryMs === null).length
  const inMemory = losses.flatMap(({ inMemoryMs }) => (inMemoryMs === null ? [] : [inMemoryMs]))
  const longest = Math.max(0, ...inMemory)
  for (const { words } of unexplained) stage.say(words)
  const tooMany = losses.filter(({ presentedTooOften }) => presentedTooOften).length
  return [
    finding(
      `${KILLS} random kills, strict: every loss is one where the answer was in no process's hands and in no file`,
      `${losses.length} of ${CONNECTIONS} lost, ${unexplained.length} unexplained, ${kept} answers left in slots; ` +
        `${neverRead} never read by anybody, ${inMemory.length} died with the process that had just read them`,
      unexplained.length === 0 && kept === 0 && losses.length < CONNECTIONS,
    ),
    finding(
      `strict: no answer was in memory alone for longer than ${IN_MEMORY_MOST_MS} ms`,
      inMemory.length === 0
        ? 'none died in memory'
        : `median ${median(inMemory).toFixed(0)} ms, longest ${longest.toFixed(0)} ms, of the ${inMemory.length} that died there`,
      longest <= IN_MEMORY_MOST_MS,
    ),
    finding(
      'strict: whoever is lost is told answer_lost; each presentation beyond the first follows one whose holder was killed',
      `${lost.filter((call) => !call.ok && call.reason === 'answer_lost').length} of ${lost.length} told so, ${tooMany} presented more often`,
      lost.every((call) => !call.ok && call.reason === 'answer_lost') && tooMany === 0,
    ),
  ]
}

/** What became of those that must not be lost, for whoever looks for the cause. */
async function storiesOf(
  place: Place,
  lost: readonly Call[],
  signIns: readonly SignIn[],
  log: readonly LoggedRequest[],
): Promise<readonly string[]> {
  return place.use(async (keep) => {
    const stories: string[] = []
    for (const { id } of lost) {
      const session = signIns.find((each) => each.id === id)?.sessionId
      const last = log.filter((each) => each.sessionId === session).slice(-5)
      const history = (await keep.connections.history(id, 8)).toSorted((one, other) => one.fence - other.fence)
      const begun = history[0]?.acquiredAt ?? 0
      const met = last.map((each) => `${each.at - begun} ms ${each.tokenFingerprint ?? ''} ${each.seen}`)
      const attempts = history.map(
        (each) => `${each.acquiredAt - begun}..${(each.endedAt ?? 0) - begun} ms ${each.outcome ?? 'open'}`,
      )
      stories.push(`${id} is lost; attempts: ${attempts.join(', ')}; the server met: ${met.join(', ')}`)
    }
    return stories
  })
}

interface Death {
  readonly owner: string
  /** The signal was sent, by the machine's monotonic clock. */
  readonly killedAt: number
  readonly manager: ManagerProcess
}

interface Lived {
  readonly deaths: readonly Death[]
  readonly good: number
  /** The machine's monotonic clock at the wall clock's zero. */
  readonly monoAtWall0: number
  /** All token requests that the server met, oldest first. */
  requests(): Promise<readonly LoggedRequest[]>
}

async function killAtRandom(stage: Stage, place: Place, signIns: readonly SignIn[]): Promise<Lived> {
  const { control } = place.server
  // A network with some length on both ways, so that requests are under way when a kill comes.
  await control.addFault({ fault: { kind: 'delay', ms: 10 }, when: 'before', times: 1_000_000 })
  await control.addFault({ fault: { kind: 'delay', ms: 10 }, when: 'after', times: 1_000_000 })
  const ids = signIns.map(({ id }) => id)
  const known = new Set<string>()
  const seen = new Map<string, LoggedRequest>()
  const readLog = async (): Promise<void> => {
    for (const each of await control.requests()) {
      if (each.endpoint === 'token') seen.set(`${each.at} ${each.tokenFingerprint} ${each.tookMs}`, each)
    }
  }
  const start = async (): Promise<{ manager: ManagerProcess; owner: string }> => {
    const manager = await place.start()
    const [owner = 'unknown'] = (await ownersIn(place)).filter((each) => !known.has(each))
    known.add(owner)
    await manager.tell({ do: 'work', ids, callers: 3, pauseMs: 25, asked: { waitMs: 5_000 } })
    return { manager, owner }
  }
  const running: { manager: ManagerProcess; owner: string }[] = []
  for (let n = 0; n < PROCESSES; n += 1) running.push(await start())
  const deaths: Death[] = []
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await pause(Math.random() * 400)
    const at = Math.floor(Math.random() * PROCESSES)
    const victim = running[at]
    if (victim === undefined) continue
    deaths.push({ ...victim, killedAt: machineMono() })
    await victim.manager.kill()
    running[at] = await start()
    if (kill % 20 === 0) {
      await readLog()
      stage.say(`${kill} kills, ${(await countOf(place, signIns)).refreshes} refreshes`)
    }
  }
  let good = 0
  for (const { manager } of running) {
    good += (await manager.tell({ do: 'rest' })).good
    await manager.tell({ do: 'close' })
    await manager.kill()
  }
  return {
    deaths,
    good,
    monoAtWall0: machineMono() - Date.now(),
    async requests() {
      await readLog()
      return [...seen.values()].sort((one, other) => one.at - other.at)
    },
  }
}

interface Loss {
  readonly explained: boolean
  /** From the first byte of the answer in its holder to the kill; null: it never came so far. */
  readonly inMemoryMs: number | null
  readonly presentedTooOften: boolean
  readonly words: string
}

/**
 * The answer that is missing is that to the last presentation which the server granted. Its holder must have been killed
 * before it could have it on disk, and never have said that it had it.
 */
function explain(
  { id, sessionId }: SignIn,
  history: readonly HistoryEntry[],
  lived: Lived,
  log: readonly LoggedRequest[],
): Loss {
  const met = log.filter((each) => each.sessionId === sessionId)
  const granted = met.filter(({ seen }) => seen === 200).at(-1)
  // Acquired before the request came, on one and the same clock.
  const [entry] = [...history]
    .filter(({ acquiredAt }) => granted !== undefined && acquiredAt <= granted.at + 5)
    .sort((one, other) => other.fence - one.fence)
  const ofThisToken = history.filter(({ presented }) => presented === entry?.presented)
  const unanswered = ofThisToken.filter(({ outcome }) => outcome === 'owner_dead').length
  const arrived = met.filter((each) => each.tokenFingerprint === granted?.tokenFingerprint).length
  const loss = (explained: boolean, inMemoryMs: number | null, words: string): Loss => ({
    explained,
    inMemoryMs,
    presentedTooOften: arrived > unanswered + 1,
    words: `${id}: ${words}`,
  })
  if (granted === undefined) return loss(false, null, 'the server granted nothing')
  if (entry === undefined) return loss(false, null, 'the history does not know the presentation')
  if (entry.outcome !== 'owner_dead') return loss(false, null, `the history says ${entry.outcome ?? 'nothing'}`)
  if (history.some(({ fence, outcome }) => fence >= entry.fence && (outcome ?? '').startsWith('granted'))) {
    return loss(false, null, 'a later answer was granted and dropped')
  }
  const death = lived.deaths.find(({ owner }) => owner === entry.owner)
  if (death === undefined) return loss(false, null, 'its holder was not killed')
  const { events, received } = death.manager
  const said = events.some(
    ({ event }) => event.type === 'refreshed' && event.connection === id && event.fence === entry.fence,
  )
  if (said) return loss(false, null, 'its holder said that the answer was durable')
  // Ports are used again, so it is the first that came after the request: within the rounding of two clocks.
  const from = granted.at + lived.monoAtWall0 - 50
  const came = received.find(({ port, mono }) => port === granted.clientPort && mono >= from)
  if (came === undefined) return loss(true, null, 'its holder never read it')
  const inMemoryMs = Math.max(0, death.killedAt - came.mono)
  return loss(true, inMemoryMs, `its holder had it for ${inMemoryMs.toFixed(0)} ms`)
}
