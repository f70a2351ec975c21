/** A connection as rows of tables, and back. `docs/storage.md` says what each column means. */
import {
  lapsesAt,
  runsAgain,
  type ConnectionRow,
  type GrantRequest,
  type HistoryEntry,
  type OpenElsewhere,
  type Sealed,
  type SealedGrant,
  type Sibling,
  type State,
  type StoredAccessToken,
  type StoredDpopKey,
  type StoredRefreshToken,
  type Successor,
} from '@tokenkeep/core'
import {
  integer,
  integerOrNull,
  json,
  jsonOrNull,
  sealedBytes,
  text,
  textOrNull,
  type Cell,
  type CellRecord,
} from './cells.ts'
import { expiringAt, reasonIn } from './store-marks.ts'

/** What never changes in a row's life stands before `uid`, which ends it: an update writes the rest. */
export const CONNECTION_COLUMNS_FIXED = ['id', 'provider', 'client', 'grant_type', 'created_at', 'uid'] as const
export const CONNECTION_COLUMNS = [
  'grant_request',
  'subject',
  'labels',
  'grant_no',
  'generation',
  'revision',
  'fence',
  'status',
  'reason',
  'state',
  'attempt_owner',
  'refresh_token',
  'refresh_token_serial',
  'refresh_token_fingerprint',
  'refresh_token_received_at',
  'refresh_token_ends_at',
  'refresh_token_lifetime_ms',
  'presentations',
  'dpop_key',
  'dpop_key_serial',
  'dpop_jkt',
  'parent',
  'scope',
  'session_id',
  'signed_in_at',
  'present_now',
  'signed_out_at',
  'last_grant',
  'last_end',
  'forced',
  'used_at',
  'due_at',
  'urgency',
  'lapses_at',
  'expiring_at',
  'updated_at',
] as const
type Column = (typeof CONNECTION_COLUMNS)[number]

export const fixedValues = (row: ConnectionRow): Cell[] => [
  row.id,
  row.provider,
  row.client,
  // A column that knew two kinds before there were more; `grant_request` says which one it is (docs/storage.md).
  runsAgain(row.grantType) ? 'client_credentials' : 'refresh_token',
  whole(row.createdAt),
  row.uid,
]

/** In the order of {@link CONNECTION_COLUMNS}. */
export function changingValues(row: ConnectionRow): Cell[] {
  const { status, ...details } = row.state
  const { refreshToken, dpopKey } = row
  const cells: Record<Column, Cell> = {
    grant_request: jsonText(row.grantRequest),
    subject: row.subject,
    labels: JSON.stringify(row.labels),
    grant_no: row.grant,
    generation: row.generation,
    revision: row.revision,
    fence: row.fence,
    status,
    reason: reasonIn(row),
    state: JSON.stringify(details),
    attempt_owner: ownerOf(row.state),
    refresh_token: refreshToken?.sealed ?? null,
    refresh_token_serial: refreshToken?.serial ?? null,
    refresh_token_fingerprint: refreshToken?.fingerprint ?? null,
    refresh_token_received_at: wholeOrNull(refreshToken?.receivedAt),
    refresh_token_ends_at: wholeOrNull(refreshToken?.endsAt),
    refresh_token_lifetime_ms: wholeOrNull(refreshToken?.lifetimeMs),
    presentations: refreshToken?.presentations ?? null,
    dpop_key: dpopKey?.sealed ?? null,
    dpop_key_serial: dpopKey?.serial ?? null,
    dpop_jkt: dpopKey?.jkt ?? null,
    parent: row.parent,
    scope: row.scope,
    session_id: row.sessionId,
    signed_in_at: whole(row.signedInAt),
    present_now: jsonText(row.presentNow),
    signed_out_at: jsonText(row.signedOutAt),
    last_grant: jsonText(row.lastGrant),
    last_end: jsonText(row.lastEnd),
    forced: jsonText(row.forced),
    used_at: wholeOrNull(row.usedAt),
    // Rounded up: what is due a fraction early would be decided as not due yet.
    due_at: row.dueAt === null ? null : Math.ceil(row.dueAt),
    urgency: row.urgency,
    lapses_at: wholeOrNull(lapsesAt(row)),
    expiring_at: wholeOrNull(expiringAt(row)),
    updated_at: whole(row.updatedAt),
  }
  return CONNECTION_COLUMNS.map((column) => cells[column])
}

const ownerOf = (state: State): string | null =>
  state.status === 'presenting' || state.status === 'deleting' ? (state.attempt?.owner ?? null) : null
const whole = (value: number): number => Math.round(value)
const wholeOrNull = (value: number | null | undefined): number | null => (value == null ? null : Math.round(value))
const jsonText = (value: object | null): string | null => (value === null ? null : JSON.stringify(value))

/** The records of a join, those of each connection together, in the order in which the connections came. */
export function byConnection(records: readonly CellRecord[]): readonly (readonly CellRecord[])[] {
  const byUid = new Map<string, CellRecord[]>()
  for (const record of records) {
    const uid = text(record, 'uid')
    const known = byUid.get(uid)
    if (known === undefined) byUid.set(uid, [record])
    else known.push(record)
  }
  return [...byUid.values()]
}

export const readOpenElsewhere = (record: CellRecord): OpenElsewhere =>
  ({
    uid: text(record, 'uid'),
    fence: integer(record, 'fence'),
    heartbeat: integer(record, 'heartbeat'),
  }) as Unbranded<OpenElsewhere> as OpenElsewhere

/** The row of one connection from the records of its join: one for each access token. */
export function readConnection(records: readonly CellRecord[]): ConnectionRow {
  const [record] = records
  if (record === undefined) throw new Error('a connection is read from at least one record')
  const grantRequest = jsonOrNull(record, 'grant_request') as GrantRequest | null
  const accessTokens = records.filter((each) => each['at_variant'] !== null).map(readAccessToken)
  return {
    uid: text(record, 'uid'),
    id: text(record, 'id'),
    provider: text(record, 'provider'),
    client: text(record, 'client'),
    grantType: grantRequest?.kind ?? text(record, 'grant_type'),
    grantRequest,
    subject: textOrNull(record, 'subject'),
    labels: json(record, 'labels'),
    grant: integer(record, 'grant_no'),
    generation: integer(record, 'generation'),
    revision: integer(record, 'revision'),
    fence: integer(record, 'fence'),
    state: { status: text(record, 'status'), ...(json(record, 'state') as object) },
    refreshToken: readRefreshToken(record),
    dpopKey: readDpopKey(record),
    parent: textOrNull(record, 'parent'),
    successor: readSuccessor(record),
    siblings: readSiblings(record),
    accessTokens,
    scope: textOrNull(record, 'scope'),
    sessionId: textOrNull(record, 'session_id'),
    signedInAt: integerOrNull(record, 'signed_in_at') ?? integer(record, 'created_at'),
    presentNow: jsonOrNull(record, 'present_now'),
    signedOutAt: jsonOrNull(record, 'signed_out_at'),
    lastGrant: jsonOrNull(record, 'last_grant'),
    lastEnd: jsonOrNull(record, 'last_end'),
    forced: jsonOrNull(record, 'forced'),
    usedAt: integerOrNull(record, 'used_at'),
    dueAt: integerOrNull(record, 'due_at'),
    urgency: integer(record, 'urgency'),
    createdAt: integer(record, 'created_at'),
    updatedAt: integer(record, 'updated_at'),
    // The brands of ids, counters and times cannot be read from a file: the schema stands for them.
  } as Unbranded<ConnectionRow> as ConnectionRow
}

/** The same members, whatever their types: a missing or misspelt one does not compile. */
type Unbranded<Row> = { readonly [Member in keyof Row]: unknown }

function readDpopKey(record: CellRecord): Unbranded<StoredDpopKey> | null {
  if (record['dpop_key'] === null) return null
  return {
    sealed: sealedBytes(record, 'dpop_key'),
    serial: text(record, 'dpop_key_serial'),
    jkt: text(record, 'dpop_jkt'),
  }
}

function readRefreshToken(record: CellRecord): Unbranded<StoredRefreshToken> | null {
  if (record['refresh_token'] === null) return null
  return {
    sealed: sealedBytes(record, 'refresh_token'),
    serial: text(record, 'refresh_token_serial'),
    fingerprint: text(record, 'refresh_token_fingerprint'),
    receivedAt: integer(record, 'refresh_token_received_at'),
    endsAt: integerOrNull(record, 'refresh_token_ends_at'),
    lifetimeMs: integerOrNull(record, 'refresh_token_lifetime_ms'),
    presentations: integer(record, 'presentations'),
  }
}

function readAccessToken(record: CellRecord): Unbranded<StoredAccessToken> {
  return {
    variant: text(record, 'at_variant'),
    sealed: sealedBytes(record, 'at_sealed'),
    serial: text(record, 'at_serial'),
    fingerprint: text(record, 'at_fingerprint'),
    tokenType: text(record, 'at_token_type'),
    scope: textOrNull(record, 'at_scope'),
    lifetimeMs: integer(record, 'at_lifetime_ms'),
    assumed: text(record, 'at_lifetime_from') === 'assumed',
    sentAt: integer(record, 'at_sent_at'),
    expiresAt: integer(record, 'at_expires_at'),
    fence: integer(record, 'at_fence'),
    refusedAt: integerOrNull(record, 'at_refused_at'),
  }
}

function readSuccessor(record: CellRecord): Unbranded<Successor> | null {
  if (record['held_attempt'] === null) return null
  const refreshToken = jsonOrNull(record, 'held_refresh_token_facts')
  const accessToken = jsonOrNull(record, 'held_access_token_facts')
  const grant: Unbranded<SealedGrant> = {
    variant: text(record, 'held_variant'),
    refreshToken: refreshToken && { ...refreshToken, sealed: sealedBytes(record, 'held_refresh_token') },
    accessToken: accessToken && { ...accessToken, sealed: sealedBytes(record, 'held_access_token') },
    scope: textOrNull(record, 'held_scope'),
  }
  return { attempt: text(record, 'held_attempt'), fence: integer(record, 'held_fence'), grant }
}

function readSiblings(record: CellRecord): Unbranded<Sibling>[] {
  return (json(record, 'siblings') as readonly SiblingCells[]).map(([attempt, fence, sibling, facts, sealed]) => ({
    attempt,
    fence,
    answers: sibling.answers,
    refreshToken: {
      ...facts,
      sealed: new Uint8Array(Buffer.from(sealed, 'hex')),
      presentations: sibling.presentations,
    },
    spent: sibling.spent,
    backOff: sibling.backOff,
  }))
}

/** As `SIBLINGS` selects them: attempt, fence, what is a sibling's own, facts of the refresh token, that sealed. */
type SiblingCells = readonly [string, number, SiblingFacts, object, string]
type SiblingFacts = Pick<Sibling, 'answers' | 'spent' | 'backOff'> & Pick<StoredRefreshToken, 'presentations'>

/** uid, attempt, fence, refresh_token, refresh_token_facts, sibling. */
export function siblingValues(uid: string, { attempt, fence, answers, refreshToken, spent, backOff }: Sibling): Cell[] {
  const { presentations, ...token } = refreshToken
  const facts: SiblingFacts = { answers, presentations, spent, backOff }
  return [uid, attempt, fence, ...sealedAndFacts(token), JSON.stringify(facts)]
}

/** uid, variant, sealed, serial, fingerprint, token_type, scope, lifetime_ms, lifetime_from, sent_at, expires_at, fence, refused_at. */
export const accessTokenValues = (uid: string, token: StoredAccessToken): Cell[] => [
  uid,
  token.variant,
  token.sealed,
  token.serial,
  token.fingerprint,
  token.tokenType,
  token.scope,
  whole(token.lifetimeMs),
  token.assumed ? 'assumed' : 'answer',
  whole(token.sentAt),
  Math.floor(token.expiresAt),
  token.fence,
  wholeOrNull(token.refusedAt),
]

/** uid, attempt, fence, variant, scope, refresh_token, refresh_token_facts, access_token, access_token_facts. */
export const successorValues = (uid: string, { attempt, fence, grant }: Successor): Cell[] => [
  uid,
  attempt,
  fence,
  grant.variant,
  grant.scope,
  ...sealedAndFacts(grant.refreshToken),
  ...sealedAndFacts(grant.accessToken),
]

function sealedAndFacts(token: { readonly sealed: Sealed } | null): [Sealed | null, string | null] {
  if (token === null) return [null, null]
  const { sealed, ...facts } = token
  return [sealed, JSON.stringify(facts)]
}

/** uid, fence, attempt, grant_no, generation, presented, owner, host, process, why, acquired_at. */
export const presentationValues = (uid: string, entry: HistoryEntry): Cell[] => [
  uid,
  entry.fence,
  entry.attempt,
  entry.grant,
  entry.generation,
  entry.presented,
  entry.owner,
  entry.host,
  entry.process,
  entry.why,
  whole(entry.acquiredAt),
]

export function readPresentation(record: CellRecord): HistoryEntry {
  const entry: Unbranded<HistoryEntry> = {
    fence: integer(record, 'fence'),
    attempt: text(record, 'attempt'),
    grant: integer(record, 'grant_no'),
    generation: integer(record, 'generation'),
    presented: textOrNull(record, 'presented'),
    owner: text(record, 'owner'),
    host: text(record, 'host'),
    process: textOrNull(record, 'process'),
    why: text(record, 'why'),
    acquiredAt: integer(record, 'acquired_at'),
    endedAt: integerOrNull(record, 'ended_at'),
    outcome: textOrNull(record, 'outcome'),
  }
  return entry as HistoryEntry
}
