/** What whoever is signed in may do. The server decides; the page only leaves out what would be refused. */
import type { Session } from './contract.ts'

export const may = (session: Session, scopes: readonly string[]): boolean =>
  session.api_key.scopes.some((scope) => scope === 'admin' || scopes.includes(scope))
