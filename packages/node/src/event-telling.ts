/** Records what a process sees that is no change of a connection: so that it is told to everybody, too. */
import { assertNever, ms, type Clock, type EventSubject, type NewEvent, type TokenkeepEvent } from '@tokenkeep/core'
import type { EventRows } from './event-rows.ts'

/** Several processes see the same at nearly the same moment, and the first of them tells it. */
const SAME_WITHIN_MS = 60_000
/** A database that is away takes it later, or never: it was no change of anything in it. */
const TRIES = 6
const FIRST_PAUSE_MS = 1_000

/** @returns hears what the process tells; it never throws, and is never waited for */
export function tellEvents(of: {
  readonly rows: Pick<EventRows, 'record'>
  readonly clock: Pick<Clock, 'alarm'>
}): (event: TokenkeepEvent) => void {
  const record = async (event: NewEvent, once: string): Promise<void> => {
    for (let tries = 0; tries < TRIES; tries += 1) {
      try {
        await of.rows.record(event, once)
        return
      } catch {
        await of.clock.alarm(ms(FIRST_PAUSE_MS * 2 ** tries)).rung
      }
    }
  }
  return (told) => {
    const event = recordedFrom(told)
    if (event !== null) void record(event, onceFor(event))
  }
}

function onceFor({ type, client, at, data }: NewEvent): string {
  if (type === 'installation.adopted') return `${type} ${data.epoch}`
  return `${type} ${client ?? ''} ${Math.floor(at / SAME_WITHIN_MS)}`
}

const NOBODY: EventSubject = { uid: null, connection: null, provider: null, client: null, labels: {} }

/** Null: a change of a connection, which its own write tells; or nothing that anybody has to be told. */
function recordedFrom(told: TokenkeepEvent): NewEvent | null {
  const { at } = told
  switch (told.type) {
    case 'client_refused': {
      const data = { word: told.word, retryAt: told.retryAt }
      return { ...ofClient(told), type: 'provider.misconfigured', data }
    }
    case 'circuit_opened':
      return { ...ofClient(told), type: 'provider.unreachable', data: { connections: told.connections } }
    case 'circuit_closed':
      return { ...ofClient(told), type: 'provider.reachable', data: { unreachableMs: told.openMs } }
    case 'rate_limited':
      return { ...ofClient(told), type: 'provider.rate_limited', data: { waitMs: told.waitMs } }
    case 'on_hold':
      return { ...NOBODY, at, type: 'installation.on_hold', data: { because: told.because } }
    case 'adopted':
      return { ...NOBODY, at, type: 'installation.adopted', data: { epoch: told.epoch } }
    case 'connection_imported':
    case 'connection_reconnected':
    case 'connection_deleted':
    case 'refreshed':
    case 'slow':
    case 'unavailable':
    case 'in_doubt':
    case 'suspect':
    case 'blocked':
    case 'signed_out':
    case 'needs_user':
    case 'expiring':
    case 'access_token_rejected':
    case 'answer_kept_for_history':
    case 'answer_kept_as_sibling':
    case 'replayed':
    case 'store_unavailable':
    case 'slots_unreadable':
      return null
    default:
      return assertNever(told)
  }
}

const ofClient = ({
  at,
  provider,
  client,
}: Pick<Extract<NewEvent, { client: unknown }>, 'at' | 'provider' | 'client'>) => ({
  ...NOBODY,
  at,
  provider,
  client,
})
