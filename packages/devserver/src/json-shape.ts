/** Something in an option, an order or a request has the wrong shape; the message names the field and what it may be. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput'
}

export type JsonObject = Readonly<Record<string, unknown>>

/** Reads the members of one JSON object by type; every refusal names the member with its path. */
export interface Members {
  readonly object: JsonObject
  readonly path: string
}

export function members(value: unknown, path: string, known?: readonly string[]): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInput(`${path} must be an object, not ${describe(value)}`)
  }
  const object = value as JsonObject
  // A misspelt setting that is ignored in silence makes a test prove something else than it says.
  const stranger = known && Object.keys(object).find((key) => !known.includes(key))
  if (stranger !== undefined) throw new InvalidInput(`${path}.${stranger} is not known; known: ${known?.join(', ')}`)
  return { object, path }
}

export function text({ object, path }: Members, key: string): string {
  const value = object[key]
  if (typeof value !== 'string' || value === '') throw refusal(path, key, 'a text that is not empty', value)
  return value
}

export function whole({ object, path }: Members, key: string, least: number): number {
  const value = object[key]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw refusal(path, key, `a whole number, at least ${least}`, value)
  }
  return value
}

export function positive({ object, path }: Members, key: string): number {
  const value = object[key]
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw refusal(path, key, 'a number above 0', value)
  }
  return value
}

export function flag({ object, path }: Members, key: string): boolean {
  const value = object[key]
  if (typeof value !== 'boolean') throw refusal(path, key, 'true or false', value)
  return value
}

export function oneOf<const T extends string>({ object, path }: Members, key: string, choices: readonly T[]): T {
  const value = object[key]
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw refusal(path, key, `one of ${choices.join(', ')}`, value)
  return found
}

export function list({ object, path }: Members, key: string): readonly unknown[] {
  const value = object[key]
  if (!Array.isArray(value)) throw refusal(path, key, 'a list', value)
  return value
}

/** Reads a member when it is there: `{}` or `{ [key]: value }`, to be spread into a result with optional members. */
export function optional<K extends string, T>(
  from: Members,
  key: K,
  read: (from: Members, key: string) => T,
): { readonly [Key in K]?: T } {
  if (from.object[key] === undefined) return {}
  return { [key]: read(from, key) } as { [Key in K]: T }
}

function refusal(path: string, key: string, wanted: string, value: unknown): InvalidInput {
  return new InvalidInput(`${path}.${key} must be ${wanted}, not ${describe(value)}`)
}

function describe(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text' // The text itself may be a secret.
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : typeof value
}
