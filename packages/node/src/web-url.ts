/** URLs that a browser is sent to: a redirect URI of ours, and where a person goes on, now or afterwards. */
import { isLoopbackHost } from './address-rules.ts'
import type { Refuse } from './input-members.ts'

const LENGTH_MAX = 2000

/**
 * Parses one.
 *
 * @returns the URL as it was written, for a redirect URI is compared by providers as a string (RFC 9700 section 2.1); or the
 *   rest of a sentence that begins with the URL's name
 */
export function parseWebUrl(value: unknown): { readonly url: string } | { readonly wrong: string } {
  if (typeof value !== 'string' || value === '' || value.length > LENGTH_MAX || /[\s\p{C}\\]/u.test(value))
    return { wrong: `must be a URL of at most ${LENGTH_MAX} characters, without white space` }
  const url = URL.parse(value)
  if (url === null) return { wrong: 'must be an absolute URL such as https://app.example.org/callback' }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url)))
    return { wrong: 'must begin with https://; http:// is for localhost, 127.0.0.1 and [::1] only' }
  if (url.username !== '' || url.password !== '' || value.includes('#'))
    return { wrong: 'must be without a user name, a password and a fragment (#...)' }
  return { url: value }
}

/** The same of what somebody wrote. @param name how the message calls it */
export function readWebUrl(name: string, value: unknown, refuse: Refuse): string {
  const parsed = parseWebUrl(value)
  return 'url' in parsed ? parsed.url : refuse(`${name} ${parsed.wrong}`)
}
