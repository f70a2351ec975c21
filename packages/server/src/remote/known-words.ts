/** Words that an answer may hold. The compiler compares them with the library's. */
import type {
  BlockedReason,
  ClientKeyState,
  ConnectFailure,
  GrantType,
  HoldReason,
  Narrowing,
  NeedsUserReason,
  ReusePolicy,
  Status,
  Why,
  Winner,
} from '@tokenkeep/core'
import type { ApiKeyScope, Tokenkeep } from '@tokenkeep/node'
import type { ConnectStatus } from './keeper.ts'

export const STATUSES = Object.keys({
  ready: true,
  presenting: true,
  in_doubt: true,
  suspect: true,
  blocked: true,
  needs_user: true,
  deleting: true,
  erased: true,
} satisfies Record<Status, true>) as readonly Status[]

export const REASONS = Object.keys({
  revoked: true,
  expired: true,
  answer_lost: true,
  reused: true,
  signed_out: true,
  interaction_required: true,
  no_refresh_token: true,
} satisfies Record<NeedsUserReason, true>) as readonly NeedsUserReason[]

export const CONNECT_FAILURES = Object.keys({
  denied: true,
  interaction_required: true,
  not_authentic: true,
  code_refused: true,
  misconfigured: true,
  unavailable: true,
  other_account: true,
  held: true,
  not_connectable: true,
} satisfies Record<ConnectFailure, true>) as readonly ConnectFailure[]

export const CONNECT_STATUSES = Object.keys({
  open: true,
  signing_in: true,
  exchanging: true,
  connected: true,
  expired: true,
} satisfies Record<ConnectStatus, true>) as readonly ConnectStatus[]

export const HOLD_REASONS = Object.keys({
  another_place: true,
  older_epoch: true,
  another_branch: true,
  backup: true,
} satisfies Record<HoldReason, true>) as readonly HoldReason[]

export const BLOCKED = Object.keys({ client: true, endpoint: true, request: true, grant: true } satisfies Record<
  BlockedReason,
  true
>) as readonly BlockedReason[]

export const WHYS = Object.keys({
  fresh: true,
  in_doubt: true,
  confirm: true,
  sibling: true,
  last: true,
} satisfies Record<Why, true>) as readonly Why[]

export const GRANT_TYPES = Object.keys({
  refresh_token: true,
  client_credentials: true,
  jwt_bearer: true,
  token_exchange: true,
} satisfies Record<GrantType, true>) as readonly GrantType[]

export const REUSE_KINDS = Object.keys({
  reusable: true,
  grace: true,
  counted: true,
  strict: true,
  unknown: true,
} satisfies Record<ReusePolicy['kind'], true>) as readonly ReusePolicy['kind'][]

export const WINNERS = Object.keys({ same: true, any: true, newest: true } satisfies Record<
  Winner,
  true
>) as readonly Winner[]

export const NARROWINGS = Object.keys({ token_only: true, sticks: true, unknown: true } satisfies Record<
  Narrowing,
  true
>) as readonly Narrowing[]

export const KEY_STATES = Object.keys({
  next: true,
  signing: true,
  previous: true,
  retired: true,
} satisfies Record<ClientKeyState['kind'], true>) as readonly ClientKeyState['kind'][]

type Introspected = Awaited<ReturnType<Tokenkeep['introspect']>>
export const INTROSPECTED = Object.keys({
  active: true,
  inactive: true,
  unsupported: true,
  unavailable: true,
} satisfies Record<Introspected, true>) as readonly Introspected[]

export const API_KEY_SCOPES = Object.keys({
  'token:read': true,
  proxy: true,
  'connections:read': true,
  'connections:write': true,
  'providers:write': true,
  'keys:write': true,
  admin: true,
} satisfies Record<ApiKeyScope, true>) as readonly ApiKeyScope[]
