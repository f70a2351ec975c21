/** Connect sessions as rows of a table, and back. `docs/storage.md` says what each column means. */
import type { ConnectSession, Serial } from '@tokenkeep/core'
import { json, sealedBytes, text, textOrNull, type Cell, type CellRecord } from './cells.ts'
import type { StoredConnectSession } from './connect-sessions.ts'

export const CONNECT_SESSION_COLUMNS =
  'id, revision, link, state, bound_to, session, secrets, secrets_serial, expires_at'

/** In the order of {@link CONNECT_SESSION_COLUMNS}. */
export const connectSessionValues = ({ session, link, state, boundTo, secrets }: StoredConnectSession): Cell[] => [
  session.id,
  session.revision,
  link,
  state,
  boundTo,
  JSON.stringify(session),
  secrets?.sealed ?? null,
  secrets?.serial ?? null,
  session.expiresAt,
]

/** What a change writes, and by what it finds the row: state, bound_to, ... of {@link CONNECT_SESSION_CHANGE}. */
export const connectSessionChange = ({ session, state, boundTo, secrets }: StoredConnectSession): Cell[] => [
  session.revision,
  state,
  boundTo,
  JSON.stringify(session),
  secrets?.sealed ?? null,
  secrets?.serial ?? null,
  session.id,
  session.revision - 1,
]
export const CONNECT_SESSION_CHANGE =
  'SET revision = ?, state = ?, bound_to = ?, session = ?, secrets = ?, secrets_serial = ? WHERE id = ? AND revision = ?'

export const readConnectSession = (record: CellRecord): StoredConnectSession => {
  const serial = textOrNull(record, 'secrets_serial')
  return {
    session: json(record, 'session') as ConnectSession,
    link: text(record, 'link'),
    state: textOrNull(record, 'state'),
    boundTo: textOrNull(record, 'bound_to'),
    secrets: serial === null ? null : { sealed: sealedBytes(record, 'secrets'), serial: serial as Serial },
  }
}
