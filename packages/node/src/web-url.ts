/** URLs that a browser is sent to: a redirect URI of ours, and where a person goes on afterwards. */
import { isLoopbackHost } from './address-rules.ts'
import type { Refuse } from './input-members.ts'

const LENGTH_MAX = 2000

/**
 * Reads one.
 *
 * @param name how the message calls it
 * @returns the URL as it was written; a redirect URI is compared by providers as a string (RFC 9700 section 2.1)
 */
export function readWebUrl(name: string, value: unknown, refuse: Refuse): string {
  if (typeof value !== 'string' || value === '' || value.length > LENGTH_MAX || /[\s\p{C}\\]/u.test(value))
    return refuse(`${name} must be a URL of at most ${LENGTH_MAX} characters, without white space`)
  const url = URL.parse(value)
  if (url === null) return refuse(`${name} must be an absolute URL such as https://app.example.org/callback`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url)))
    return refuse(`${name} must begin with https://; http:// is for localhost, 127.0.0.1 and [::1] only`)
  if (url.username !== '' || url.password !== '' || value.includes('#'))
    return refuse(`${name} must be without a user name, a password and a fragment (#...)`)
  return value
}
