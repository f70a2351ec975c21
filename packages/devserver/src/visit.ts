import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { play, send, type Answer, type Seen } from './answer.ts'
import type { AnswerFault, FaultTarget } from './fault.ts'
import type { World } from './world.ts'

/** One request to an endpoint that can be made to fail. */
export interface Visit {
  readonly target: FaultTarget
  readonly clientId: string | null
  readonly tokenFingerprint: string | null
  readonly scope: string | null
  readonly response: ServerResponse
  /** Does what was asked, durably, and says what to answer; null when the answer is on its way already. */
  readonly carryOut: () => Promise<Answer | null>
}

/** Serves one visit through the faults that wait for it, then counts and logs it. */
export async function serveVisit(world: World, visit: Visit): Promise<void> {
  const at = Date.now()
  // Now: a connection that was reset meanwhile has none.
  const clientPort = visit.response.socket?.remotePort ?? null
  const { before, after } = world.faults.take(visit.target)
  const seen = await answered(world, visit, before, after)
  const { endpoint, realm, grantType, sessionId } = visit.target
  world.tally.count({ endpoint, realm, grantType, seen })
  world.log.add({
    at,
    endpoint,
    realm,
    grantType,
    clientId: visit.clientId,
    clientPort,
    sessionId,
    tokenFingerprint: visit.tokenFingerprint,
    scope: visit.scope,
    seen,
    faultBefore: before?.kind ?? null,
    faultAfter: after?.kind ?? null,
    tookMs: Date.now() - at,
  })
}

async function answered(
  world: World,
  visit: Visit,
  before: AnswerFault | null,
  after: AnswerFault | null,
): Promise<Seen> {
  const { response, carryOut } = visit
  const until = world.closing
  if (before?.kind === 'delay') await pause(before.ms, until)
  else if (before) return play(before, { response, answer: null, until })

  const answer = await carryOut()
  if (answer === null) return response.statusCode
  if (after?.kind === 'delay') await pause(after.ms, until)
  else if (after) return play(after, { response, answer, until })
  return send(response, answer)
}

async function pause(ms: number, until: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: until }).catch(() => undefined)
}
