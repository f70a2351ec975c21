import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ms } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createDial, type Destination, type DialSetup } from '../src/dial.ts'
import { Line } from '../src/line.ts'
import { CERTIFICATE, rawServer } from './fixtures/servers.ts'

const clock = createSystemClock()
const WITHIN = ms(5000)

async function dialled(
  url: URL | string,
  setup: Partial<DialSetup> = {},
  rules: Partial<Destination> = {},
  within = WITHIN,
): Promise<string> {
  const dial = createDial({ clock, extraCertificates: [CERTIFICATE], ...setup })
  const line = await dial({ url: new URL(url), method: 'POST', allowPrivateNetwork: false, ...rules }, within)
  if (!(line instanceof Line)) return line.because
  line.close()
  return 'line'
}

const resolvesTo =
  (...addresses: readonly string[]): NonNullable<DialSetup['lookup']> =>
  () =>
    Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))

test('a name that does not exist is a fault of DNS', async () => {
  assert.equal(await dialled('https://tokenkeep-does-not-exist.invalid/token'), 'dns')
})

test('a closed port is refused', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  assert.equal(await dialled(`http://127.0.0.1:${port}/token`), 'refused')
})

test('a certificate that nobody trusts, or for another name, is a fault of TLS', async (t) => {
  const url = await rawServer(t, 'https', (socket) => socket.resume())
  assert.equal(await dialled(url), 'line')
  assert.equal(await dialled(url, { extraCertificates: [] }), 'tls')
  const named = new URL(url)
  named.hostname = 'tokenkeep.test'
  const rules = { allowPrivateNetwork: true }
  assert.equal(await dialled(named, { lookup: resolvesTo('127.0.0.1') }, rules), 'line')
  named.hostname = 'other.test'
  assert.equal(await dialled(named, { lookup: resolvesTo('127.0.0.1') }, rules), 'tls')
})

test('a server without TLS behind https, and one that hangs up during the handshake, are faults of TLS', async (t) => {
  for (const answer of ['HTTP/1.1 400 Bad Request\r\n\r\n', '']) {
    const url = await rawServer(t, 'http', (socket) => socket.once('data', () => socket.end(answer)))
    url.protocol = 'https'
    assert.equal(await dialled(url), 'tls')
  }
})

test('a server that only speaks HTTP/2 is a fault of TLS', async (t) => {
  assert.equal(await dialled(await rawServer(t, 'https', () => undefined, { ALPNProtocols: ['h2'] })), 'tls')
})

test('a server that refuses us after our side of the handshake, as TLS 1.3 allows, was sent nothing', async (t) => {
  const url = await rawServer(t, 'https', () => undefined, { requestCert: true, rejectUnauthorized: true })
  const dial = createDial({ clock, extraCertificates: [CERTIFICATE] })
  const line = await dial({ url, method: 'POST', allowPrivateNetwork: false }, WITHIN)
  assert.ok(line instanceof Line)
  await sleep(200)
  const presentation = line.send(() => assert.fail('the ticket was taken'))
  assert.deepEqual(await presentation.ever, { kind: 'not_sent', because: 'tls' })
})

test('a server that accepts and then says nothing is given up in time, and its connection is dropped', async (t) => {
  const dropped = Promise.withResolvers<undefined>()
  const url = await rawServer(t, 'http', (socket) => {
    socket.resume()
    socket.on('close', () => dropped.resolve(undefined))
  })
  url.protocol = 'https'
  assert.equal(await dialled(url, {}, {}, ms(200)), 'timeout')
  await dropped.promise
})

test('a name server that says nothing is given up in time', async () => {
  const lookup = (): Promise<never> => new Promise(() => undefined)
  assert.equal(await dialled('https://id.example.org/token', { lookup }, {}, ms(50)), 'timeout')
})

test('a public name that resolves to a private address is refused, also when only one of its addresses is', async (t) => {
  const reached: string[] = []
  const { port } = await rawServer(t, 'http', (socket) => {
    reached.push('reached')
    socket.destroy()
  })
  const url = `https://id.example.org:${port}/token`
  for (const lookup of [
    resolvesTo('127.0.0.1'),
    resolvesTo('10.0.0.1'),
    resolvesTo('169.254.169.254'),
    resolvesTo('93.184.215.14', '127.0.0.1'),
    resolvesTo('fe80::1%lo'),
  ]) {
    assert.equal(await dialled(url, { lookup }), 'address_refused')
  }
  assert.deepEqual(reached, [])
  // The control: the same name and server, allowed.
  assert.equal(await dialled(url, { lookup: resolvesTo('127.0.0.1') }, { allowPrivateNetwork: true }), 'tls')
  assert.deepEqual(reached, ['reached'])
})

test('localhost that resolves to another machine is refused', async () => {
  const rules = { allowPrivateNetwork: true }
  assert.equal(await dialled('http://localhost:1/', { lookup: resolvesTo('10.0.0.1') }, rules), 'address_refused')
})

test('a URL that the rules refuse is not even looked up', async () => {
  const lookup = (): never => assert.fail('looked up')
  for (const url of ['http://id.example.org/', 'https://10.0.0.1/', 'https://user:password@id.example.org/']) {
    assert.equal(await dialled(url, { lookup }), 'address_refused')
  }
})

test('the connection goes to the address that was checked, not to one looked up again', async (t) => {
  const { port } = await rawServer(t, 'http', () => undefined)
  let asked = 0
  const lookup = (): ReturnType<NonNullable<DialSetup['lookup']>> => {
    asked++
    return Promise.resolve([{ address: '127.0.0.1', family: 4 }])
  }
  assert.equal(await dialled(`http://localhost:${port}/token`, { lookup }), 'line')
  assert.equal(asked, 1)
})

test('of several addresses one that answers is enough', async (t) => {
  const { port } = await rawServer(t, 'http', () => undefined)
  const lookup = resolvesTo('::1', '127.0.0.1')
  assert.equal(await dialled(`http://localhost:${port}/token`, { lookup }), 'line')
})
