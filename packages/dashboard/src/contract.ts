/** What the HTTP API says, by the very types that the server checks its answers with. Nothing else of the server is known here. */
import type { ConnectionWire, PresentationWire } from '../../server/src/api/wire.ts'

export type {
  ApiKeyMadeWire as ApiKeyMade,
  ApiKeysWire as ApiKeys,
  ApiKeyWire as ApiKey,
  ClientKeysWire as ClientKeys,
  ClientsWire as Clients,
  ClientWire as Client,
  ConnectionsWire as ConnectionPage,
  ConnectionWire as Connection,
  ConnectSessionMadeWire as ConnectSessionMade,
  ConnectSessionWire as ConnectSession,
  HistoryWire as History,
  IncarnationWire as Incarnation,
  NewApiKeyWire as NewApiKey,
  PresentationWire as Presentation,
  ProblemWire as ProblemBody,
  ProvidersWire as Providers,
  ProviderWire as Provider,
} from '../../server/src/api/wire.ts'
export type { OverviewWire as Overview } from '../../server/src/api/overview-wire.ts'
export type { RefreshesWire as Refreshes } from '../../server/src/api/minutes-wire.ts'
export type { PageSessionWire as Session } from '../../server/src/api/session-wire.ts'

export type Status = ConnectionWire['status']
export type Reason = NonNullable<ConnectionWire['reason']>
export type Blocked = NonNullable<ConnectionWire['blocked']>
export type Outcome = PresentationWire['outcome']
