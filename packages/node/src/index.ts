/** `@tokenkeep/node`: Tokenkeep inside your own Node process. */
export { openTokenkeep } from './open.ts'
export type {
  ClientKeyInfo,
  Clients,
  Coordination,
  Jwks,
  KeyRotation,
  OpenOptions,
  Providers,
  Tokenkeep,
} from './tokenkeep.ts'
export type { Actor } from './actor.ts'
export { ACTS } from './audit.ts'
export type { Act, Audit, AuditLine, AuditQuery } from './audit.ts'
export type {
  HandOutCount,
  HandOuts,
  HandOutsPage,
  HandOutsQuery,
  Refreshes,
  RefreshesOfProvider,
  RefreshesQuery,
  RefreshSeries,
} from './minute-reading.ts'
export { createSystemClock } from './clock-system.ts'
export { examineInstallation } from './examine.ts'
export type { Examination, ExaminationOptions } from './examination/examination.ts'
export type { Checked } from './examination/check-sqlite.ts'
export { differenceByDate } from './examination/least-difference.ts'
export type { ProviderSeen } from './examination/ask-provider.ts'
export type {
  ClientAnswer,
  ClientSeen,
  ConnectionsSeen,
  CountedConnections,
  DatabaseSeen,
  EndpointSeen,
  FileSystemSeen,
  FolderSeen,
  KeysSeen,
  Metadata,
  MetadataEndpoint,
  MetadataSeen,
  NotAsked,
  PostgresSeen,
  SqliteSeen,
  StateSeen,
} from './examination/seen.ts'
export { API_KEY_SCOPES } from './api-key-input.ts'
export type { ApiKeyInput, ApiKeyScope } from './api-key-input.ts'
export type { Adopted } from './life.ts'
export type { MasterKeyInfo, MasterKeys } from './master-keys.ts'
export type { Received } from './revocation-intake.ts'
export type { RefusedBecause } from './received-token.ts'
export type { ApiKey, ApiKeys, ByJwt, Callers, LocalRefreshToken, LocalRefreshTokens, Shared } from './callers.ts'
export { SIGNING_ALGORITHMS } from './signing-algorithms.ts'
export type { TrustedIdentity, TrustedIdentityInput } from './trusted-identity.ts'
export type { ConnectSessionInput } from './connect-session-input.ts'
export type { ConnectSessions, Finished } from './connect-sessions.ts'
export type {
  EventFilter,
  EventListOptions,
  EventPage,
  Events,
  FollowOptions,
  FollowedEvent,
  RecordedEvent,
} from './events.ts'
export { EVENT_TYPES } from './event-types.ts'
export type { PageSession, PageSessions } from './page-sessions.ts'
export type { DeviceSignInInput } from './device-sign-in-input.ts'
export type { DeviceFailure, DeviceFinished, DeviceSignIn, DeviceSignIns } from './device-sign-ins.ts'
export type { ClientInput } from './client-input.ts'
export type { ProviderInput } from './provider-input.ts'
export type { ApiAnswer, ApiRequest, Forwarded, HeaderList, NotAnswered, NotAnsweredBecause } from './forward.ts'
export { knownPresets } from './known-presets.ts'
export type { Evidence, Fact, FactName, Preset } from './presets.ts'
export { defaultFolders } from './default-folders.ts'
export type { DefaultFolders } from './default-folders.ts'
export { nameOfPostgres } from './postgres-address.ts'
export { FAILURE_CODES, TokenError } from '@tokenkeep/core'
export type {
  Client,
  ConnectFailure,
  ConnectionInfo,
  ConnectionInput,
  Connections,
  ConnectSession,
  ConnectState,
  FailureCode,
  HandOut,
  HistoryEntry,
  Hold,
  HoldReason,
  Incarnation,
  ListOptions,
  NeedsUserReason,
  Provider,
  ReusePolicy,
  Status,
  TokenEndpointAuthMethod,
  TokenkeepEvent,
  TokenOptions,
} from '@tokenkeep/core'
