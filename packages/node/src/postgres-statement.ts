/** Statements as Postgres takes them: values as `$1`, and a name under which a session keeps them prepared. */
import { DEFAULT_SCHEMA } from './postgres-address.ts'

export interface Statement {
  readonly text: string
  /** Undefined: it is not kept. */
  readonly name: string | undefined
}

const names = new Map<string, Statement>()

/** The text with `$1`, `$2`, ... for each `?` in order: no text of ours holds a question mark otherwise. */
export function statement(text: string): Statement {
  const known = names.get(text)
  if (known !== undefined) return known
  const made = { text: numbered(text), name: `tokenkeep_${names.size + 1}` }
  names.set(text, made)
  return made
}

/** The same for a text of which there are many: it is not worth keeping. */
export const passing = (text: string): Statement => ({ text: numbered(text), name: undefined })

function numbered(text: string): string {
  let values = 0
  return text.replaceAll('?', () => `$${(values += 1)}`)
}

/** A table of ours as statements name it: no `search_path` is relied on, which a pooler would share with others. */
export const tableIn =
  (schema: string = DEFAULT_SCHEMA) =>
  (name: string): string =>
    `"${schema}"."${name}"`

/** Store time in milliseconds since 1970, when this is read: not when its transaction began. */
export const CLOCK = '(extract(epoch FROM clock_timestamp()) * 1000)::float8'
