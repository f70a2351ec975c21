/** Sessions of the web page as rows of tables. `docs/storage.md` says what each column means. */
import { integer, text, type CellRecord } from './cells.ts'
import type { StoredPageSession } from './page-sessions.ts'

export const readPageSession = (record: CellRecord): StoredPageSession => ({
  digest: text(record, 'digest'),
  apiKey: text(record, 'api_key'),
  createdAt: integer(record, 'created_at'),
  expiresAt: integer(record, 'expires_at'),
})
