/**
 * The tables in Postgres, as numbered migrations: the same tables and columns as in SQLite, which `docs/storage.md`
 * describes. A migration that was released is never edited, a change is a new one at the end.
 */

/**
 * Ids are compared by their bytes, as SQLite does. What is JSON stays the text that was written, so that both databases
 * give back the same.
 */
const FIRST = `
CREATE TABLE installation (
  only_row integer PRIMARY KEY CHECK (only_row = 1),
  version integer NOT NULL,
  installation text NOT NULL,
  key_check text NOT NULL,
  sealed_with text NOT NULL,
  place text,
  epoch bigint NOT NULL,
  created_at bigint NOT NULL
);

CREATE TABLE provider (
  id text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  settings text NOT NULL CHECK (settings::json IS NOT NULL)
);

CREATE TABLE client (
  id text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  provider text COLLATE "C" NOT NULL REFERENCES provider (id),
  client_id text NOT NULL,
  token_endpoint_auth_method text NOT NULL,
  secret bytea,
  secret_serial text,
  secret_fingerprint text
);

CREATE TABLE connection (
  uid text COLLATE "C" PRIMARY KEY,
  id text COLLATE "C" NOT NULL,
  provider text COLLATE "C" NOT NULL REFERENCES provider (id),
  client text COLLATE "C" NOT NULL REFERENCES client (id),
  grant_type text NOT NULL CHECK (grant_type IN ('refresh_token', 'client_credentials')),
  subject text,
  labels text NOT NULL CHECK (labels::json IS NOT NULL),
  grant_no bigint NOT NULL,
  generation bigint NOT NULL,
  revision bigint NOT NULL,
  fence bigint NOT NULL,
  status text NOT NULL CHECK (status IN (
    'ready', 'presenting', 'in_doubt', 'suspect', 'blocked', 'needs_user', 'deleting', 'erased')),
  state text NOT NULL CHECK (state::json IS NOT NULL),
  attempt_owner text COLLATE "C",
  refresh_token bytea,
  refresh_token_serial text,
  refresh_token_fingerprint text COLLATE "C",
  refresh_token_received_at bigint,
  refresh_token_ends_at bigint,
  refresh_token_lifetime_ms bigint,
  presentations bigint,
  parent text,
  scope text,
  signed_out_at text CHECK (signed_out_at IS NULL OR signed_out_at::json IS NOT NULL),
  last_grant text CHECK (last_grant IS NULL OR last_grant::json IS NOT NULL),
  last_end text CHECK (last_end IS NULL OR last_end::json IS NOT NULL),
  forced text CHECK (forced IS NULL OR forced::json IS NOT NULL),
  used_at bigint,
  due_at bigint,
  urgency integer NOT NULL,
  lapses_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  -- Something happens by itself in every state that waits for something.
  CHECK (due_at IS NOT NULL OR status IN ('ready', 'needs_user', 'erased')),
  CHECK (status <> 'erased' OR refresh_token IS NULL)
);

CREATE UNIQUE INDEX connection_living ON connection (id) WHERE status <> 'erased';
CREATE INDEX connection_erased ON connection (id, updated_at) WHERE status = 'erased';
CREATE INDEX connection_forgotten ON connection (updated_at) WHERE status = 'erased';
-- Not unique: a granted answer is never dropped, also where a provider gives one token to two connections.
CREATE INDEX connection_refresh_token ON connection (client, refresh_token_fingerprint)
  WHERE refresh_token_fingerprint IS NOT NULL;
CREATE INDEX connection_due ON connection (urgency, due_at, provider, uid) WHERE due_at IS NOT NULL;
CREATE INDEX connection_attempt ON connection (attempt_owner) WHERE attempt_owner IS NOT NULL;
CREATE INDEX connection_lapsing ON connection (id, lapses_at) WHERE lapses_at IS NOT NULL;
-- Ready and presenting change with every refresh, and a list of those is a list of nearly all.
CREATE INDEX connection_troubled ON connection (status, id) WHERE status NOT IN ('ready', 'presenting', 'erased');
CREATE INDEX connection_of_provider ON connection (provider, id) WHERE status <> 'erased';
-- Every refresh writes a row three times. What is dead is swept before it outweighs what lives.
ALTER TABLE connection SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE TABLE access_token (
  uid text COLLATE "C" NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  variant text COLLATE "C" NOT NULL,
  sealed bytea NOT NULL,
  serial text NOT NULL,
  fingerprint text NOT NULL,
  token_type text NOT NULL,
  scope text,
  lifetime_ms bigint NOT NULL,
  lifetime_from text NOT NULL CHECK (lifetime_from IN ('answer', 'assumed')),
  sent_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  fence bigint NOT NULL,
  refused_at bigint,
  PRIMARY KEY (uid, variant)
);

CREATE TABLE held_answer (
  uid text COLLATE "C" NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('successor', 'sibling')),
  attempt text NOT NULL,
  fence bigint NOT NULL,
  variant text NOT NULL,
  scope text,
  refresh_token bytea,
  refresh_token_facts text CHECK (refresh_token_facts IS NULL OR refresh_token_facts::json IS NOT NULL),
  access_token bytea,
  access_token_facts text CHECK (access_token_facts IS NULL OR access_token_facts::json IS NOT NULL),
  sibling text CHECK (sibling IS NULL OR sibling::json IS NOT NULL),
  PRIMARY KEY (uid, kind, attempt)
);
CREATE UNIQUE INDEX held_answer_successor ON held_answer (uid) WHERE kind = 'successor';

CREATE TABLE label (
  uid text COLLATE "C" NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  PRIMARY KEY (uid, name)
);
CREATE INDEX label_value ON label (name, value, id, uid);

CREATE TABLE presentation (
  uid text COLLATE "C" NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  fence bigint NOT NULL,
  attempt text NOT NULL,
  grant_no bigint NOT NULL,
  generation bigint NOT NULL,
  presented text,
  owner text NOT NULL,
  host text NOT NULL,
  why text NOT NULL,
  acquired_at bigint NOT NULL,
  ended_at bigint,
  outcome text,
  PRIMARY KEY (uid, fence)
);

CREATE TABLE api_key (
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  digest text COLLATE "C" NOT NULL,
  scopes text NOT NULL CHECK (scopes::json IS NOT NULL),
  labels text NOT NULL CHECK (labels::json IS NOT NULL),
  created_at bigint NOT NULL,
  expires_at bigint,
  revoked_at bigint
);
CREATE UNIQUE INDEX api_key_digest ON api_key (digest);

CREATE TABLE api_key_source (
  api_key text COLLATE "C" NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  provider text COLLATE "C" NOT NULL REFERENCES provider (id),
  connection text COLLATE "C" NOT NULL,
  PRIMARY KEY (api_key, provider)
);

CREATE TABLE local_refresh_token (
  id text COLLATE "C" PRIMARY KEY,
  digest text COLLATE "C" NOT NULL,
  api_key text COLLATE "C" NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  uid text COLLATE "C" NOT NULL REFERENCES connection (uid) ON DELETE CASCADE,
  created_at bigint NOT NULL,
  revoked_at bigint
);
CREATE UNIQUE INDEX local_refresh_token_digest ON local_refresh_token (digest);
CREATE INDEX local_refresh_token_of_connection ON local_refresh_token (uid, id);
CREATE INDEX local_refresh_token_of_api_key ON local_refresh_token (api_key);
`

const INCARNATION = `
ALTER TABLE installation ADD COLUMN branch text;
ALTER TABLE installation ADD COLUMN hold text CHECK (hold IS NULL OR hold::json IS NOT NULL);
`

/** A sign-in's session and moment, by which a logout event is told to mean it; what an operator allowed; the program that presented. */
const SESSIONS = `
ALTER TABLE connection ADD COLUMN session_id text;
ALTER TABLE connection ADD COLUMN signed_in_at bigint;
ALTER TABLE connection ADD COLUMN present_now text CHECK (present_now IS NULL OR present_now::json IS NOT NULL);
CREATE INDEX connection_session ON connection (session_id, id) WHERE session_id IS NOT NULL;
ALTER TABLE presentation ADD COLUMN process text;
`

/** How clients prove themselves beside secrets: by keys, certificates and assertions. */
const CLIENT_KEYS = `
ALTER TABLE client ADD COLUMN settings text CHECK (settings IS NULL OR settings::json IS NOT NULL);
CREATE TABLE client_key (
  client text COLLATE "C" NOT NULL REFERENCES client (id) ON DELETE CASCADE,
  kid text COLLATE "C" NOT NULL,
  use text NOT NULL CHECK (use IN ('sig', 'tls')),
  facts text NOT NULL CHECK (facts::json IS NOT NULL),
  sealed bytea NOT NULL,
  serial text NOT NULL,
  PRIMARY KEY (client, kid)
);
`

/** What was received once is not acted on again; and the sign-ins of a subject are found by it. */
const EVENTS = `
CREATE TABLE received_event (
  provider text COLLATE "C" NOT NULL REFERENCES provider (id),
  jti text COLLATE "C" NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (provider, jti)
);
CREATE INDEX received_event_until ON received_event (until);
CREATE INDEX connection_subject ON connection (subject, id) WHERE subject IS NOT NULL;
`

/** People who are on their way to sign in. */
const CONNECT_SESSIONS = `
CREATE TABLE connect_session (
  id text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  link text COLLATE "C" NOT NULL,
  state text COLLATE "C",
  bound_to text,
  session text NOT NULL CHECK (session::json IS NOT NULL),
  secrets bytea,
  secrets_serial text,
  expires_at bigint NOT NULL
);
CREATE UNIQUE INDEX connect_session_link ON connect_session (link);
CREATE UNIQUE INDEX connect_session_state ON connect_session (state) WHERE state IS NOT NULL;
CREATE INDEX connect_session_end ON connect_session (expires_at);
`

/** Whose JWTs are as good as a key. */
const IDENTITIES = `
CREATE TABLE api_key_identity (
  id text COLLATE "C" PRIMARY KEY,
  api_key text COLLATE "C" NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  issuer text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  settings text NOT NULL CHECK (settings::json IS NOT NULL),
  created_at bigint NOT NULL
);
CREATE UNIQUE INDEX api_key_identity_shown ON api_key_identity (issuer, subject);
CREATE INDEX api_key_identity_of_api_key ON api_key_identity (api_key);
`

/** The key that the tokens of a grant are bound to. */
const DPOP_KEYS = `
ALTER TABLE connection ADD COLUMN dpop_key bytea;
ALTER TABLE connection ADD COLUMN dpop_key_serial text;
ALTER TABLE connection ADD COLUMN dpop_jkt text;
`

/** What a grant that runs again needs: an assertion, or a token to exchange. */
const GRANT_REQUESTS = `
ALTER TABLE connection ADD COLUMN grant_request text CHECK (grant_request IS NULL OR grant_request::json IS NOT NULL);
`

/** What an operator asks of all connections at once, and of some among a million. */
const OVERVIEW = `
-- So that what begins with a text is a range of an index.
ALTER TABLE connection ALTER COLUMN subject TYPE text COLLATE "C";
ALTER TABLE connection ADD COLUMN reason text;
ALTER TABLE connection ADD COLUMN expiring_at bigint;
UPDATE connection SET reason = state::json ->> 'reason' WHERE status IN ('blocked', 'needs_user');
UPDATE connection SET expiring_at = lapses_at WHERE lapses_at IS NOT NULL;
UPDATE connection SET expiring_at = round((last_grant::json #>> '{sessionEnd,at}')::numeric)
  WHERE last_grant::json #>> '{sessionEnd,at}' IS NOT NULL AND last_grant::json #>> '{sessionEnd,announceAt}' IS NULL
    AND status NOT IN ('needs_user', 'deleting', 'erased');
CREATE INDEX connection_expiring ON connection (expiring_at, id, provider, client, lapses_at)
  WHERE expiring_at IS NOT NULL;
DROP INDEX connection_troubled;
CREATE INDEX connection_troubled ON connection (status, id, provider, reason)
  WHERE status NOT IN ('ready', 'presenting', 'erased');
CREATE INDEX connection_of_client ON connection (client, id);

ALTER TABLE label ADD COLUMN trouble text COLLATE "C";
UPDATE label SET trouble = (
    SELECT CASE WHEN c.lapses_at IS NULL THEN c.status ELSE 'lapsing' END FROM connection c WHERE c.uid = label.uid)
  WHERE uid IN (
    SELECT uid FROM connection WHERE status NOT IN ('ready', 'presenting', 'erased')
    UNION ALL SELECT uid FROM connection WHERE lapses_at IS NOT NULL);
CREATE INDEX label_troubled ON label (name, value, trouble, id, uid) WHERE trouble IS NOT NULL;
-- Not in the order of the ids: a list by name and value is not to walk this one.
CREATE INDEX label_of_any_name ON label (value) INCLUDE (uid, id);

CREATE TABLE connection_total (
  provider text COLLATE "C" NOT NULL REFERENCES provider (id),
  spread integer NOT NULL,
  living bigint NOT NULL,
  PRIMARY KEY (provider, spread)
);
INSERT INTO connection_total SELECT provider, 0, count(*) FROM connection WHERE status <> 'erased' GROUP BY provider;
`

/** Who was handed what, and what became of refreshes, by the minute. */
const MINUTES = `
CREATE TABLE handout_minute (
  minute bigint NOT NULL,
  caller text COLLATE "C" NOT NULL,
  identity text COLLATE "C" NOT NULL,
  uid text COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (minute, caller, identity, uid)
);
CREATE INDEX handout_minute_of_connection ON handout_minute (uid, minute);

CREATE TABLE refresh_minute (
  minute bigint NOT NULL,
  provider text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL CHECK (outcome IN ('granted', 'unavailable', 'refused', 'in_doubt', 'blocked', 'needs_user')),
  count bigint NOT NULL,
  ms_10 bigint NOT NULL,
  ms_20 bigint NOT NULL,
  ms_40 bigint NOT NULL,
  ms_80 bigint NOT NULL,
  ms_160 bigint NOT NULL,
  ms_320 bigint NOT NULL,
  ms_640 bigint NOT NULL,
  ms_1280 bigint NOT NULL,
  ms_2560 bigint NOT NULL,
  ms_5120 bigint NOT NULL,
  ms_10240 bigint NOT NULL,
  ms_20480 bigint NOT NULL,
  ms_40960 bigint NOT NULL,
  ms_81920 bigint NOT NULL,
  ms_more bigint NOT NULL,
  PRIMARY KEY (minute, provider, outcome)
);
`

/** What happened, told in the same statement. `number` is the order of writing; `position`, of reading, is given afterwards. */
const RECORDED_EVENTS = `
CREATE TABLE event (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  position bigint UNIQUE,
  id text NOT NULL DEFAULT ('evt_' || replace(gen_random_uuid()::text, '-', '')),
  type text NOT NULL,
  at bigint NOT NULL,
  uid text COLLATE "C",
  connection text COLLATE "C",
  provider text COLLATE "C",
  client text COLLATE "C",
  labels text NOT NULL CHECK (labels::json IS NOT NULL),
  data text NOT NULL CHECK (data::json IS NOT NULL),
  once text COLLATE "C"
);
CREATE INDEX event_unplaced ON event (number) WHERE position IS NULL;
CREATE INDEX event_of_connection ON event (connection, position) WHERE connection IS NOT NULL;
CREATE INDEX event_notable ON event (position) WHERE type <> 'connection.refreshed';
CREATE UNIQUE INDEX event_once ON event (once) WHERE once IS NOT NULL;
CREATE TABLE event_placed (only_row integer PRIMARY KEY CHECK (only_row = 1), last bigint NOT NULL);
INSERT INTO event_placed (only_row, last) VALUES (1, 0);
`

/** Who did what. */
const AUDIT = `
CREATE TABLE audit (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL,
  actor text COLLATE "C" NOT NULL,
  actor_facts text NOT NULL CHECK (actor_facts::json IS NOT NULL),
  act text NOT NULL,
  subject text COLLATE "C",
  details text NOT NULL CHECK (details::json IS NOT NULL),
  outcome text,
  ended_at bigint,
  CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_subject ON audit (subject, no) WHERE subject IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, no);
`

/** Who signed in at the web page. */
const PAGE_SESSIONS = `
CREATE TABLE page_session (
  digest text COLLATE "C" PRIMARY KEY,
  api_key text COLLATE "C" NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX page_session_of_api_key ON page_session (api_key, created_at);
CREATE INDEX page_session_end ON page_session (expires_at);
`

/** The end of a sign-in that cannot be refreshed is due, so that it is told. */
const LAPSES = `
UPDATE connection SET due_at = lapses_at WHERE lapses_at IS NOT NULL AND due_at IS NULL;
`

/** In order; the number of those applied is the version that `installation` holds. To be run with our schema as search path. */
export const MIGRATIONS: readonly string[] = [
  FIRST,
  INCARNATION,
  SESSIONS,
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
