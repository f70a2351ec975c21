/**
 * One of the processes that share connections through `openTokenkeep()`: told what to do by one JSON argument, it meets
 * one expiry after another, and prints one JSON line when it is done.
 */
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { openTokenkeep, TokenError } from '@tokenkeep/node'
import { accepts } from './api.ts'
import type { FleetReport } from './counting.ts'
import type { FleetInstructions } from './fleet.ts'

const { place, issuer, ids, expiries } = JSON.parse(process.argv[2] ?? '') as FleetInstructions
/** Between tries while Keycloak is away. */
const AGAIN_AFTER_MS = 500
/** So long an outage is waited for. */
const PATIENCE_MS = 600_000

await using keep = await openTokenkeep({ ...place, background: false })
const reports = await Promise.all(ids.map(live))
process.stdout.write(`${JSON.stringify(reports)}\n`)

async function live(id: string): Promise<FleetReport> {
  let granted = 0
  let bad = 0
  for (let expiry = 0; expiry < expiries; expiry += 1) {
    const handed = await tokenOf(id)
    if (typeof handed === 'string') return { granted, bad, lost: handed }
    granted += 1
    if (!(await works(handed))) bad += 1
    // And a little, for a timer can be early by as much.
    await pause(Math.max(0, handed.expiresAt - Date.now()) + 2)
  }
  return { granted, bad, lost: null }
}

/** @returns the code of the error that nothing helps against */
async function tokenOf(id: string): Promise<Handed | string> {
  const since = performance.now()
  for (;;) {
    try {
      return await keep.token(id)
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      if (!error.retryable || performance.now() - since > PATIENCE_MS) return error.reason ?? error.code
      await pause(AGAIN_AFTER_MS)
    }
  }
}

interface Handed {
  readonly accessToken: string
  readonly expiresAt: number
}

/** A token that had ended before it was shown, and a Keycloak that is away, say nothing. */
async function works({ accessToken, expiresAt }: Handed): Promise<boolean> {
  const accepted = await accepts(issuer, accessToken).catch(() => true)
  return accepted || Date.now() >= expiresAt
}
