export { startDevserver, PortInUse, type Addresses, type Devserver } from './devserver.ts'
export { spawnDevserver, type SpawnedDevserver } from './spawn.ts'
export { createControlClient } from './control-client.ts'
export { Browser, type Left, type Page } from './browser.ts'
export type { LogoutPost } from './backchannel-logout.ts'
export type { Control, SeededSession, SessionSeed } from './control.ts'
export type {
  AccessTokenFormat,
  ClientOptions,
  DevserverOptions,
  Narrowing,
  Offer,
  PublicKeys,
  RealmOptions,
  TlsOptions,
  TokenEndpointAuthMethod,
  TrustedIssuer,
} from './options.ts'
export type { Rotation } from './rotation.ts'
export type { AnswerFault, Endpoint, Fault, FaultOrder, StandingFault } from './fault.ts'
export type { CallbackFault } from './callback-fault.ts'
export type { JwtOrder } from './made-jwt.ts'
export type { PushedEvent, SecurityEventOrder } from './security-event.ts'
export type { KilledBecause, SessionCounters } from './sessions.ts'
export type { EndpointTotals, Totals } from './totals.ts'
export type { LoggedRequest } from './request-log.ts'
export type { Seen } from './answer.ts'
export { InvalidInput } from './json-shape.ts'
export { StateUnusable } from './state.ts'
