/**
 * Sessions of the web page: who signed in there with an API key, known by a cookie from then on.
 *
 * The secret is 32 random bytes, sent to the browser once and kept as its SHA-256. A session is worth what its key is worth
 * and ends with it; the key itself is not kept.
 */
import { hash, randomBytes } from 'node:crypto'
import { TokenError, type Clock } from '@tokenkeep/core'
import type { ApiKey } from './callers.ts'

export interface PageSessions {
  /**
   * Signs in. Of one key so many sessions live as people have browsers: the oldest beyond that end.
   *
   * @param apiKey the id of a key
   * @returns with `secret`, which goes into a cookie and nowhere else: `tks_` and 43 characters
   * @throws TokenError `unknown_api_key` (also one that is revoked or past its end), `store_unavailable`
   */
  create(apiKey: string): Promise<{ readonly secret: string; readonly session: PageSession }>
  /** Who signed in; null: nobody, or the session or its key is over. */
  bySecret(secret: string): Promise<PageSession | null>
  /** Signs out. Repeating it changes nothing. */
  end(secret: string): Promise<void>
}

export interface PageSession {
  readonly apiKey: ApiKey
  /** Epoch milliseconds; never after the end of the key. */
  readonly expiresAt: number
}

/** A session as the database keeps it. */
export interface StoredPageSession {
  /** SHA-256 of the secret. */
  readonly digest: string
  /** The id of the key. */
  readonly apiKey: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** What a database has to be able to do for sessions of the page. */
export interface PageSessionRows {
  /** And forgets those that are over by `createdAt`, and of the same key all but the newest so many. */
  add(stored: StoredPageSession, most: number): Promise<void>
  find(digest: string): Promise<StoredPageSession | null>
  remove(digest: string): Promise<void>
}

export const PAGE_SESSION_MS = 12 * 3600 * 1000
/** Of one key. */
export const PAGE_SESSIONS_MOST = 100
const PREFIX = 'tks_'
const SECRET_BYTES = 32

export function createPageSessions(of: {
  readonly rows: PageSessionRows
  /** @throws TokenError `unknown_api_key` */
  readonly apiKey: (id: string) => Promise<ApiKey>
  readonly clock: Pick<Clock, 'now'>
}): PageSessions {
  const { rows, clock } = of
  const lives = ({ revokedAt, expiresAt }: ApiKey, now: number): boolean =>
    revokedAt === null && (expiresAt === null || now < expiresAt)

  return {
    async create(id) {
      const apiKey = await of.apiKey(id)
      const now = Math.round(clock.now().wall)
      if (!lives(apiKey, now)) throw endedApiKey()
      const secret = `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`
      const expiresAt = Math.min(now + PAGE_SESSION_MS, apiKey.expiresAt ?? Infinity)
      const stored = { digest: digestOf(secret), apiKey: apiKey.id, createdAt: now, expiresAt }
      await rows.add(stored, PAGE_SESSIONS_MOST)
      return { secret, session: { apiKey, expiresAt } }
    },
    async bySecret(secret) {
      if (!looksLike(secret)) return null
      const stored = await rows.find(digestOf(secret))
      const now = clock.now().wall
      if (stored === null || now >= stored.expiresAt) return null
      const apiKey = await of.apiKey(stored.apiKey)
      return lives(apiKey, now) ? { apiKey, expiresAt: stored.expiresAt } : null
    },
    async end(secret) {
      if (looksLike(secret)) await rows.remove(digestOf(secret))
    },
  }
}

const digestOf = (secret: string): string => hash('sha256', secret, 'base64url')
/** What cannot be one of ours is not looked for. */
const looksLike = (secret: unknown): secret is string => typeof secret === 'string' && /^tks_[\w-]{43}$/.test(secret)

const endedApiKey = (): TokenError =>
  new TokenError('unknown_api_key', 'this API key is revoked or past its end (`tokenkeep key list`).')
