import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions } from '../options.ts'

const KNOWN = ['refresh', 'scope', 'curl']

test('without an option every row is played; --only names some, which are played in the order of the table', () => {
  assert.deepEqual(readOptions([], KNOWN), { list: false, names: KNOWN })
  assert.deepEqual(readOptions(['--only', 'curl', '--only', 'refresh'], KNOWN), {
    list: false,
    names: ['refresh', 'curl'],
  })
  assert.deepEqual(readOptions(['--list'], KNOWN), { list: true })
})

for (const { argv, says } of [
  { argv: ['--only', 'refesh'], says: 'no row is called refesh; there are refresh, scope, curl' },
  { argv: ['--only', ''], says: 'no row is called ; there are refresh, scope, curl' },
  { argv: ['--only'], says: '--only is not understood; there are --only ROW, as often as you like, and --list' },
  { argv: ['--row', 'x'], says: '--row x is not understood; there are --only ROW, as often as you like, and --list' },
  { argv: ['refresh'], says: 'refresh is not understood; there are --only ROW, as often as you like, and --list' },
]) {
  test(`"${argv.join(' ')}" is refused in one sentence that says what there is`, () => {
    assert.throws(() => readOptions(argv, KNOWN), { message: says })
  })
}
