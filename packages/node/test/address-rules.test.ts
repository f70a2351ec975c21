import assert from 'node:assert/strict'
import test from 'node:test'
import { mayConnect, readProviderUrl } from '../src/address-rules.ts'

const PUBLIC_ONLY = { allowPrivateNetwork: false }
const PRIVATE_TOO = { allowPrivateNetwork: true }

const wrong = (text: unknown, rules = PUBLIC_ONLY): string | null => {
  const read = readProviderUrl(text, rules)
  return 'wrong' in read ? read.wrong : null
}

const ACCEPTED = [
  'https://id.example.org/realms/external/protocol/openid-connect/token',
  'https://id.example.org:8443/token?tenant=1',
  'https://8.8.8.8/token',
  'https://[2606:4700::1111]/token',
  'https://[64:ff9b::8.8.8.8]/token',
  'https://172.15.255.255/token',
  'https://172.32.0.0/token',
  'https://100.63.255.255/token',
  'https://100.128.0.0/token',
  'http://localhost:8080/token',
  'http://127.0.0.1:8080/token',
  'http://127.255.255.254/token',
  'http://[::1]:8080/token',
  'https://localhost/token',
]
for (const url of ACCEPTED) {
  test(`accepts ${url}`, () => assert.equal(wrong(url), null))
}

const PRIVATE = [
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::ffff:10.0.0.1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:8.8.8.8]',
  '[::7f00:1]',
  '[64:ff9b::10.0.0.1]',
  '[64:ff9b::169.254.169.254]',
  '[64:ff9b::1]',
  '[64:ff9b::]',
  '[64:ff9b:1::8.8.8.8]',
  '[2002:a00:1::]',
  '[fc00::1]',
  '[fdff::1]',
  '[fe80::1]',
  '[ff02::1]',
]
for (const host of PRIVATE) {
  test(`refuses https://${host} unless private networks are allowed, and names the setting`, () => {
    assert.match(wrong(`https://${host}/token`) ?? '', /allowPrivateNetwork: true/)
    assert.equal(wrong(`https://${host}/token`, PRIVATE_TOO), null)
  })
}

test('an address in disguise is read as what it is', () => {
  assert.match(wrong('https://0xA9FEA9FE/latest') ?? '', /169\.254\.169\.254/)
  assert.match(wrong('https://167772161/token') ?? '', /10\.0\.0\.1/)
})

test('plain http is refused for everything but loopback, also inside an allowed private network', () => {
  for (const host of ['id.example.org', '10.0.0.1', '[fd00::1]', 'localhost.example.org', 'localhost.']) {
    assert.match(wrong(`http://${host}/token`, PRIVATE_TOO) ?? '', /must begin with https/)
  }
})

test('other schemes, credentials, fragments, white space, control characters and endless URLs are refused', () => {
  assert.match(wrong('ftp://id.example.org/') ?? '', /https/)
  assert.match(wrong('file:///etc/passwd') ?? '', /https/)
  assert.match(wrong('id.example.org/token') ?? '', /absolute URL/)
  assert.match(wrong('') ?? '', /absolute URL/)
  assert.match(wrong(42) ?? '', /absolute URL/)
  assert.match(wrong('https://id.example.org/token#') ?? '', /fragment/)
  assert.match(wrong('https://id.example.org/token#a') ?? '', /fragment/)
  assert.match(wrong('https://id.example\n.org/token') ?? '', /control characters/)
  assert.match(wrong(' https://id.example.org/token') ?? '', /white space/)
  assert.match(wrong(`https://id.example.org/${'a'.repeat(2000)}`) ?? '', /at most 2000/)
})

test('a password in a refused URL is not repeated in the message', () => {
  const message = wrong('https://app:canary-secret@id.example.org/token') ?? ''
  assert.match(message, /user name or password/)
  assert.ok(!message.includes('canary-secret'))
})

test('a public name may not resolve to a private or local address', () => {
  const url = new URL('https://id.example.org/token')
  assert.equal(mayConnect(url, '93.184.215.14', PUBLIC_ONLY), true)
  assert.equal(mayConnect(url, '64:ff9b::5db8:d70e', PUBLIC_ONLY), true)
  for (const address of [
    '10.0.0.1',
    '127.0.0.1',
    '::1',
    '169.254.169.254',
    'fe80::1%eth0',
    '2606:4700::1111%eth0',
    '64:ff9b::a00:1',
    'nonsense',
  ]) {
    assert.equal(mayConnect(url, address, PUBLIC_ONLY), false, address)
  }
  assert.equal(mayConnect(url, '10.0.0.1', PRIVATE_TOO), true)
})

test('localhost may only resolve to this machine, whatever else is allowed', () => {
  const url = new URL('http://localhost:8080/token')
  assert.equal(mayConnect(url, '127.0.0.1', PUBLIC_ONLY), true)
  assert.equal(mayConnect(url, '::1', PUBLIC_ONLY), true)
  assert.equal(mayConnect(url, '10.0.0.1', PRIVATE_TOO), false)
  assert.equal(mayConnect(url, '93.184.215.14', PRIVATE_TOO), false)
})
