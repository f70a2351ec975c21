/** Every row of Tokenkeep at Keycloak, in the order of the table. */
import { dpop } from './rows/binding.ts'
import { deviceFlow } from './rows/devices.ts'
import { introspection, introspectionSilent, offline, revocation, sessionEnd } from './rows/endings.ts'
import { jwtBearer, tokenExchange } from './rows/machines.ts'
import { backchannelLogout, browserSignIn } from './rows/people.ts'
import { proxy } from './rows/proxying.ts'
import { clientAssertions, clientCredentials, refresh, scope } from './rows/refreshing.ts'
import { fleetReuse0, fleetReuse2, killed, lostAnswerReuse0, lostAnswerReuse2 } from './rows/sharing.ts'
import { workloadJwt } from './rows/workloads.ts'
import type { KeycloakRow } from './row.ts'

export const KEYCLOAK_ROWS: readonly KeycloakRow[] = [
  refresh,
  scope,
  clientCredentials,
  clientAssertions,
  tokenExchange,
  jwtBearer,
  browserSignIn,
  deviceFlow,
  dpop,
  proxy,
  workloadJwt,
  backchannelLogout,
  introspection,
  introspectionSilent,
  revocation,
  offline,
  sessionEnd,
  lostAnswerReuse2,
  lostAnswerReuse0,
  fleetReuse0,
  fleetReuse2,
  killed,
]
