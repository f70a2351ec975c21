/** Paths as somebody writes them who wants to get out of a base URL, and what the servers on the way may take them for. */
import fc from 'fast-check'

const PIECES = [
  ...['/', '/', '/', '//', '\\', '%2f', '%2F', '%5c', '%252f', '%25252F', '%255c', ';', '%3b', ';x=1'],
  ...['.', '..', '..', '%2e', '%2e%2E', '.%2e', '%252e', '%25252e', '..;', '%c0%ae', '%e0%80%ae', '%u002e', '．．'],
  ...[
    'a',
    'users',
    'v2',
    'v1',
    'admin',
    'evil.example',
    '127.0.0.1:1',
    '[::1]',
    '@',
    ':',
    'http:',
    'https://evil.example',
  ],
  ...['%20', ' ', '%00', '%0d%0a', '\r\n', '\t', '\0', '%7f', '%', '%z', '%25', 'é', '%c3%a9', '%ff', '\u2028'],
  ...['?', '#', '&', '=', '|', '^', '{', '}', '"', '<', '>', '`', "'", '*', '~', '[', ']', '$', '+', ','],
]

/** Mostly with the slash that a path begins with. */
export const hostilePath: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom('/', '/', '/', ''),
    fc.array(
      fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...PIECES) }, fc.string({ maxLength: 4, unit: 'binary' })),
      {
        maxLength: 9,
      },
    ),
  )
  .map(([first, pieces]) => first + pieces.join(''))

/** A server or proxy that reads a path so. */
type Reading = (path: string) => string

const once: Reading = (path) =>
  path.replaceAll(/%([0-9a-f]{2})/gi, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
const slashes: Reading = (path) => path.replaceAll('\\', '/')
const noParameters: Reading = (path) => path.replaceAll(/;[^/]*/g, '')
const merged: Reading = (path) => path.replaceAll(/\/{2,}/g, '/')

/** Each alone, and in the orders that are known from servers. */
const READINGS: readonly (readonly Reading[])[] = [
  [],
  [once],
  [once, once],
  [once, once, once],
  [slashes],
  [once, slashes],
  [once, once, slashes, merged],
  [noParameters],
  [once, noParameters],
  [noParameters, once, slashes],
  [once, once, noParameters, slashes, merged],
  [merged],
]

/** Without its dot segments (RFC 3986 section 5.2.4); null: it climbs above its root. */
function resolved(path: string): readonly string[] {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '.' && segment !== '') segments.push(segment)
  }
  return segments
}

/** Whether each of those servers finds the path below a folder of one segment. */
export const isBelowForAll = (path: string, folder: string): boolean =>
  READINGS.every((readings) => {
    const read = readings.reduce((text, reading) => reading(text), path)
    // Some resolve before they decode, some after it; a .. that is still there was decoded too late for the first.
    return resolved(read)[0] === folder && !/(^|\/)\.\.(\/|$)/.test(read)
  })
