import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { baseUrlOf, pathBelow } from '../src/api-base-url.ts'
import { hostilePath, isBelowForAll } from './hostile-paths.ts'

const BASE = 'https://api.example.org/v2'

const appended = (path: string, base = BASE): string => {
  const below = pathBelow(base, path)
  return 'path' in below ? below.path : `refused: ${below.wrong}`
}

test('a path is appended to a base URL with or without a slash at its end', () => {
  for (const base of [BASE, `${BASE}/`]) {
    assert.equal(appended('/users/7', base), '/v2/users/7')
    assert.equal(appended('/', base), '/v2/')
  }
  assert.equal(appended('', BASE), '/v2')
  assert.equal(appended('', `${BASE}/`), '/v2/')
  assert.equal(appended('/users', 'https://api.example.org'), '/users')
  assert.equal(appended('', 'https://api.example.org'), '/')
})

test('what is unusual and harmless is not touched', () => {
  for (const path of [
    '/group%2Fname',
    '/a%20b',
    '/a;b=1/c',
    '/...',
    '/a..b',
    '/..a',
    '/~x',
    '/a//b',
    '/%25',
    '/x[0]|y',
    '/100%25.',
    '/%E4%BD%A0',
  ])
    assert.equal(appended(path), `/v2${path}`)
})

test('a path that means something else to somebody on the way is refused, with the reason', () => {
  for (const [path, reason] of [
    ['x', /begin with a slash/],
    ['https://evil.example/', /begin with a slash/],
    ['//evil.example/x', /two slashes/],
    ['/%2fevil.example/x', /two slashes/],
    ['/%252fevil.example/x', /two slashes/],
    ['/%5cevil.example/x', /two slashes/],
    ['/\\evil.example', /must be escaped/],
    ['/a\\b', /must be escaped/],
    ['/..', /\.\. as a segment/],
    ['/../v1', /\.\. as a segment/],
    ['/a/../../v1', /\.\. as a segment/],
    ['/%2e%2e/v1', /\.\. as a segment/],
    ['/.%2E/v1', /\.\. as a segment/],
    ['/%252e%252e/v1', /\.\. as a segment/],
    ['/a%2f..%2f..%2fv1', /\.\. as a segment/],
    ['/a%5c..%5cv1', /\.\. as a segment/],
    ['/..;/v1', /\.\. as a segment/],
    ['/..%3bx/v1', /\.\. as a segment/],
    ['/.', /must be escaped/],
    ['/a/%2e/b', /must be escaped/],
    ['/a b', /must be escaped/],
    ['/a?b', /must be escaped/],
    ['/a#b', /must be escaped/],
    ['/é', /must be escaped/],
    ['/"', /must be escaped/],
    ['/a\r\nx: y', /must be escaped/],
    ['/%0d%0ax', /control character/],
    ['/%00', /control character/],
    ['/%7F', /control character/],
    ['/%', /escape that is none/],
    ['/%zz', /escape that is none/],
    ['/%c0%ae%c0%ae/', /escape that is none/],
    ['/%ff', /escape that is none/],
  ] as const) {
    const below = pathBelow(BASE, path)
    assert.ok('wrong' in below, `${path} was accepted`)
    assert.match(below.wrong, reason, path)
  }
})

test('of 100,000 hostile paths none that is accepted leads out of its base URL, whoever reads it', () => {
  const seen = { accepted: 0, refused: 0 }
  fc.assert(
    fc.property(hostilePath, (path) => {
      const below = pathBelow(BASE, path)
      if ('wrong' in below) {
        seen.refused += 1
        // A reason is one of a few sentences: nothing of the path is in it.
        assert.match(below.wrong, /^[a-z .,%0-9-]+(?:: write % as %25, and escape the bytes of UTF-8)?$/i)
        return
      }
      seen.accepted += 1
      assert.match(below.path, /^\/v2(?:\/|$)[\x21-\x7e]*$/)
      assert.ok(isBelowForAll(below.path, 'v2'), below.path)
      assert.equal(new URL(below.path, BASE).href, `https://api.example.org${below.path}`)
      // Sent as it was written.
      assert.equal(below.path, `/v2${path}`)
    }),
    { numRuns: 100_000, seed: 20_260_601 },
  )
  assert.ok(seen.accepted > 1_000, `${seen.accepted} accepted: nothing was tried`)
  assert.ok(seen.refused > 50_000)
})

test('of 20,000 hostile paths none that is accepted leaves the origin of a base URL without a path', () => {
  fc.assert(
    fc.property(hostilePath, (path) => {
      const below = pathBelow('https://api.example.org', path)
      if ('wrong' in below) return
      assert.equal(new URL(below.path, 'https://api.example.org').origin, 'https://api.example.org')
      assert.doesNotMatch(below.path, /^\/[/\\]/)
    }),
    { numRuns: 20_000, seed: 20_260_602 },
  )
})

test('the first base URL is meant, or the one that is named as it is listed', () => {
  const provider = { id: 'external', apiBaseUrls: ['https://a.example/', 'https://b.example/v1'] }
  const base = (asked?: string): string => {
    const chosen = baseUrlOf(provider, asked)
    return 'base' in chosen ? chosen.base : 'refused'
  }
  assert.equal(base(), 'https://a.example/')
  assert.equal(base('https://a.example'), 'https://a.example/', 'the same URL')
  assert.equal(base('https://b.example/v1'), 'https://b.example/v1')
  for (const other of [
    'https://b.example/',
    'https://b.example/v1/x',
    'https://b.example/v1/',
    'http://a.example',
    '',
    '/',
  ])
    assert.equal(base(other), 'refused', other)
  const none = baseUrlOf({ id: 'external', apiBaseUrls: [] }, undefined)
  assert.ok('wrong' in none && /set its apiBaseUrls/.test(none.wrong))
})
