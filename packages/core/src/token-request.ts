/** What a caller asks for, and what it means. */
import { TokenError } from './failures.ts'
import { parseConnectionId, type ConnectionId } from './ids.ts'
import type { Numbers } from './policy.ts'
import { ms, type DurationMs } from './time.ts'
import { parseVariant, type Variant } from './variant.ts'

/** What a caller may say about the token it wants. */
export interface TokenOptions {
  /** The life that the token should have left, milliseconds; at most half of its lifetime is granted. */
  readonly minTtlMs?: number | undefined
  /** A narrower scope than the one granted: scope tokens separated by spaces (RFC 6749 section 6). */
  readonly scope?: string | undefined
  /** Absolute URIs that the token is for (RFC 8707). */
  readonly resource?: string | readonly string[] | undefined
  /** How long to wait for a refresh, milliseconds; 20 s where absent. Giving up does not end the refresh. */
  readonly waitMs?: number | undefined
}

/** Names what is asked for; null: it is asked for in a way that has to be looked at first. */
export function keyOf(given: string, { scope, resource, minTtlMs, waitMs }: TokenOptions): string | null {
  if (typeof given !== 'string' || typeof (scope ?? '') !== 'string' || resource !== undefined) return null
  if (given.includes('\n') || scope?.includes('\n') === true) return null
  const plain = [minTtlMs, waitMs].every((each) => each === undefined || typeof each === 'number')
  return plain ? `${given}\n${scope === undefined ? '' : `=${scope}`}\n${minTtlMs}\n${waitMs}` : null
}

export function readRequest(
  given: string,
  asked: TokenOptions,
  numbers: Numbers,
): { id: ConnectionId; variant: Variant; minTtlMs: DurationMs | null; waitMs: DurationMs } {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  const resource = typeof asked.resource === 'string' ? [asked.resource] : asked.resource
  if (typeof (asked.scope ?? '') !== 'string' || !Array.isArray(resource ?? []))
    throw new TokenError('invalid_input', 'scope is a string, resource one string or a list of strings')
  const read = parseVariant(asked.scope, resource)
  if ('wrong' in read) throw new TokenError('invalid_input', read.wrong, { subject: parsed.id })
  return {
    id: parsed.id,
    variant: read.variant,
    minTtlMs: asked.minTtlMs === undefined ? null : duration('minTtlMs', asked.minTtlMs),
    waitMs: asked.waitMs === undefined ? numbers.callerDeadlineMs : duration('waitMs', asked.waitMs),
  }
}

function duration(name: string, value: unknown): DurationMs {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new TokenError('invalid_input', `${name} is a number of milliseconds, 0 or more`)
  }
  return ms(value)
}
