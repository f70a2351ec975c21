/**
 * The cookie by which the page is known, and what a request needs beside it.
 *
 * A cookie comes along whoever sends the request, so it counts only where a page of this very origin does: `SameSite=Strict`
 * and the check of `Origin` (`addressed.ts`) say so; browsers that send `Sec-Fetch-Site` say it once more; and what changes
 * something has a header that no form and no link can send, and no script of another origin may.
 */
import type { Addressed } from '../addressed.ts'
import type { FromSomebody, SessionsOfRequests } from '../caller.ts'
import { HttpProblem } from '../problem.ts'

export interface SessionCookie extends SessionsOfRequests {
  /** The secret as it stands there, wherever the request is from; null: none that counts. */
  find(request: FromSomebody): string | null
  /** @throws HttpProblem `origin_refused`: no page of ours sends this */
  checkFromPage(request: FromSomebody): void
  /** The header `Set-Cookie`. */
  set(request: FromSomebody, secret: string, seconds: number): string
  /** The header `Set-Cookie` that takes it away. */
  clear(request: FromSomebody): string
}

/** Sent by our page with everything that is not a GET. */
export const PAGE_HEADER = 'tokenkeep-page'

export function createSessionCookie(addressed: Pick<Addressed, 'baseUrl'>): SessionCookie {
  const isSecure = ({ headers, protocol }: FromSomebody): boolean =>
    addressed.baseUrl(headers.host, protocol).startsWith('https:')
  /** `__Host-`: nobody but this very host can have set it. Without https browsers know no such cookies. */
  const nameOf = (secure: boolean): string => (secure ? '__Host-tokenkeep-session' : 'tokenkeep-session')

  const find: SessionCookie['find'] = (request) => {
    const start = `${nameOf(isSecure(request))}=`
    const found = (request.headers.cookie ?? '').split(/; ?/).filter((pair) => pair.startsWith(start))
    const value = found[0]?.slice(start.length) ?? ''
    // Of two, one was set by somebody else.
    return found.length === 1 && /^tks_[\w-]{43}$/.test(value) ? value : null
  }

  const checkFromPage = ({ method, headers }: FromSomebody): void => {
    const site = headers['sec-fetch-site']
    if (site !== undefined && site !== 'same-origin') throw notOurs()
    if (method !== 'GET' && headers[PAGE_HEADER] !== '1') throw notOurs()
  }

  const line = (request: FromSomebody, value: string, seconds: number): string => {
    const secure = isSecure(request)
    return `${nameOf(secure)}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`
  }

  return {
    find,
    checkFromPage,
    secretOf(request) {
      const secret = find(request)
      if (secret !== null) checkFromPage(request)
      return secret
    },
    set: line,
    clear: (request) => line(request, '', 0),
  }
}

const notOurs = (): HttpProblem =>
  new HttpProblem(
    'origin_refused',
    'the session of the page counts in requests of that page alone, and this is none: programs send an API key.',
  )
