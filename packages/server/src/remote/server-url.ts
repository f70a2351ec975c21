import { TokenError } from '@tokenkeep/core'

/**
 * Reads the URL of a server.
 *
 * Plain http is for this machine alone: the API key, refresh tokens and access tokens would be readable on their way.
 *
 * @param said how the URL was given, `--url` for example; the URL itself is not repeated, because it may hold a password
 * @returns the URL without a slash at its end; a path before the API's own is kept
 * @throws TokenError `invalid_input`
 */
export function parseServerUrl(text: string, said: string): string {
  const wrong = (sentence: string): TokenError => new TokenError('invalid_input', `${said} ${sentence}`)
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw wrong('is no URL of a server: write it as https://tokenkeep.example.org, or http://127.0.0.1:7420 here.')
  }
  if (url.username !== '' || url.password !== '') {
    throw wrong('has a name or a password in it: leave them out, and give the API key by TOKENKEEP_API_KEY.')
  }
  if (url.search !== '' || url.hash !== '') throw wrong('has something behind ? or #: leave that out.')
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw wrong(
      'must begin with https: over http the API key could be read on its way. Only to this machine http is fine.',
    )
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** @param hostname as the URL parser writes it: in lower case, IPv4 as four numbers, IPv6 in brackets */
const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
