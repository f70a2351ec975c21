import type { EventType } from './events.ts'

/** What comes of a presentation, as it is counted. */
export const REFRESH_OUTCOMES = ['granted', 'unavailable', 'refused', 'in_doubt', 'blocked', 'needs_user'] as const
export type RefreshOutcome = (typeof REFRESH_OUTCOMES)[number]

const OUTCOMES: { readonly [Type in EventType]?: RefreshOutcome } = {
  refreshed: 'granted',
  unavailable: 'unavailable',
  suspect: 'refused',
  in_doubt: 'in_doubt',
  blocked: 'blocked',
  needs_user: 'needs_user',
}

/** The outcome that an event tells of; null: it tells of no presentation. */
export const refreshOutcomeOf = (type: EventType): RefreshOutcome | null => OUTCOMES[type] ?? null
