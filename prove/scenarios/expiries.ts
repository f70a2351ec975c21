/** 1: four processes that share a connection call in the moment when its token has ended, again and again. */
import type { Call } from '../../packages/node/test/fixtures/manager-orders.ts'
import { machineMono } from '../../packages/node/test/fixtures/manager-process.ts'
import { badCalls, countOf, wordsFor } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace } from '../place.ts'
import { finding, type Finding, type Scenario, type Stage } from '../scenario.ts'

const PROCESSES = 4
const EXPIRIES = 50
const LIFE_SECONDS = 2

export const expiries: Scenario = {
  name: '1',
  title: '4 processes call at 50 expiries',
  databases: DATABASES,
  limitSeconds: 400,
  async run(stage) {
    // Two places side by side: each waits nearly all of the time.
    const parts = await Promise.all([
      callTogether(stage, { spreadMs: 0, latencyMs: 0 }),
      callTogether(stage, { spreadMs: 200, latencyMs: 20 }),
    ])
    return parts.flat()
  },
}

async function callTogether(
  stage: Stage,
  { spreadMs, latencyMs }: { spreadMs: number; latencyMs: number },
): Promise<readonly Finding[]> {
  await using place = await openPlace({
    database: stage.database,
    realm: { accessTokenSeconds: LIFE_SECONDS },
    provider: { reuse: { kind: 'strict' } },
  })
  if (latencyMs > 0) {
    await place.server.control.addFault({ fault: { kind: 'delay', ms: latencyMs }, when: 'before', times: 1_000_000 })
  }
  const signIns = await place.connect(1, false)
  const ids = signIns.map(({ id }) => id)
  // Without work in the background: a token that is refreshed ahead never expires.
  const managers = await Promise.all(Array.from({ length: PROCESSES }, () => place.start({ background: false })))
  const api = place.server.demoApi
  const calls: Call[] = []
  let together = machineMono() + 200
  for (let expiry = 1; expiry <= EXPIRIES; expiry += 1) {
    const round = await Promise.all(
      managers.map((manager) => manager.tell({ do: 'token', ids, api, at: together + Math.random() * spreadMs })),
    )
    calls.push(...round.flat())
    const ends = round.flat().map((call) => (call.ok ? call.expiresAt : 0))
    together = machineMono() + Math.max(0, Math.max(...ends) - Date.now()) + 20
    if (expiry % 10 === 0) stage.say(`${expiry} expiries, spread over ${spreadMs} ms`)
  }
  const counts = await countOf(place, signIns)
  const bad = badCalls(calls)
  const how = spreadMs === 0 ? 'at the same instant' : `spread over ${spreadMs} ms, server latency ${latencyMs} ms`
  return [
    finding(
      `${PROCESSES} processes x ${EXPIRIES} expiries ${how}: one refresh an expiry, no token presented twice, no session killed`,
      `${(counts.refreshes / EXPIRIES).toFixed(2)} refreshes an expiry, ${counts.secondPresentations} second presentations, ${counts.killed} killed`,
      counts.refreshes === EXPIRIES && counts.secondPresentations === 0 && counts.killed === 0,
    ),
    finding(
      `${how}: no bad call`,
      `${bad.length} of ${calls.length} bad${wordsFor(calls)}`,
      bad.length === 0 && calls.length === PROCESSES * EXPIRIES,
    ),
  ]
}
