import assert from 'node:assert/strict'
import { test } from 'node:test'
import { next, parseConnectionId, parseName, type ClientId, type Fence, type ProviderId } from '../src/ids.ts'

const idOf = (text: unknown): string | null => {
  const parsed = parseConnectionId(text)
  return 'id' in parsed ? parsed.id : null
}

for (const good of [
  'dealer-42',
  'a',
  '0',
  'user@example.org',
  'tenant/7:x',
  'Ünïcode',
  '日本',
  'x'.repeat(200),
  '...',
]) {
  test(`"${good.slice(0, 20)}" can name a connection`, () => assert.equal(idOf(good), good))
}

const bad: readonly [string, unknown][] = [
  ['nothing', undefined],
  ['null', null],
  ['a number', 42],
  ['an object', { toString: () => 'x' }],
  ['an empty text', ''],
  ['201 characters', 'x'.repeat(201)],
  ['a megabyte', 'x'.repeat(1_000_000)],
  ['a space', 'a b'],
  ['a line feed', 'a\nb'],
  ['a line feed at the end', 'a\n'],
  ['a no-break space', 'a\u00a0b'],
  ['a control character', 'a\u0000'],
  ['a delete character', 'a\u007f'],
  ['a zero-width space', 'a\u200bb'],
  ['a right-to-left override', 'a\u202eb'],
  ['half of a surrogate pair', 'a\ud800'],
  ['a private use character', 'a\ue000'],
  ['a leading dash', '-a'],
  ['a dot', '.'],
  ['two dots', '..'],
  ['an API key', `tkk_${'x'.repeat(43)}`],
  ['a local refresh token', `tkr_${'-'.repeat(43)}`],
]
for (const [name, text] of bad) {
  test(`${name} cannot name a connection, and the answer says why without repeating it`, () => {
    const parsed = parseConnectionId(text)
    assert.ok('wrong' in parsed)
    assert.match(parsed.wrong, /^a connection id /)
    assert.ok(parsed.wrong.length < 120)
  })
}

test('two spellings of one id are one id', () => {
  assert.equal(idOf('e\u0301'), idOf('\u00e9'))
})

test('the name of a provider or client is a path segment that needs no escaping', () => {
  for (const good of ['external', 'A1', '0.9_b-c', 'x'.repeat(64)]) {
    assert.deepEqual(parseName<ProviderId>('provider', good), { id: good })
  }
  for (const wrong of ['', '.', '..', '-a', '_a', 'a/b', 'a b', 'a\n', 'ä', 'x'.repeat(65), 7, null]) {
    const parsed = parseName<ClientId>('client', wrong)
    assert.ok('wrong' in parsed && parsed.wrong.startsWith('a client id '), String(wrong))
  }
})

test('a counter goes up by one', () => assert.equal(next(41 as Fence), 42))
