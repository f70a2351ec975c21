/** A secret shows its kind and nothing else, wherever a program prints by accident. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect, format } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { Secret } from '../src/secret.ts'

const CANARY = 'canary-7f3a91'
const secret = new Secret('refresh_token', CANARY)

const printed: readonly [string, () => string][] = [
  ['a template', () => `${secret}`],
  ['String', () => String(secret)],
  ['concatenation', () => 'x'.concat(secret as unknown as string)],
  ['JSON', () => JSON.stringify(secret)],
  ['JSON of what holds it', () => JSON.stringify({ deep: [{ secret }] })],
  ['inspect', () => inspect(secret)],
  ['inspect with everything shown', () => inspect(secret, { showHidden: true, depth: null, getters: true })],
  ['inspect without its own hook', () => inspect(secret, { customInspect: false, showHidden: true, depth: null })],
  ['inspect of what holds it', () => inspect({ deep: [[[[secret]]]] }, { showHidden: true, depth: null })],
  ['format', () => format('%s %o %O %j', secret, secret, secret, secret)],
  ['an error message', () => inspect(new Error(`failed with ${secret}`))],
  ['an error cause', () => inspect(new Error('failed', { cause: secret }), { showHidden: true, depth: null })],
  [
    'an error property',
    () => inspect(Object.assign(new Error('failed'), { secret }), { showHidden: true, depth: null }),
  ],
  ['a spread', () => inspect({ ...secret }, { showHidden: true })],
  ['Object.assign', () => JSON.stringify(Object.assign({}, secret))],
  ['its names', () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret)])],
  ['a structured clone', () => inspect(structuredClone(secret), { showHidden: true })],
  ['a message to a worker', () => inspect(deserialize(serialize(secret)), { showHidden: true })],
  ['bytes of a message', () => serialize(secret).toString('latin1')],
  [
    'a map and a set',
    () => inspect([new Map([[secret, secret]]), new Set([secret])], { showHidden: true, depth: null }),
  ],
  ['a thrown secret', () => inspect(new AggregateError([secret], 'x'), { showHidden: true, depth: null })],
]
for (const [name, print] of printed) {
  test(`${name} does not show the value`, () => assert.ok(!print().includes(CANARY)))
}

test('it says its kind where it refuses to print', () => {
  assert.deepEqual(
    [`${secret}`, JSON.stringify(secret), inspect(secret)],
    ['[refresh_token]', '"[refresh_token]"', '[refresh_token]'],
  )
})

test('its value comes out in one way only', () => assert.equal(secret.reveal(), CANARY))
