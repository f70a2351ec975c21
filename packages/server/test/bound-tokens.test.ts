/** Tokens that are bound to a key (RFC 9449), over HTTP, at the drop-in, through the proxy, and by command. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { decodeJwt, exportJWK, generateKeyPair } from 'jose'
import type { Client } from '@tokenkeep/node'
import { openBothWays, WAYS, type BothWays } from './both-ways.ts'
import { answer, errorAnswer } from './command.ts'
import { openProxyWorld, type ProxyWorld } from './proxy-world.ts'
import { CLIENT_SECRET, REALM } from './served-world.ts'

async function newKey(): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return JSON.stringify(await exportJWK(privateKey))
}

suite('at a server', () => {
  let proxy: ProxyWorld
  const ask = async (method: string, path: string, body?: object) => {
    const { url, admin } = proxy.world
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${admin.key}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, text, body: JSON.parse(text) as Readonly<Record<string, unknown>> }
  }
  before(async () => {
    proxy = await openProxyWorld({ options: { realm: { dpop: 'required', dpopNonce: true } } })
    const registered = {
      provider: 'external',
      client_id: 'app',
      client_secret: CLIENT_SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      dpop_bound_access_tokens: true,
    }
    const client = await ask('PUT', '/v1/clients/bound', registered)
    assert.deepEqual([client.status, client.body['dpop_bound_access_tokens']], [200, true], client.text)
    const { refreshToken } = await proxy.world.upstream.control.seedSession(REALM, { clientId: 'app' })
    const sent = { id: 'bound', client: 'bound', refresh_token: refreshToken, dpop_key: await newKey() }
    const imported = await ask('POST', '/v1/connections', sent)
    assert.equal(imported.status, 201, imported.text)
  })
  after(() => proxy[Symbol.asyncDispose]())

  test('the token route and the drop-in say by the type that the token needs a proof', async () => {
    const { world } = proxy
    const shown = await ask('GET', '/v1/connections/bound/token')
    assert.deepEqual([shown.status, shown.body['token_type']], [200, 'DPoP'])
    const key = await world.makeKey()
    const { body } = await world.refresh(key, await world.share('bound', key))
    assert.deepEqual([body['token_type'], body['access_token']], ['DPoP', shown.body['access_token']])
    assert.doesNotMatch(shown.text, /"d"|private/)
  })

  test('through the proxy the API gets the token with a proof of ours, whatever the caller brought', async () => {
    const { api, call, world } = proxy
    const answered = await call('/v1/proxy/bound/offers?page=2', { headers: { dpop: 'of the caller' } })
    assert.equal(answered.status, 200)
    const last = api.reached.at(-1) ?? assert.fail('nothing reached the API')
    const { accessToken } = await world.keep.token('bound')
    assert.equal(last.header('authorization'), `DPoP ${accessToken}`)
    const { htm, htu } = decodeJwt(last.header('dpop') ?? '')
    assert.deepEqual([htm, htu], ['GET', `${api.origin}/v2/offers`])
  })

  test('a key that is none is refused and not repeated, and so is one for a client that proves none', async () => {
    const brings = (client: string, dpop_key: string) =>
      ask('POST', '/v1/connections', { id: 'other', client, refresh_token: 'rt-1', dpop_key })
    for (const [client, key, says] of [
      ['bound', '{"kty":"EC","d":"canary"}', /dpopKey is no private key/],
      ['app', await newKey(), /proves none/],
    ] as const) {
      const refused = await brings(client, key)
      assert.deepEqual([refused.status, refused.body['code']], [400, 'invalid_input'])
      assert.match(refused.text, says)
      assert.doesNotMatch(refused.text, /canary/)
    }
  })
})

suite('by command', () => {
  let world: BothWays
  before(async () => {
    world = await openBothWays()
  })
  after(() => world.close())

  for (const way of WAYS) {
    test(`a client binds tokens, and a connection comes with its key from a file or from standard input (${way})`, async () => {
      const adding = ['client', 'add', `bound-${way}`, '--provider', 'ext', '--client-id', 'app', '--dpop']
      const client = answer<Client>(await world.command(way, [...adding, '--auth-method', 'none', '--json']))
      assert.equal(client.dpopBoundAccessTokens, true)
      const told = await world.command(way, [...adding, '--auth-method', 'none'])
      assert.match(told.out, /tokens are bound to +a key of each sign-in \(DPoP\)/)
      const importing = ['connection', 'import', `phone-${way}`, '--client', `bound-${way}`, '--json']
      const token = join(world.desk.folder, `rt-${way}`)
      await writeFile(token, 'rt-1')
      const without = await world.command(way, [...importing, '--refresh-token-file', token])
      assert.match(errorAnswer(without).message, /bring it as dpopKey/)
      const key = ['--dpop-key-stdin', '--refresh-token-file', token]
      const wrong = await world.command(way, [...importing, ...key], { input: '{"d":"canary"}' })
      assert.match(errorAnswer(wrong).message, /dpopKey is no private key/)
      answer(await world.command(way, [...importing, ...key], { input: await newKey() }))
      assert.doesNotMatch(world.printed(), /canary/)
    })
  }
})
