/** The least that a program does which keeps its access tokens sealed in SQLite: one prepared SELECT, one opened secret. */
import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { threadMs } from '../thread-time.ts'

export interface HandedOut {
  readonly accessToken: string
  readonly tokenType: string
  readonly scope: string | null
  readonly expiresAt: number
}

/** What is kept for one id. */
export interface Kept extends HandedOut {
  readonly id: string
  readonly refreshToken: string
}

const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Calls between two looks at the clock, which costs as much as a call. */
const BETWEEN_LOOKS = 500

/** Makes a database at `path` that holds `rows` and nothing else. */
export function writeRows(path: string, key: KeyObject, rows: readonly Kept[]): void {
  const sql = new DatabaseSync(path)
  sql.exec('PRAGMA journal_mode = WAL')
  sql.exec(
    `CREATE TABLE token (id TEXT PRIMARY KEY, access_token BLOB NOT NULL, refresh_token BLOB NOT NULL,
       token_type TEXT NOT NULL, scope TEXT, expires_at INTEGER NOT NULL) STRICT`,
  )
  const insert = sql.prepare('INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)')
  sql.exec('BEGIN')
  for (const { id, accessToken, refreshToken, tokenType, scope, expiresAt } of rows) {
    insert.run(id, seal(accessToken, id, key), seal(refreshToken, id, key), tokenType, scope, expiresAt)
  }
  sql.exec('COMMIT')
  sql.close()
}

/** @returns a loop: goes on reading one id after another until `forMs` have passed, and returns calls a millisecond */
export function prepareSelectAndOpen(
  path: string,
  key: KeyObject,
): { readonly loop: (ids: readonly string[], forMs: number) => Promise<number>; readonly close: () => void } {
  const sql = new DatabaseSync(path)
  const select = sql.prepare('SELECT access_token, token_type, scope, expires_at FROM token WHERE id = ?')

  const token = async (id: string): Promise<HandedOut> => {
    const record = select.get(id)
    const sealed = record?.['access_token']
    if (record === undefined || !(sealed instanceof Uint8Array) || Date.now() >= Number(record['expires_at'])) {
      throw new Error(`no token for ${id}`)
    }
    return {
      accessToken: open(sealed, id, key),
      tokenType: String(record['token_type']),
      scope: record['scope'] === null ? null : String(record['scope']),
      expiresAt: Number(record['expires_at']),
    }
  }

  let next = 0
  return {
    loop: async (ids, forMs) => {
      const startedAt = threadMs()
      let calls = 0
      let passedMs = 0
      while (passedMs < forMs) {
        for (let call = 0; call < BETWEEN_LOOKS; call += 1) {
          await token(ids[next] ?? '')
          next = (next + 1) % ids.length
        }
        calls += BETWEEN_LOOKS
        passedMs = threadMs() - startedAt
      }
      return calls / passedMs
    },
    close: () => sql.close(),
  }
}

function seal(text: string, id: string, key: KeyObject): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(id))
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

function open(sealed: Uint8Array, id: string, key: KeyObject): string {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(id))
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const text = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES))
  decipher.final()
  return text.toString('utf8')
}
