import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAddressed } from '../src/http/addressed.ts'

const HERE = createAddressed({ publicUrl: 'https://keep.example.org', allowedHosts: ['keep.internal:7420'] })

/** Whether a request with this host, over a connection to this address, is taken. */
function taken(host: string, localAddress: string | undefined): boolean {
  try {
    HERE.check({ url: '/', headers: { host }, socket: { localAddress } })
    return true
  } catch {
    return false
  }
}

test('whoever asks by the very address of the connection is meant for us: no page can be re-bound to an address', () => {
  assert.ok(taken('10.1.2.3:7420', '10.1.2.3'))
  assert.ok(taken('10.1.2.3', '::ffff:10.1.2.3'))
  assert.ok(taken('[2001:db8::7]:7420', '2001:db8::7'))
})

test('another address, a name that is not known, or an address that is part of a name, is not', () => {
  assert.equal(taken('10.1.2.4:7420', '10.1.2.3'), false)
  assert.equal(taken('10.1.2.3.example.org', '10.1.2.3'), false)
  assert.equal(taken('evil.example', '10.1.2.3'), false)
  assert.equal(taken('10.1.2.3:7420', undefined), false)
})

test('loopback, the public URL and the allowed names are', () => {
  for (const host of ['localhost:1', '127.0.0.1', '[::1]:7420', 'keep.example.org', 'KEEP.internal:7420']) {
    assert.ok(taken(host, '10.1.2.3'), host)
  }
  assert.equal(taken('keep.internal:7421', '10.1.2.3'), false)
})
