import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIntrospectionTrust } from '../src/introspection-trust.ts'
import type { ClientId, Fingerprint, Uid } from '../src/ids.ts'
import type { MonoMs } from '../src/time.ts'

const APP = 'app' as ClientId
const HOUR = 3_600_000
const at = (ms: number): MonoMs => ms as MonoMs
const token = (uid: string, fingerprint: string, client = APP) => ({
  client,
  uid: uid as Uid,
  fingerprint: fingerprint as Fingerprint,
})

test('the first inactive token is believed, however often it is asked about, and the first one of each connection', () => {
  const trust = createIntrospectionTrust()
  assert.ok(trust.hear(token('one', 'A'), false, at(0)))
  assert.ok(trust.hear(token('one', 'A'), false, at(1)))
  assert.ok(trust.hear(token('other', 'B'), false, at(2)))
  assert.ok(!trust.isSilent(APP, at(3)))
})

test('two inactive tokens of one connection, and never an active one, say that it tells this client nothing', () => {
  const trust = createIntrospectionTrust()
  trust.hear(token('one', 'A'), false, at(0))
  trust.hear(token('other', 'B'), false, at(1))
  assert.ok(!trust.hear(token('one', 'C'), false, at(2)))
  assert.ok(trust.isSilent(APP, at(3)))
  assert.ok(!trust.isSilent('another' as ClientId, at(3)))
})

test('it is asked again after an hour, and costs two questions to find out', () => {
  const trust = createIntrospectionTrust()
  trust.hear(token('one', 'A'), false, at(0))
  trust.hear(token('one', 'B'), false, at(0))
  assert.ok(trust.isSilent(APP, at(HOUR - 1)))
  assert.ok(!trust.isSilent(APP, at(HOUR)))
  assert.ok(trust.hear(token('one', 'C'), false, at(HOUR)))
  assert.ok(!trust.hear(token('one', 'D'), false, at(HOUR)))
})

test('one that ever called a token of this client active is believed', () => {
  const trust = createIntrospectionTrust()
  trust.hear(token('one', 'A'), false, at(0))
  trust.hear(token('other', 'B'), true, at(1))
  for (const fingerprint of ['C', 'D', 'E']) assert.ok(trust.hear(token('one', fingerprint), false, at(2)))
  assert.ok(!trust.isSilent(APP, at(3)))
})

test('it remembers a hundred connections of a client, and finds out by those', () => {
  const trust = createIntrospectionTrust()
  for (let each = 0; each < 1_000; each += 1) trust.hear(token(`uid-${each}`, 'A'), false, at(0))
  assert.ok(trust.hear(token('uid-100', 'B'), false, at(1)))
  assert.ok(!trust.hear(token('uid-99', 'B'), false, at(1)))
})
