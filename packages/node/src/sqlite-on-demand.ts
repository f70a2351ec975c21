import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Prepares a statement when it is first asked for: most processes never ask for most of them, and should start fast. */
export function preparedOnDemand(sql: Pick<DatabaseSync, 'prepare'>): (text: string) => StatementSync {
  const known = new Map<string, StatementSync>()
  return (text) => {
    const prepared = known.get(text) ?? sql.prepare(text)
    known.set(text, prepared)
    return prepared
  }
}
