/**
 * What is known about providers, as data: each fact with how it is known and where from.
 *
 * A preset only fills in what a user leaves out. Nothing in the code branches on a preset's name; a provider that needs
 * more than a row here needs a better row. What is not known is said to be unknown and treated with the most care.
 */
import {
  fromSeconds,
  NO_WORDS,
  type DurationMs,
  type Narrowing,
  type ProviderWords,
  type ReusePolicy,
} from '@tokenkeep/core'

/**
 * How a fact is known, best first: the provider's own documentation; its source code; the provider's words as others
 * quote them; other people's documentation or code; a report in an issue or forum; remembered and not read again;
 * concluded from another fact and never tried; not known.
 */
export type Evidence =
  | 'official'
  | 'source_code'
  | 'official_text_via_quotation'
  | 'secondary'
  | 'third_party_code'
  | 'issue_or_forum'
  | 'recalled_not_reread'
  | 'concluded_not_tried'
  | 'unknown'

export interface Fact<Value> {
  readonly value: Value
  readonly evidence: Evidence
  /** Addresses, or how it was found. Empty only where nothing is known. */
  readonly source: readonly string[]
  /** What the value leaves out. */
  readonly note?: string
}

/** Facts about one provider. In endpoints `{issuer}` stands for the issuer without its trailing slash. */
export interface Preset {
  readonly name: string
  /** Null: every installation has its own, the user gives it. */
  readonly issuer: Fact<string | null>
  readonly tokenEndpoint: Fact<string | null>
  readonly revocationEndpoint: Fact<string | null>
  readonly introspectionEndpoint: Fact<string | null>
  readonly reuse: Fact<ReusePolicy>
  readonly narrowing: Fact<Narrowing>
  readonly refreshKillsAccessToken: Fact<boolean>
  readonly accessTokenLifetimeMs: Fact<DurationMs | null>
  readonly refreshTokenIdleMs: Fact<DurationMs | null>
  readonly words: Fact<ProviderWords>
}

const unknown = <Value>(value: Value, note?: string): Fact<Value> => ({
  value,
  evidence: 'unknown',
  source: [],
  ...(note === undefined ? {} : { note }),
})

const STRING_SEARCH = 'string search over public source files (index names no repository)'
const KEYCLOAK_LAYERS = 'https://www.keycloak.org/securing-apps/oidc-layers'
const KEYCLOAK_TIMEOUTS =
  'https://github.com/keycloak/keycloak/blob/68a58dbffbf0a0847b1044c0fc4bf3da3e0807e5/docs/documentation/server_admin/topics/sessions/timeouts.adoc'
const KEYCLOAK_CONSTANTS =
  'https://github.com/keycloak/keycloak/blob/0371c53d07802fb562136f7ab456f71a01959b35/server-spi/src/main/java/org/keycloak/models/Constants.java'
const KEYCLOAK_TOKEN_MANAGER =
  'https://github.com/keycloak/keycloak/blob/main/services/src/main/java/org/keycloak/protocol/oidc/TokenManager.java'
const KEYCLOAK_ERRORS = 'https://keycloak.discourse.group/t/keycloak-server-issuing-already-expired-tokens/15900'

const keycloak: Preset = {
  name: 'Keycloak',
  issuer: { value: null, evidence: 'recalled_not_reread', source: [KEYCLOAK_LAYERS], note: '{base}/realms/{realm}' },
  tokenEndpoint: {
    value: '{issuer}/protocol/openid-connect/token',
    evidence: 'recalled_not_reread',
    source: [KEYCLOAK_LAYERS],
  },
  revocationEndpoint: {
    value: '{issuer}/protocol/openid-connect/revoke',
    evidence: 'recalled_not_reread',
    source: [KEYCLOAK_LAYERS],
  },
  introspectionEndpoint: {
    value: '{issuer}/protocol/openid-connect/token/introspect',
    evidence: 'recalled_not_reread',
    source: [KEYCLOAK_LAYERS],
  },
  reuse: {
    value: { kind: 'unknown' },
    evidence: 'official',
    source: [KEYCLOAK_TIMEOUTS, KEYCLOAK_TOKEN_MANAGER],
    note:
      'A setting of each realm. Revoke Refresh Token off: the old token stays usable ("reusable"). On: ' +
      'Refresh Token Max Reuse 0 is "strict", n above 0 is "counted"; a replay then ends the session. There is no grace in time.',
  },
  narrowing: unknown<Narrowing>('unknown'),
  refreshKillsAccessToken: unknown(false, 'Access tokens are JWTs, which APIs mostly check without asking Keycloak.'),
  accessTokenLifetimeMs: {
    value: fromSeconds(300),
    evidence: 'third_party_code',
    source: [STRING_SEARCH],
    note: 'The default of a realm; realm and client settings override it, and expires_in says it in every answer.',
  },
  refreshTokenIdleMs: {
    value: null,
    evidence: 'official',
    source: [KEYCLOAK_TIMEOUTS, KEYCLOAK_CONSTANTS],
    note:
      'Not assumed, because refresh_expires_in says it in every answer. By default 30 minutes (SSO Session Idle, ' +
      'within SSO Session Max of 10 hours), but 30 days for offline tokens, whose answers say 0: no fixed end.',
  },
  words: {
    value: NO_WORDS,
    evidence: 'issue_or_forum',
    source: [KEYCLOAK_ERRORS, KEYCLOAK_TOKEN_MANAGER],
    note: 'Dead refresh tokens are always invalid_grant; only the description differs, which is for people.',
  },
}

const LIKE_KEYCLOAK = 'Concluded from the path of the token endpoint, which is laid out as Keycloak does it.'

const jobrad: Preset = {
  name: 'JobRad (Keycloak realm external)',
  issuer: {
    value: 'https://id.jobrad.org/realms/external',
    evidence: 'concluded_not_tried',
    source: [KEYCLOAK_LAYERS],
    note: LIKE_KEYCLOAK,
  },
  tokenEndpoint: {
    value: '{issuer}/protocol/openid-connect/token',
    evidence: 'third_party_code',
    source: [STRING_SEARCH],
    note: 'Seen as https://id.jobrad.org/realms/external/protocol/openid-connect/token, with client credentials in the form.',
  },
  revocationEndpoint: {
    value: '{issuer}/protocol/openid-connect/revoke',
    evidence: 'concluded_not_tried',
    source: [KEYCLOAK_LAYERS],
    note: LIKE_KEYCLOAK,
  },
  introspectionEndpoint: {
    value: '{issuer}/protocol/openid-connect/token/introspect',
    evidence: 'concluded_not_tried',
    source: [KEYCLOAK_LAYERS],
    note: LIKE_KEYCLOAK,
  },
  reuse: unknown<ReusePolicy>(
    { kind: 'unknown' },
    'Whether its refresh tokens rotate, and whether it issues any, is not known.',
  ),
  narrowing: unknown<Narrowing>('unknown'),
  refreshKillsAccessToken: unknown(false),
  accessTokenLifetimeMs: unknown(null, 'expires_in says it.'),
  refreshTokenIdleMs: unknown(null, 'refresh_expires_in says it, if it is Keycloak.'),
  words: unknown(NO_WORDS),
}

/** The presets by the name that users give. */
export const PRESETS: Readonly<Record<string, Preset>> = { keycloak, jobrad }
