import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FULL, parseVariant, variantOf, type Variant } from '../src/variant.ts'

const read = (scope?: string, resource?: readonly string[]): Variant => {
  const parsed = parseVariant(scope, resource)
  return 'variant' in parsed ? parsed.variant : assert.fail(parsed.wrong)
}
const wrong = (scope?: string, resource?: readonly string[]): string | null => {
  const parsed = parseVariant(scope, resource)
  return 'wrong' in parsed ? parsed.wrong : null
}
const API = 'https://api.example.org/v1'

test('asking for nothing is asking for the token as it was granted', () => {
  assert.equal(read(), FULL)
  assert.equal(read(undefined, []), FULL)
  assert.equal(FULL.key, '')
})

test('order and repetition of scopes and resources make no other variant', () => {
  assert.equal(read('b a  b').key, read('a b').key)
  assert.equal(read(undefined, ['urn:b', 'urn:a', 'urn:b']).key, read(undefined, ['urn:a', 'urn:b']).key)
  assert.deepEqual(read('b a b').scopes, ['a', 'b'])
})

test('different requests never share a key, however their parts are cut', () => {
  const keys = [read('a b'), read('a'), read('b'), read('a', ['b:1']), read('a b:1'), read(undefined, ['a:1', 'b:1'])]
  const more = [read('A'), read(undefined, ['a:1']), read('a:1'), FULL]
  assert.equal(new Set([...keys, ...more].map((variant) => variant.key)).size, keys.length + more.length)
})

test('the key keeps a field for the key binding, so that a later DPoP key needs no other schema', () => {
  assert.equal(read('a', [API]).key.split('\n').length, 3)
  assert.equal(read('a').key.split('\n')[2], '')
})

test('a key names its variant', () => {
  for (const variant of [FULL, read('b a'), read('a', [API, 'urn:x']), read(undefined, [API])]) {
    assert.deepEqual(variantOf(variant.key), variant)
  }
})

const refused: readonly [string, string | undefined, readonly string[] | undefined][] = [
  ['an empty scope', '', undefined],
  ['a scope of spaces', '   ', undefined],
  ['a scope with a quote', 'a"b', undefined],
  ['a scope with a backslash', 'a\\b', undefined],
  ['a scope with a line feed', 'a\nb', undefined],
  ['a scope with a tab', 'a\tb', undefined],
  ['a scope beyond ASCII', 'ä', undefined],
  ['101 scopes', Array.from({ length: 101 }, (_, index) => `s${index}`).join(' '), undefined],
  ['a scope of 2001 characters', 'x'.repeat(2001), undefined],
  ['a relative resource', undefined, ['/v1']],
  ['an empty resource', undefined, ['']],
  ['a resource with a fragment', undefined, [`${API}#x`]],
  ['a resource with a space', undefined, [`${API} x`]],
  ['a resource with a line feed', undefined, [`${API}\nx`]],
  ['21 resources', undefined, Array.from({ length: 21 }, (_, index) => `urn:${index}`)],
  ['a resource of 2001 characters', undefined, [`urn:${'x'.repeat(1997)}`]],
]
for (const [name, scope, resource] of refused) {
  test(`${name} is refused with a sentence`, () =>
    assert.match(wrong(scope, resource) ?? '', /^(scope|resource|at most) /))
}
