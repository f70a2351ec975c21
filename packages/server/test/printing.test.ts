import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromNow, localIso, span } from '../src/cli/moments.ts'
import { jsonLine, printable, shellWord } from '../src/cli/printable.ts'
import { pairs, table } from '../src/cli/table.ts'

const plain = (text: string): string => text
const ESCAPE = String.fromCodePoint(0x1b)
const CSI = String.fromCodePoint(0x9b)
const RIGHT_TO_LEFT = String.fromCodePoint(0x202e)
const TAG_A = String.fromCodePoint(0xe0061)

test('control, invisible and bidirectional characters are shown and not obeyed', () => {
  assert.equal(printable(`a${ESCAPE}[31mb`), 'a\\u{1b}[31mb')
  assert.equal(printable(`a${CSI}2Jb\r\n`), 'a\\u{9b}2Jb\\u{d}\\u{a}')
  assert.equal(printable(`a${RIGHT_TO_LEFT}b${TAG_A}`), 'a\\u{202e}b\\u{e0061}')
  assert.equal(printable('Zürich 日本 🚲'), 'Zürich 日本 🚲')
})

test('JSON for a terminal holds none of them either, and says the same', () => {
  const value = { text: `a${CSI}2J${RIGHT_TO_LEFT}${TAG_A}\n` }
  const line = jsonLine(value)
  assert.match(line, /^[\x20-\x7e]+$/)
  assert.deepEqual(JSON.parse(line), value)
})

test('a word that a shell would take for something else is quoted', () => {
  assert.deepEqual(['dealer-42', './a/b', 'a b', "it's", '$(id)'].map(shellWord), [
    'dealer-42',
    './a/b',
    "'a b'",
    "'it'\\''s'",
    "'$(id)'",
  ])
})

test('a table is aligned, has no blanks at the ends of its lines, and makes every cell printable', () => {
  const marked = { text: `x${ESCAPE}`, paint: (text: string) => `<${text}>` }
  assert.deepEqual(
    table(
      ['ID', 'STATUS'],
      [
        ['long-one', 'ready'],
        [marked, ''],
      ],
      plain,
    ),
    ['ID        STATUS', 'long-one  ready', '<x\\u{1b}>'],
  )
  assert.deepEqual(
    pairs(
      [
        ['a', '1'],
        ['bcd', `2${ESCAPE}`],
      ],
      plain,
    ),
    ['a    1', 'bcd  2\\u{1b}'],
  )
})

test('a distance in time has one unit, rounded down', () => {
  const spans = [0, 999, 1000, 42_999, 99_999, 100_000, 5_999_999, 6_000_000, 172_799_999, 172_800_000]
  assert.deepEqual(spans.map(span), ['1 s', '1 s', '1 s', '42 s', '99 s', '1 min', '99 min', '1 h', '47 h', '2 d'])
  assert.equal(fromNow(42_000, 0), 'in 42 s')
  assert.equal(fromNow(0, 180_000), '3 min ago')
  assert.equal(fromNow(499, 0), 'now')
})

test('a moment is told in local time with its offset', () => {
  const before = process.env['TZ']
  const at = Date.UTC(2026, 6, 2, 10, 0, 1)
  try {
    for (const [zone, expected] of [
      ['Europe/Berlin', '2026-07-02T12:00:01+02:00'],
      ['UTC', '2026-07-02T10:00:01+00:00'],
      ['America/St_Johns', '2026-07-02T07:30:01-02:30'],
    ] as const) {
      process.env['TZ'] = zone
      assert.equal(localIso(at), expected)
    }
  } finally {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  }
})
