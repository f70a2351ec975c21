/** `@tokenkeep/core`: decides when a token is handed out, refreshed, waited for or given up. No IO, no dependencies. */

// Ids, time, secrets
export { next, parseConnectionId, parseName } from './ids.ts'
export type {
  AttemptId,
  ClientId,
  ConnectionId,
  Fence,
  Fingerprint,
  Generation,
  GrantNo,
  OwnerId,
  ProviderId,
  Revision,
  Serial,
  Uid,
} from './ids.ts'
export { ABOUT, agedBy, areTwoBoots, fromSeconds, later, ms, perhapsElapsed, since, surelyElapsed } from './time.ts'
export type { DurationMs, MonoMs, Moment, Now, UnixMs } from './time.ts'
export { Secret } from './secret.ts'
export type { AccessToken, AnswerBody, ClientSecret, DpopKey, RefreshToken, Sealed } from './secret.ts'
export { FULL, parseVariant, variantOf } from './variant.ts'
export type { Variant, VariantKey } from './variant.ts'

// Providers and clients
export {
  CLIENT_DEFAULTS,
  CONCURRENCY_UNSAID,
  GRANT_TYPES,
  METHODS_OF_SECRETS,
  NO_KEYS,
  NO_WORDS,
  STANDARD_ANSWER,
  STANDARD_AUTHORIZATION,
  STANDARD_REQUEST,
  TOKEN_ENDPOINT_AUTH_METHODS,
  runsAgain,
} from './provider.ts'
export type {
  AnswerShape,
  AuthorizationShape,
  BasicCredentials,
  Client,
  ClientCertificate,
  GrantRunAgain,
  GrantType,
  MethodOfSecrets,
  Narrowing,
  OpenedClient,
  OpenedKeys,
  Provider,
  ProviderWords,
  RequestShape,
  ReusePolicy,
  Sign,
  TokenEndpointAuthMethod,
  Winner,
} from './provider.ts'
export {
  inOrderOfSigning,
  KEY_ALGS,
  KEYS_MOST,
  PUBLISHED_AFTER_MS,
  PUBLISHED_BEFORE_MS,
  publishedKeys,
  rotated,
  SECRET_ALGS,
  signingKey,
  stateOfKey,
} from './client-key.ts'
export type {
  ClientKey,
  ClientKeyState,
  ClientKid,
  ClientSigningAlg,
  KeyAlg,
  KeyMoments,
  Rotation,
  SecretAlg,
  SigningKey,
} from './client-key.ts'

// Connections
export type * from './connection.ts'

// Signing in
export { answered, begun, connectStateNow, isOver } from './connect-session.ts'
export { afterPoll, beganPolling, judgeDevicePoll, untilNextPoll } from './device-poll.ts'
export type { DeviceHeard, DevicePoll } from './device-poll.ts'
export type { ConnectFailure, ConnectSession, ConnectState, FailedAttempt } from './connect-session.ts'

// Rules
export { LOCK_MISSING_MS, NUMBERS, policyOf, TICK_MS } from './policy.ts'
export type { Numbers, Policy, Terms } from './policy.ts'
export { HELD_BACK, URGENCIES } from './urgency.ts'
export type { Urgency } from './urgency.ts'
export { claimMs, dueAt, schedule } from './schedule.ts'
export type { Facts, Schedule } from './schedule.ts'
export { acquire, lend, maySend, openAttempt, renew } from './lease.ts'
export type {
  AcquireDecision,
  AcquireRequest,
  Busy,
  Gone,
  Lease,
  Moved,
  NotYet,
  OnHold,
  Presented,
  Ticket,
} from './lease.ts'
export { takeOver } from './takeover.ts'
export { accept, commit, keptFrom } from './commit.ts'
export type { Concluded, Writing } from './commit.ts'
export {
  lapsed,
  allowedNow,
  born,
  deleting,
  erased,
  isSignedInAfter,
  labelled,
  reconnected,
  sameLabels,
  refused,
  signedOut,
} from './acts.ts'
export { presentedRefreshToken } from './sibling.ts'
export { viewOf } from './view.ts'
export { adopted, begunAnew, goesOn, reasonToHold } from './incarnation.ts'
export type { Hold, HoldReason, Incarnation, Marker, Surroundings } from './incarnation.ts'
export { formFor, judge, nonceAsked } from './grant.ts'
export type * from './grant.ts'
export { wordsIn } from './token-response.ts'
export type { LifeSaid } from './token-response.ts'

// The manager and what it awaits
export { createManager } from './manager.ts'
export type { CountHandOut } from './cache.ts'
export type { Manager, ManagerOptions } from './manager.ts'
export type { TokenOptions } from './token-request.ts'
export { createConnections, infoOf } from './connections.ts'
export type { ConnectionInfo, Connections, ConnectionsPage, Custody, Rejection } from './connections.ts'
export {
  BLOCKED_REASONS,
  EXPIRING_NAMED,
  EXPIRING_WITHIN_MS,
  LIVING,
  NEEDS_USER_REASONS,
  TROUBLES,
  overviewOf,
} from './overview.ts'
export type { Count, Counted, Expiry, OfProvider, Overview, Trouble, TroubleFound } from './overview.ts'
export { createIntrospections } from './introspections.ts'
export type { Introspections } from './introspections.ts'
export { LABELS_MAX, readLabels } from './connection-input.ts'
export type { AssertionInput, ExchangeInput, GrantInput } from './grant-request-input.ts'
export type * from './grant-request.ts'
export type {
  ConnectionInput,
  LabelOptions,
  ListOptions,
  LogoutInput,
  Reason,
  SignInInput,
} from './connection-input.ts'
export { startScheduler } from './scheduler.ts'
export type { Scheduler } from './scheduler.ts'
export type { Gate, Standing } from './gate.ts'
export { closedError } from './handout.ts'
export type { HandOut } from './handout.ts'

// Ports, events, failures
export type * from './ports.ts'
export type { EventType, TokenkeepEvent } from './events.ts'
export { REFRESH_OUTCOMES, refreshOutcomeOf } from './refresh-outcome.ts'
export type { RefreshOutcome } from './refresh-outcome.ts'
// What is recorded of each change, and read again
export { lapsesAt } from './lapse.ts'
export { eventsOf, eventsOfBirth, ROUTINE_EVENT } from './recorded-events.ts'
export type { EventSubject, NewEvent, RecordedEventData, RecordedEventType } from './recorded-events.ts'
export { FAILURE_CODES, TokenError, assertNever } from './failures.ts'
export type { FailureCode, FailureDetails } from './failures.ts'
