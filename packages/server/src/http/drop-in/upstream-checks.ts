/** Asks the provider whether a connection's access token still works: seldom, once for all who wonder, and not for long. */
import type { MonoMs } from '@tokenkeep/core'
import type { Said } from './asked-again.ts'
import { forgetOldest } from '../bounded.ts'

export interface UpstreamChecks {
  /**
   * What the provider says of the connection's access token.
   *
   * @returns a promise where somebody has to wait for it, for 2 s at most; else what is remembered of the last time, as
   *   far as it holds for a token that was handed out since: whether the provider can be asked at all
   */
  look(connection: string, now: MonoMs): Promise<Said> | Extract<Said, 'unsupported' | 'unknown'>
}

const CHECKS_APART_MS = 10_000
const WAIT_MS = 2_000
const CONNECTIONS_MAX = 10_000

interface Check {
  readonly since: MonoMs
  /** Null once somebody has waited long enough, or it was answered. */
  asking: Promise<Said> | null
  answered: boolean
  remembered: Extract<Said, 'unsupported' | 'unknown'>
}

/** @param ask never rejects */
export function createUpstreamChecks(ask: (connection: string) => Promise<Said>): UpstreamChecks {
  const checks = new Map<string, Check>()

  const begin = (connection: string, since: MonoMs): Promise<Said> => {
    const { promise, resolve } = Promise.withResolvers<Said>()
    const check: Check = { since, asking: promise, answered: false, remembered: 'unknown' }
    const settle = (said: Said): void => {
      check.asking = null
      resolve(said)
    }
    const patience = setTimeout(() => settle('unknown'), WAIT_MS)
    void ask(connection).then((said) => {
      clearTimeout(patience)
      check.answered = true
      if (said === 'unsupported') check.remembered = said
      settle(said)
    })
    checks.delete(connection)
    forgetOldest(checks, CONNECTIONS_MAX)
    checks.set(connection, check)
    return promise
  }

  return {
    look(connection, now) {
      const last = checks.get(connection)
      if (last === undefined || (last.answered && now - last.since >= CHECKS_APART_MS)) return begin(connection, now)
      return last.asking ?? last.remembered
    },
  }
}
