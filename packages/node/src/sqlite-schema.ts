/**
 * The tables, as numbered migrations. `docs/storage.md` describes every column; a migration that was released is never
 * edited, a change is a new one at the end.
 */

/** "TKKP": the first four bytes of a header field by which a file says that it is ours. */
export const APPLICATION_ID = 0x544b4b50

const FIRST = `
CREATE TABLE installation (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  installation TEXT NOT NULL,
  key_check TEXT NOT NULL,
  sealed_with TEXT NOT NULL,
  place TEXT,
  epoch INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE provider (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  settings TEXT NOT NULL CHECK (json_valid(settings))
) STRICT, WITHOUT ROWID;

CREATE TABLE client (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  provider TEXT NOT NULL REFERENCES provider (id),
  client_id TEXT NOT NULL,
  token_endpoint_auth_method TEXT NOT NULL,
  secret BLOB,
  secret_serial TEXT,
  secret_fingerprint TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE connection (
  uid TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  provider TEXT NOT NULL REFERENCES provider (id),
  client TEXT NOT NULL REFERENCES client (id),
  grant_type TEXT NOT NULL CHECK (grant_type IN ('refresh_token', 'client_credentials')),
  subject TEXT,
  labels TEXT NOT NULL CHECK (json_valid(labels)),
  grant_no INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN (
    'ready', 'presenting', 'in_doubt', 'suspect', 'blocked', 'needs_user', 'deleting', 'erased')),
  state TEXT NOT NULL CHECK (json_valid(state)),
  attempt_owner TEXT,
  refresh_token BLOB,
  refresh_token_serial TEXT,
  refresh_token_fingerprint TEXT,
  refresh_token_received_at INTEGER,
  refresh_token_ends_at INTEGER,
  refresh_token_lifetime_ms INTEGER,
  presentations INTEGER,
  parent TEXT,
  scope TEXT,
  signed_out_at TEXT CHECK (json_valid(signed_out_at)),
  last_grant TEXT CHECK (json_valid(last_grant)),
  last_end TEXT CHECK (json_valid(last_end)),
  forced TEXT CHECK (json_valid(forced)),
  used_at INTEGER,
  due_at INTEGER,
  urgency INTEGER NOT NULL,
  lapses_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  -- Something happens by itself in every state that waits for something.
  CHECK (due_at IS NOT NULL OR status IN ('ready', 'needs_user', 'erased')),
  CHECK (status <> 'erased' OR refresh_token IS NULL)
) STRICT;

CREATE UNIQUE INDEX connection_living ON connection (id) WHERE status <> 'erased';
CREATE INDEX connection_erased ON connection (id, updated_at) WHERE status = 'erased';
CREATE INDEX connection_forgotten ON connection (updated_at) WHERE status = 'erased';
-- Not unique: a granted answer is never dropped, also where a provider gives one token to two connections.
CREATE INDEX connection_holding ON connection (client, refresh_token_fingerprint)
  WHERE refresh_token_fingerprint IS NOT NULL;
CREATE INDEX connection_due ON connection (urgency, due_at, provider, uid) WHERE due_at IS NOT NULL;
CREATE INDEX connection_attempt ON connection (attempt_owner) WHERE attempt_owner IS NOT NULL;
CREATE INDEX connection_lapsing ON connection (id, lapses_at) WHERE lapses_at IS NOT NULL;
-- Ready and presenting change with every refresh, and a list of those is a list of nearly all.
CREATE INDEX connection_troubled ON connection (status, id) WHERE status NOT IN ('ready', 'presenting', 'erased');
CREATE INDEX connection_of_provider ON connection (provider, id) WHERE status <> 'erased';

CREATE TABLE access_token (
  uid TEXT NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  variant TEXT NOT NULL,
  sealed BLOB NOT NULL,
  serial TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  token_type TEXT NOT NULL,
  scope TEXT,
  lifetime_ms INTEGER NOT NULL,
  lifetime_from TEXT NOT NULL CHECK (lifetime_from IN ('answer', 'assumed')),
  sent_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  refused_at INTEGER,
  PRIMARY KEY (uid, variant)
) STRICT, WITHOUT ROWID;

CREATE TABLE held_answer (
  uid TEXT NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('successor', 'sibling')),
  attempt TEXT NOT NULL,
  fence INTEGER NOT NULL,
  variant TEXT NOT NULL,
  scope TEXT,
  refresh_token BLOB,
  refresh_token_facts TEXT CHECK (json_valid(refresh_token_facts)),
  access_token BLOB,
  access_token_facts TEXT CHECK (json_valid(access_token_facts)),
  PRIMARY KEY (uid, kind, attempt)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX held_answer_successor ON held_answer (uid) WHERE kind = 'successor';

CREATE TABLE label (
  uid TEXT NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (uid, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_value ON label (name, value, id);

CREATE TABLE presentation (
  uid TEXT NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  fence INTEGER NOT NULL,
  attempt TEXT NOT NULL,
  grant_no INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  presented TEXT,
  owner TEXT NOT NULL,
  host TEXT NOT NULL,
  why TEXT NOT NULL,
  acquired_at INTEGER NOT NULL,
  ended_at INTEGER,
  outcome TEXT,
  PRIMARY KEY (uid, fence)
) STRICT, WITHOUT ROWID;
`

const CALLERS = `
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  scopes TEXT NOT NULL CHECK (json_valid(scopes)),
  labels TEXT NOT NULL CHECK (json_valid(labels)),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_key_digest ON api_key (digest);

CREATE TABLE api_key_source (
  api_key TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  provider TEXT NOT NULL REFERENCES provider (id),
  connection TEXT NOT NULL,
  PRIMARY KEY (api_key, provider)
) STRICT, WITHOUT ROWID;

CREATE TABLE local_refresh_token (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  api_key TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  uid TEXT NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX local_refresh_token_digest ON local_refresh_token (digest);
CREATE INDEX local_refresh_token_of_connection ON local_refresh_token (uid, id);
CREATE INDEX local_refresh_token_of_api_key ON local_refresh_token (api_key);
`

/** Answers that lost to a later one: what one answers, how often it was presented, and whether it can still be tried. */
const SIBLINGS = `
ALTER TABLE held_answer ADD COLUMN sibling TEXT CHECK (json_valid(sibling));
UPDATE connection SET state = json_insert(state, '$.believed', json('null')) WHERE status = 'suspect';
UPDATE connection SET state = json_insert(state, '$.from.believed', json('null'))
  WHERE status IN ('presenting', 'blocked') AND state ->> '$.from.status' = 'suspect';
UPDATE connection SET state = json_insert(state, '$.attempt.sibling', json('null')) WHERE attempt_owner IS NOT NULL;
`

/** The place of before named the host and the disk, which change without a copy being made; it is noted anew. */
const INCARNATION = `
ALTER TABLE installation ADD COLUMN branch TEXT;
ALTER TABLE installation ADD COLUMN hold TEXT CHECK (json_valid(hold));
UPDATE installation SET place = NULL;
`

/** A sign-in's session and moment, by which a logout event is told to mean it; what an operator allowed; the program that presented. */
const SESSIONS = `
ALTER TABLE connection ADD COLUMN session_id TEXT;
ALTER TABLE connection ADD COLUMN signed_in_at INTEGER;
ALTER TABLE connection ADD COLUMN present_now TEXT CHECK (json_valid(present_now));
CREATE INDEX connection_session ON connection (session_id, id) WHERE session_id IS NOT NULL;
ALTER TABLE presentation ADD COLUMN process TEXT;
`

/** Which boot of which machine has written last, and when. */
const BOOTS = `
ALTER TABLE installation ADD COLUMN boot TEXT;
ALTER TABLE installation ADD COLUMN boot_seen_at INTEGER;
`

/** How clients prove themselves beside secrets: by keys, certificates and assertions. */
const CLIENT_KEYS = `
ALTER TABLE client ADD COLUMN settings TEXT CHECK (json_valid(settings));
CREATE TABLE client_key (
  client TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
  kid TEXT NOT NULL,
  use TEXT NOT NULL CHECK (use IN ('sig', 'tls')),
  facts TEXT NOT NULL CHECK (json_valid(facts)),
  sealed BLOB NOT NULL,
  serial TEXT NOT NULL,
  PRIMARY KEY (client, kid)
) STRICT, WITHOUT ROWID;
`

/** What was received once is not acted on again; and the sign-ins of a subject are found by it. */
const EVENTS = `
CREATE TABLE received_event (
  provider TEXT NOT NULL REFERENCES provider (id),
  jti TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (provider, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX received_event_until ON received_event (until);
CREATE INDEX connection_subject ON connection (subject, id) WHERE subject IS NOT NULL;
`

/** People who are on their way to sign in. */
const CONNECT_SESSIONS = `
CREATE TABLE connect_session (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  link TEXT NOT NULL,
  state TEXT,
  bound_to TEXT,
  session TEXT NOT NULL CHECK (json_valid(session)),
  secrets BLOB,
  secrets_serial TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX connect_session_link ON connect_session (link);
CREATE UNIQUE INDEX connect_session_state ON connect_session (state) WHERE state IS NOT NULL;
CREATE INDEX connect_session_end ON connect_session (expires_at);
`

/** Whose JWTs are as good as a key. */
const IDENTITIES = `
CREATE TABLE api_key_identity (
  id TEXT PRIMARY KEY,
  api_key TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  settings TEXT NOT NULL CHECK (json_valid(settings)),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_key_identity_shown ON api_key_identity (issuer, subject);
CREATE INDEX api_key_identity_of_api_key ON api_key_identity (api_key);
`

/** The key that the tokens of a grant are bound to. */
const DPOP_KEYS = `
ALTER TABLE connection ADD COLUMN dpop_key BLOB;
ALTER TABLE connection ADD COLUMN dpop_key_serial TEXT;
ALTER TABLE connection ADD COLUMN dpop_jkt TEXT;
`

/** What a grant that runs again needs: an assertion, or a token to exchange. */
const GRANT_REQUESTS = `
ALTER TABLE connection ADD COLUMN grant_request TEXT CHECK (json_valid(grant_request));
`

/** What an operator asks of all connections at once, and of some among a million. */
const OVERVIEW = `
ALTER TABLE connection ADD COLUMN reason TEXT;
ALTER TABLE connection ADD COLUMN expiring_at INTEGER;
UPDATE connection SET reason = state ->> '$.reason' WHERE status IN ('blocked', 'needs_user');
UPDATE connection SET expiring_at = lapses_at WHERE lapses_at IS NOT NULL;
UPDATE connection SET expiring_at = CAST(last_grant ->> '$.sessionEnd.at' AS INTEGER)
  WHERE last_grant ->> '$.sessionEnd.at' IS NOT NULL AND last_grant ->> '$.sessionEnd.announceAt' IS NULL
    AND status NOT IN ('needs_user', 'deleting', 'erased');
CREATE INDEX connection_expiring ON connection (expiring_at, id, provider, client, lapses_at)
  WHERE expiring_at IS NOT NULL;
DROP INDEX connection_troubled;
CREATE INDEX connection_troubled ON connection (status, id, provider, reason)
  WHERE status NOT IN ('ready', 'presenting', 'erased');
-- No condition: of one that names the status, a refresh would write every entry anew.
CREATE INDEX connection_of_client ON connection (client, id);

ALTER TABLE label ADD COLUMN trouble TEXT;
UPDATE label SET trouble = (
    SELECT CASE WHEN c.lapses_at IS NULL THEN c.status ELSE 'lapsing' END FROM connection c WHERE c.uid = label.uid)
  WHERE uid IN (
    SELECT uid FROM connection WHERE status NOT IN ('ready', 'presenting', 'erased')
    UNION ALL SELECT uid FROM connection WHERE lapses_at IS NOT NULL);
CREATE INDEX label_troubled ON label (name, value, trouble, id) WHERE trouble IS NOT NULL;
CREATE INDEX label_of_any_name ON label (value, id);

CREATE TABLE connection_total (
  provider TEXT NOT NULL REFERENCES provider (id),
  spread INTEGER NOT NULL,
  living INTEGER NOT NULL,
  PRIMARY KEY (provider, spread)
) STRICT, WITHOUT ROWID;
INSERT INTO connection_total SELECT provider, 0, count(*) FROM connection WHERE status <> 'erased' GROUP BY provider;
`

/** Who was handed what, and what became of refreshes, by the minute. */
const MINUTES = `
CREATE TABLE handout_minute (
  minute INTEGER NOT NULL,
  caller TEXT NOT NULL,
  identity TEXT NOT NULL,
  uid TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (minute, caller, identity, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX handout_minute_of_connection ON handout_minute (uid, minute);

CREATE TABLE refresh_minute (
  minute INTEGER NOT NULL,
  provider TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'unavailable', 'refused', 'in_doubt', 'blocked', 'needs_user')),
  count INTEGER NOT NULL,
  ms_10 INTEGER NOT NULL,
  ms_20 INTEGER NOT NULL,
  ms_40 INTEGER NOT NULL,
  ms_80 INTEGER NOT NULL,
  ms_160 INTEGER NOT NULL,
  ms_320 INTEGER NOT NULL,
  ms_640 INTEGER NOT NULL,
  ms_1280 INTEGER NOT NULL,
  ms_2560 INTEGER NOT NULL,
  ms_5120 INTEGER NOT NULL,
  ms_10240 INTEGER NOT NULL,
  ms_20480 INTEGER NOT NULL,
  ms_40960 INTEGER NOT NULL,
  ms_81920 INTEGER NOT NULL,
  ms_more INTEGER NOT NULL,
  PRIMARY KEY (minute, provider, outcome)
) STRICT, WITHOUT ROWID;
`

/** What happened, in the order of the commits, told in the same transaction. Nothing refers to a connection that is gone. */
const RECORDED_EVENTS = `
CREATE TABLE event (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL DEFAULT ('evt_' || lower(hex(randomblob(16)))),
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  uid TEXT,
  connection TEXT,
  provider TEXT,
  client TEXT,
  labels TEXT NOT NULL CHECK (json_valid(labels)),
  data TEXT NOT NULL CHECK (json_valid(data)),
  once TEXT
) STRICT;
CREATE INDEX event_of_connection ON event (connection, position) WHERE connection IS NOT NULL;
CREATE INDEX event_notable ON event (position) WHERE type <> 'connection.refreshed';
CREATE UNIQUE INDEX event_once ON event (once) WHERE once IS NOT NULL;
`

/** Who did what. */
const AUDIT = `
CREATE TABLE audit (
  no INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  actor_facts TEXT NOT NULL CHECK (json_valid(actor_facts)),
  act TEXT NOT NULL,
  subject TEXT,
  details TEXT NOT NULL CHECK (json_valid(details)),
  outcome TEXT,
  ended_at INTEGER,
  CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_subject ON audit (subject, no) WHERE subject IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, no);
`

/** Who signed in at the web page. */
const PAGE_SESSIONS = `
CREATE TABLE page_session (
  digest TEXT PRIMARY KEY,
  api_key TEXT NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX page_session_of_api_key ON page_session (api_key, created_at);
CREATE INDEX page_session_end ON page_session (expires_at);
`

/** The end of a sign-in that cannot be refreshed is due, so that it is told. */
const LAPSES = `
UPDATE connection SET due_at = lapses_at WHERE lapses_at IS NOT NULL AND due_at IS NULL;
`

/** In order; the number of those applied is the database's version. */
export const MIGRATIONS: readonly string[] = [
  FIRST,
  CALLERS,
  SIBLINGS,
  INCARNATION,
  SESSIONS,
  BOOTS,
  CLIENT_KEYS,
  EVENTS,
  CONNECT_SESSIONS,
  IDENTITIES,
  DPOP_KEYS,
  GRANT_REQUESTS,
  OVERVIEW,
  MINUTES,
  RECORDED_EVENTS,
  AUDIT,
  PAGE_SESSIONS,
  LAPSES,
]
export const VERSION = MIGRATIONS.length
/** Since this one a database says whether it is on hold. */
export const VERSION_WITH_HOLD = MIGRATIONS.indexOf(INCARNATION) + 1
/** Since this one it says which boot of which machine wrote last. */
export const VERSION_WITH_BOOT = MIGRATIONS.indexOf(BOOTS) + 1
