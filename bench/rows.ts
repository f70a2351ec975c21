/** Every row of the bench, in the order in which they run. A new one is added here and in a file of its own. */
import type { Row } from './row.ts'
import { tokenFresh } from './rows/token-fresh.ts'

export const ROWS: readonly Row[] = [tokenFresh]
