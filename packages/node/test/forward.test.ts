import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import test, { type TestContext } from 'node:test'
import { TokenError } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { createApiProofs } from '../src/api-proofs.ts'
import { createForward, type ApiRequest, type Forwarded, type Forwarding, type ForwardSetup } from '../src/forward.ts'
import { CERTIFICATE, httpServer, PRIVATE_KEY } from './fixtures/servers.ts'

const resolvesTo =
  (...addresses: readonly string[]): NonNullable<ForwardSetup['lookup']> =>
  () =>
    Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))

const about = (apiBaseUrls: readonly string[], more: Partial<Forwarding['provider']> = {}): Forwarding => ({
  uid: 'uid-1',
  provider: { id: 'external' as never, apiBaseUrls, allowPrivateNetwork: false, ...more },
})

const noneHere = () => Promise.reject(new Error('nothing here is bound to a key'))

function forwarder(t: TestContext, connection: Forwarding, more: Partial<ForwardSetup> = {}) {
  const forward = createForward({
    clock: createSystemClock(),
    extraCertificates: [CERTIFICATE],
    token: () => Promise.resolve({ accessToken: 'at-1', tokenType: 'Bearer' }),
    proofs: createApiProofs({ proofs: noneHere, boundKey: noneHere }),
    rejected: () => Promise.resolve(),
    connection: () => Promise.resolve(connection),
    ...more,
  })
  t.after(() => forward[Symbol.dispose]())
  return (asked: Partial<ApiRequest> = {}) =>
    forward('dealer', { method: 'GET', path: '', headers: [], body: null, idleMs: 5000, ...asked })
}

async function textOf(outcome: Forwarded): Promise<string> {
  if (outcome.kind === 'not_answered') return outcome.because
  let text = ''
  for await (const part of outcome.body) text += String(part)
  return `${outcome.status} ${text}`
}

async function tlsApi(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `tokenkeep.test:${(server.address() as AddressInfo).port}`
}

const invalid =
  (message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof TokenError && error.code === 'invalid_input')
    assert.match(error.message, message)
    return true
  }

test('a name that resolves into a private network is not connected to, also when only one of its addresses is there', async (t) => {
  const reached: unknown[] = []
  const host = await tlsApi(t, (request, response) => {
    reached.push(request.url)
    response.end('inside')
  })
  const connection = about([`https://${host}/v2`])
  for (const addresses of [
    ['127.0.0.1'],
    ['10.0.0.1'],
    ['169.254.169.254'],
    ['93.184.215.14', '127.0.0.1'],
    ['::1'],
    ['fd00::1'],
    ['64:ff9b::7f00:1'],
  ]) {
    assert.equal(
      await textOf(await forwarder(t, connection, { lookup: resolvesTo(...addresses) })()),
      'address_refused',
    )
  }
  assert.deepEqual(reached, [])
  // The control: the same name and server, allowed.
  const allowed = forwarder(t, about([`https://${host}/v2`], { allowPrivateNetwork: true }), {
    lookup: resolvesTo('127.0.0.1'),
  })
  assert.equal(await textOf(await allowed()), '200 inside')
  assert.deepEqual(reached, ['/v2'])
})

test('a name is looked up once for a connection: the addresses that were checked are those that are used', async (t) => {
  const host = await tlsApi(t, (_request, response) => response.end('inside'))
  let lookups = 0
  const lookup: ForwardSetup['lookup'] = (name) => {
    lookups += 1
    // Rebound: whoever asked again would be led elsewhere.
    return resolvesTo(lookups === 1 ? '127.0.0.1' : '127.0.0.2')(name)
  }
  const asking = forwarder(t, about([`https://${host}/v2`], { allowPrivateNetwork: true }), { lookup })
  assert.equal(await textOf(await asking()), '200 inside')
  assert.equal(lookups, 1)
})

test('a connection that was allowed is not used for a provider that is not allowed there', async (t) => {
  let connection = about([], {})
  const host = await tlsApi(t, (_request, response) => response.end('inside'))
  const asking = forwarder(t, connection, {
    connection: () => Promise.resolve(connection),
    lookup: resolvesTo('127.0.0.1'),
  })
  connection = about([`https://${host}/`], { allowPrivateNetwork: true })
  assert.equal(await textOf(await asking()), '200 inside')
  connection = about([`https://${host}/`])
  assert.equal(await textOf(await asking()), 'address_refused')
})

test('a certificate for another name, or that nobody trusts, is no connection', async (t) => {
  const host = await tlsApi(t, (_request, response) => response.end('inside'))
  const lookup = resolvesTo('127.0.0.1')
  const rules = { allowPrivateNetwork: true }
  const other = host.replace('tokenkeep', 'other')
  assert.equal(await textOf(await forwarder(t, about([`https://${other}/`], rules), { lookup })()), 'tls')
  const trusting = { lookup, extraCertificates: [] }
  assert.equal(await textOf(await forwarder(t, about([`https://${host}/`], rules), trusting)()), 'tls')
})

test('an id that was given to another connection meanwhile: the token of the one does not go to the API of the other', async (t) => {
  const reached: unknown[] = []
  const { origin } = await httpServer(t, (request, response) => {
    reached.push(request.url)
    response.end()
  })
  let uid = 'uid-1'
  const asking = forwarder(t, about([origin]), {
    connection: () => Promise.resolve({ ...about([origin]), uid }),
    token: () => {
      uid = 'uid-2'
      return Promise.resolve({ accessToken: 'at-2', tokenType: 'Bearer' })
    },
  })
  await assert.rejects(asking(), (error) => error instanceof TokenError && error.code === 'unknown_connection')
  assert.deepEqual(reached, [])
})

test('what the caller wants to be asked before it is sent is asked between hand-out and sending', async (t) => {
  const order: string[] = []
  const { origin } = await httpServer(t, (_request, response) => {
    order.push('sent')
    response.end()
  })
  const asking = forwarder(t, about([origin]), {
    token: () => {
      order.push('token')
      return Promise.resolve({ accessToken: 'at-1', tokenType: 'bearer' })
    },
  })
  await textOf(await asking({ beforeSending: () => Promise.resolve(order.push('asked')) }))
  assert.deepEqual(order, ['token', 'asked', 'sent'])
  await assert.rejects(asking({ beforeSending: () => Promise.reject(new Error('no longer')) }), /no longer/)
  assert.equal(order.filter((each) => each === 'sent').length, 1)
})

test('while the store is away it goes on with what it knew, as long as a token is handed out', async (t) => {
  const { origin } = await httpServer(t, (_request, response) => response.end('served'))
  let away = false
  const connection = async (): Promise<Forwarding> => {
    if (away) throw new TokenError('store_unavailable', 'away')
    return about([origin])
  }
  const asking = forwarder(t, about([origin]), { connection })
  await textOf(await asking())
  away = true
  assert.equal(await textOf(await asking()), '200 served')
  const never = forwarder(t, about([origin]), { connection })
  await assert.rejects(never(), /away/)
})

test('methods that would show the token or open a tunnel, and tokens that no header can carry, are refused', async (t) => {
  const { origin } = await httpServer(t, (_request, response) => response.end())
  const asking = forwarder(t, about([origin]))
  for (const method of ['TRACE', 'CONNECT']) await assert.rejects(asking({ method }), invalid(/is not forwarded/))
  await assert.rejects(asking({ query: 'a b' }), invalid(/query .* must be escaped/))
  for (const accessToken of ['at\r\nx: y', 'a t', 'ät', '']) {
    const odd = forwarder(t, about([origin]), { token: () => Promise.resolve({ accessToken, tokenType: 'Bearer' }) })
    await assert.rejects(odd(), (error) => {
      assert.ok(error instanceof TokenError)
      return accessToken === '' || !error.message.includes(accessToken)
    })
  }
  const mac = forwarder(t, about([origin]), { token: () => Promise.resolve({ accessToken: 'at', tokenType: 'mac' }) })
  await assert.rejects(mac(), invalid(/neither a Bearer nor a DPoP token/))
})

test('what a caller writes of the connection, the body`s length or the token is written here', async (t) => {
  let headers: NodeJS.Dict<string | string[]> = {}
  const { origin, host } = await httpServer(t, (request, response) => {
    headers = request.headersDistinct
    request.resume().once('end', () => response.end())
  })
  const asking = forwarder(t, about([origin]))
  const given = [
    ['Authorization', 'Bearer other'],
    ['DPoP', 'x'],
    ['Host', 'evil.example'],
    ['Connection', 'authorization'],
    ['Transfer-Encoding', 'gzip'],
    ['Content-Length', '99x'],
    ['Expect', '100-continue'],
    ['Upgrade', 'websocket'],
    ['X-Mine', 'yes'],
  ] as const
  await textOf(await asking({ method: 'DELETE', headers: given, body: Readable.from([Buffer.from('body')]) }))
  assert.deepEqual(
    { ...headers },
    {
      host: [host],
      'x-mine': ['yes'],
      authorization: ['Bearer at-1'],
      'transfer-encoding': ['chunked'],
      connection: ['keep-alive'],
    },
  )
})

test('a caller that gives up while the token is waited for goes at once, and nothing is sent', async (t) => {
  const { origin } = await httpServer(t, () => assert.fail('sent'))
  const giveUp = new AbortController()
  const asking = forwarder(t, about([origin]), { token: () => new Promise(() => undefined) })
  const waiting = asking({ signal: giveUp.signal })
  giveUp.abort(new Error('gone'))
  await assert.rejects(waiting, /gone/)
  const failing = forwarder(t, about([origin]), { token: () => Promise.reject(new Error('and later this')) })
  await assert.rejects(failing({ signal: giveUp.signal }), /gone/)
})
