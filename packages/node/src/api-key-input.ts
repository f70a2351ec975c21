/** What people write about API keys, read and refused with a sentence that says what is wrong. */
import { TokenError, type ConnectionId, type ProviderId } from '@tokenkeep/core'
import { isRecord, nameOf, onlyMembers, recordOf, textOf, type Given, type Refuse } from './input-members.ts'
import type { ApiKey } from './callers.ts'

/** What a key may do. `admin` may do everything. */
export const API_KEY_SCOPES = [
  'token:read',
  'proxy',
  'connections:read',
  'connections:write',
  'providers:write',
  'keys:write',
  'admin',
] as const
export type ApiKeyScope = (typeof API_KEY_SCOPES)[number]

export interface ApiKeyInput {
  /** What people call it: 1 to 100 characters. */
  readonly name: string
  /** `token:read` alone where absent. */
  readonly scopes?: readonly ApiKeyScope[] | undefined
  /** Limits the key to connections with every one of these labels; for it, no others exist. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** For each provider the id of the connection whose token serves `client_credentials` at the drop-in. */
  readonly sources?: Readonly<Record<string, string>> | undefined
  /** Epoch milliseconds; absent or null: it has no end. */
  readonly expiresAt?: number | null | undefined
}

const NAME_LENGTH_MAX = 100
const LABELS_MAX = 32
const LABEL_LENGTH_MAX = 200
const SOURCES_MAX = 100
/** What is shared by all connections cannot be left to a key that is limited to some. */
const NOT_WITH_LABELS: readonly ApiKeyScope[] = ['providers:write', 'admin']

/**
 * Reads what a new key shall be.
 *
 * @param now epoch milliseconds
 * @throws TokenError `invalid_input`
 */
export function readApiKeyInput(
  input: ApiKeyInput,
  { now, connectionId }: { readonly now: number; readonly connectionId: (given: unknown) => ConnectionId },
): Pick<ApiKey, 'name' | 'scopes' | 'labels' | 'sources' | 'expiresAt'> {
  const given = recordOf('an API key', input)
  const refuse: Refuse = (sentence) => {
    throw new TokenError('invalid_input', `an API key: ${sentence}`)
  }
  onlyMembers(given, MEMBERS, refuse)
  const scopes = readScopes(given['scopes'], refuse)
  const labels = readSelector(given['labels'], refuse)
  const shared = NOT_WITH_LABELS.find((scope) => scopes.includes(scope))
  if (shared !== undefined && Object.keys(labels).length > 0) {
    refuse(`scope ${shared} reaches all connections, so such a key cannot be limited by labels`)
  }
  return {
    name: readKeyName(given['name'], refuse),
    scopes,
    labels,
    sources: readSources(given['sources'], connectionId, refuse),
    expiresAt: readEnd(given['expiresAt'], now, refuse),
  }
}

/** The provider that a source is for. @throws TokenError `invalid_input` */
export const readSource = (provider: unknown): ProviderId => nameOf<ProviderId>('provider', provider)

const MEMBERS = Object.keys({
  name: true,
  scopes: true,
  labels: true,
  sources: true,
  expiresAt: true,
} satisfies Record<keyof ApiKeyInput, true>)

function readKeyName(value: unknown, refuse: Refuse): string {
  const name = textOf('name', value, NAME_LENGTH_MAX, refuse)
  // It is kept and shown as it is.
  return /tk[ckr]_[A-Za-z0-9_-]{43}/.test(name) ? refuse('name holds an API key or a local refresh token') : name
}

function readScopes(value: unknown, refuse: Refuse): readonly ApiKeyScope[] {
  if (value === undefined) return ['token:read']
  if (!Array.isArray(value) || value.length === 0) return refuse('scopes is a list of at least one scope')
  const known = API_KEY_SCOPES.filter((scope) => value.includes(scope))
  // Spread, so that a gap in the list is refused as well.
  if ([...(value as unknown[])].some((each) => !API_KEY_SCOPES.some((scope) => scope === each))) {
    return refuse(`each of scopes must be one of ${API_KEY_SCOPES.join(', ')}`)
  }
  return known
}

function readSelector(value: unknown, refuse: Refuse): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  if (!isPlain(value)) return refuse(`labels are an object of names and values, such as { team: 'sales' }`)
  const entries = Object.entries(value)
  if (entries.length > LABELS_MAX) return refuse(`it can be limited by at most ${LABELS_MAX} labels`)
  return Object.fromEntries(
    entries.map(([name, text]) => {
      if (!/^[A-Za-z0-9._/-]{1,64}$/.test(name)) {
        refuse('a label name has 1 to 64 of the characters A-Z a-z 0-9 . _ / -')
      }
      if (typeof text !== 'string' || text.length > LABEL_LENGTH_MAX || /\p{C}/u.test(text)) {
        return refuse(`a label value is a text of at most ${LABEL_LENGTH_MAX} characters without control characters`)
      }
      return [name, text]
    }),
  )
}

/** A Map shows no members, and would be read as no limit at all. */
function isPlain(value: unknown): value is Given {
  if (!isRecord(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function readSources(
  value: unknown,
  connectionId: (given: unknown) => ConnectionId,
  refuse: Refuse,
): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  if (!isPlain(value)) return refuse(`sources are an object of providers and connections, such as { external: 'erp' }`)
  const entries = Object.entries(value)
  if (entries.length > SOURCES_MAX) return refuse(`it can have at most ${SOURCES_MAX} sources`)
  return Object.fromEntries(entries.map(([provider, connection]) => [readSource(provider), connectionId(connection)]))
}

function readEnd(value: unknown, nowMs: number, refuse: Refuse): number | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 1e11 || value > 1e14) {
    return refuse('expiresAt is a moment in epoch milliseconds (Date.now()), not seconds and not a duration')
  }
  if (value <= nowMs) return refuse('expiresAt has passed already')
  return Math.round(value)
}
