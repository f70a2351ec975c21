/** 5: six processes with 200 connections, and again and again one of them is killed wherever it is. */
import { setTimeout as pause } from 'node:timers/promises'
import type { LoggedRequest } from '@tokenkeep/devserver'
import type { HistoryEntry } from '@tokenkeep/node'
import type { ManagerProcess } from '../../packages/node/test/fixtures/manager-process.ts'
import { badCalls, countersOf, countOf, wordsFor } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace, type Place, type PlaceOptions, type SignIn } from '../place.ts'
import { finding, type Finding, type Scenario, type Stage } from '../scenario.ts'
import { answersInSlots, ownersIn } from '../slots.ts'
import { eventually } from '../waiting.ts'

const KILLS = 300
const PROCESSES = 6
const CONNECTIONS = 200
const LIFE_SECONDS = 10
/** An answer that the store does not take lies in a slot after 250 ms; longer in memory alone it must not be. */
const IN_MEMORY_MOST_MS = 300

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
  const { good } = await killAtRandom(stage, place, signIns)
  await using last = await place.start()
  const asked = { resource: 'https://api.example/afterwards', waitMs: 60_000 }
  const calls = await last.tell({ do: 'token', ids: signIns.map(({ id }) => id), asked })
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
  const beforeTheAnswer = losses.filter(({ explained, leadMs }) => explained && leadMs >= 0).length
  const latest = Math.max(0, ...losses.filter(({ explained }) => explained).map(({ leadMs }) => -leadMs))
  for (const { words } of unexplained) stage.say(words)
  const counters = await countersOf(place, signIns)
  const most = Math.max(...counters.map(({ secondPresentations }) => secondPresentations))
  return [
    finding(
      `${KILLS} random kills, strict: every loss is one where the answer was in no process's hands and in no file`,
      `${losses.length} of ${CONNECTIONS} lost, ${unexplained.length} unexplained, ${kept} answers left in slots; ` +
        `${beforeTheAnswer} killed before the server had answered, ${losses.length - unexplained.length - beforeTheAnswer} at most ${latest} ms after`,
      unexplained.length === 0 && kept === 0 && losses.length < CONNECTIONS,
    ),
    finding(
      'strict: whoever is lost is told answer_lost, after at most one second presentation',
      `${lost.filter((call) => !call.ok && call.reason === 'answer_lost').length} of ${lost.length}, at most ${most}`,
      lost.every((call) => !call.ok && call.reason === 'answer_lost') && most <= 1,
    ),
  ]
}

interface Death {
  readonly owner: string
  /** Epoch milliseconds: the process was surely gone. */
  readonly goneAt: number
  readonly manager: ManagerProcess
}

interface Lived {
  readonly deaths: readonly Death[]
  readonly good: number
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
    await victim.manager.kill()
    deaths.push({ ...victim, goneAt: Date.now() })
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
    async requests() {
      await readLog()
      return [...seen.values()].sort((one, other) => one.at - other.at)
    },
  }
}

interface Loss {
  readonly explained: boolean
  /** From the death of the holder to the moment when the server wrote its answer; negative: it died so long after. */
  readonly leadMs: number
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
  const loss = (explained: boolean, leadMs: number, words: string): Loss => ({
    explained,
    leadMs,
    words: `${id}: ${words}`,
  })
  const granted = log.filter((each) => each.sessionId === sessionId && each.seen === 200).at(-1)
  if (granted === undefined) return loss(false, 0, 'the server granted nothing')
  // Newest first or last: the entry is found by its time. Acquired before the request came, on one and the same clock.
  const [entry] = [...history]
    .filter(({ acquiredAt }) => acquiredAt <= granted.at + 5)
    .sort((one, other) => other.fence - one.fence)
  if (entry === undefined) return loss(false, 0, 'the history does not know the presentation')
  if (entry.outcome !== 'owner_dead') return loss(false, 0, `the history says ${entry.outcome ?? 'nothing'}`)
  if (history.some(({ fence, outcome }) => fence >= entry.fence && (outcome ?? '').startsWith('granted'))) {
    return loss(false, 0, 'a later answer was granted and dropped')
  }
  const death = lived.deaths.find(({ owner }) => owner === entry.owner)
  if (death === undefined) return loss(false, 0, 'its holder was not killed')
  const said = death.manager.events.some(
    ({ event }) => event.type === 'refreshed' && event.connection === id && event.fence === entry.fence,
  )
  if (said) return loss(false, 0, 'its holder said that the answer was durable')
  const leadMs = granted.at + granted.tookMs - death.goneAt
  return loss(leadMs >= -IN_MEMORY_MOST_MS, leadMs, `its holder lived for ${-leadMs} ms after the answer`)
}
