/** Every row of the bench, in the order in which they run. A new one is added here and in a file of its own. */
import type { Row } from './row.ts'
import { coldHandOut } from './rows/cold-hand-out.ts'
import { httpBare } from './rows/http-bare.ts'
import { httpDropIn } from './rows/http-drop-in.ts'
import { httpHandOut } from './rows/http-hand-out.ts'
import { importTime } from './rows/import-time.ts'
import { refreshes20Ms } from './rows/refreshes-20ms.ts'
import { refreshesBare } from './rows/refreshes-bare.ts'
import { refreshes } from './rows/refreshes.ts'
import { startUp } from './rows/start-up.ts'
import { tokenCounted } from './rows/token-counted.ts'
import { tokenFresh } from './rows/token-fresh.ts'
import { waiters } from './rows/waiters.ts'

export const ROWS: readonly Row[] = [
  tokenFresh,
  tokenCounted,
  coldHandOut,
  refreshes,
  refreshesBare,
  refreshes20Ms,
  waiters,
  startUp,
  importTime,
  httpBare,
  httpHandOut,
  httpDropIn,
]
