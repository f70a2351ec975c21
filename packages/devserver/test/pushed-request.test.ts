import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { RealmOptions } from '../src/index.ts'
import { Browser } from '../src/browser.ts'
import { authorization, CALLBACK, PUBLIC_CLIENT, redeem, signIn, WEB_CLIENT } from './browser.ts'
import { openTrial, OWN_CREDENTIALS, text, type Trial } from './trial.ts'

const PAR = 'ext/par/request'

const open = (t: TestContext, realm: Partial<RealmOptions> = {}) =>
  openTrial(t, { clients: [WEB_CLIENT, PUBLIC_CLIENT], ...realm })

/** Pushes what an authorization URL says, and gives the short URL that takes its place. */
async function push(trial: Trial, more: Readonly<Record<string, string>> = {}) {
  const { url, verifier } = authorization(trial)
  const asked = Object.fromEntries(new URL(url).searchParams)
  const reply = await trial.post(PAR, { ...asked, ...OWN_CREDENTIALS, ...more })
  const short = new URL(url)
  short.search = new URLSearchParams({ client_id: 'app', request_uri: String(reply.body['request_uri']) }).toString()
  return { reply, url: short.href, verifier }
}

/** The error that a browser comes back with. */
async function refusal(url: string): Promise<string | null> {
  const refused = await new Browser().follow(url, CALLBACK)
  assert.ok('left' in refused && refused.left.href.startsWith(CALLBACK))
  assert.equal(refused.left.searchParams.get('code'), null)
  return refused.left.searchParams.get('error')
}

const metadata = async (trial: Trial) =>
  (await (await fetch(`${trial.devserver.issuer('external')}/.well-known/openid-configuration`)).json()) as Record<
    string,
    unknown
  >

test('a pushed authorization request is signed in to by its reference alone', async (t) => {
  const trial = await open(t)
  const { reply, url, verifier } = await push(trial)
  assert.equal(reply.status, 201)
  assert.match(text(reply, 'request_uri'), /^urn:ietf:params:oauth:request_uri:/)
  assert.equal(reply.body['expires_in'], 60)

  const left = await signIn(new Browser(), url, 'ada')
  assert.equal(left.searchParams.get('state'), 'st')
  const redeemed = await redeem(trial, left.searchParams.get('code') ?? '', verifier)
  assert.deepEqual([redeemed.status, redeemed.body['scope']], [200, 'openid dealer-api'])
  assert.deepEqual((await trial.devserver.control.totals()).par, { requests: 1, byStatus: { '201': 1 } })
})

test('a reference is used once, and only by the client that pushed', async (t) => {
  const trial = await open(t)
  const { url } = await push(trial)
  const elsewhere = new URL(url)
  elsewhere.searchParams.set('client_id', 'spa')
  assert.equal(await refusal(elsewhere.href), 'invalid_request_object')
  await signIn(new Browser(), url, 'ada')
  assert.equal(await refusal(url), 'invalid_request_uri')
})

test('a push is refused as a token request would be: wrong secret, foreign callback', async (t) => {
  const trial = await open(t)
  const stranger = await push(trial, { client_secret: 'wrong' })
  assert.deepEqual([stranger.reply.status, stranger.reply.body['error']], [401, 'invalid_client'])
  const foreign = await push(trial, { redirect_uri: 'https://evil.example/' })
  assert.deepEqual([foreign.reply.status, foreign.reply.body['error']], [400, 'invalid_request'])
})

test('a realm or a client that requires pushing refuses what came through the browser', async (t) => {
  const realms: Partial<RealmOptions>[] = [
    { pushedAuthorizationRequests: 'required' },
    { clients: [{ ...WEB_CLIENT, requirePushedAuthorizationRequests: true }, PUBLIC_CLIENT] },
  ]
  for (const realm of realms) {
    const trial = await open(t, realm)
    assert.equal(await refusal(authorization(trial).url), 'invalid_request')
    const left = await signIn(new Browser(), (await push(trial)).url, 'ada')
    assert.ok(left.searchParams.get('code'))
  }
})

test('the metadata says where to push, whether one must, and nothing where it is off', async (t) => {
  const trial = await open(t)
  const endpoint = `${trial.devserver.issuer('external')}/protocol/openid-connect/${PAR}`
  const allowed = await metadata(trial)
  assert.equal(allowed['pushed_authorization_request_endpoint'], endpoint)
  assert.equal(allowed['require_pushed_authorization_requests'], undefined)

  await trial.devserver.control.updateRealm('external', { pushedAuthorizationRequests: 'required' })
  assert.equal((await metadata(trial))['require_pushed_authorization_requests'], true)

  await trial.devserver.control.updateRealm('external', { pushedAuthorizationRequests: 'off' })
  assert.equal((await metadata(trial))['pushed_authorization_request_endpoint'], undefined)
  assert.equal((await fetch(endpoint, { method: 'POST' })).status, 404)
})

test('the endpoint for pushed requests can fail too', async (t) => {
  const trial = await open(t)
  const fault = { kind: 'status', status: 503 } as const
  await trial.devserver.control.addFault({ fault, when: 'before', times: 1, endpoint: 'par' })
  assert.equal((await push(trial)).reply.status, 503)
  assert.equal((await push(trial)).reply.status, 201)
})
