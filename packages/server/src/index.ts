/** `tokenkeep`: keeps OAuth 2.0 tokens alive. The library; the command is `main.ts`. */

export { openTokenkeep } from '@tokenkeep/node'
export type { ClientInput, Clients, OpenOptions, ProviderInput, Providers, Tokenkeep } from '@tokenkeep/node'

export { FAILURE_CODES, TokenError } from '@tokenkeep/core'
export type {
  Client,
  ConnectionInfo,
  ConnectionInput,
  Connections,
  EventType,
  FailureCode,
  HandOut,
  HistoryEntry,
  ListOptions,
  NeedsUserReason,
  Provider,
  ReusePolicy,
  Status,
  TokenEndpointAuthMethod,
  TokenkeepEvent,
  TokenOptions,
} from '@tokenkeep/core'
