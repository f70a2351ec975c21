import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { State, type Unit } from '../src/state.ts'
import { Browser } from '../src/browser.ts'
import { authorization, PUBLIC_CLIENT, redeem, signIn, WEB_CLIENT } from './browser.ts'
import { openTrial, text } from './trial.ts'

const open = (t: TestContext) => openTrial(t, { clients: [WEB_CLIENT, PUBLIC_CLIENT] })

/** Gives everybody else time to act between a decision and its commit. */
function slowCommits(t: TestContext): void {
  const together = State.prototype.together
  t.mock.method(State.prototype, 'together', function (this: State, work: (unit: Unit) => Promise<unknown>) {
    return together.call(this, async (unit) => {
      await work(unit)
      await sleep(5)
    })
  })
}

test('code flow with PKCE, end to end: sign in, redeem, use, refresh', async (t) => {
  const trial = await open(t)
  const { url, verifier } = authorization(trial)
  const left = await signIn(new Browser(), url, 'ada')
  assert.equal(left.searchParams.get('state'), 'st')
  assert.equal(left.searchParams.get('iss'), trial.devserver.issuer('external'))

  const reply = await redeem(trial, left.searchParams.get('code') ?? '', verifier)
  assert.equal(reply.status, 200)
  assert.equal(reply.body['scope'], 'openid dealer-api')
  assert.ok(reply.body['id_token'])
  const offers = await trial.offers(text(reply, 'access_token'))
  assert.equal(offers.status, 200)
  assert.equal(((await offers.json()) as { subject: string }).subject, 'ada')

  const refreshed = await trial.refresh(text(reply, 'refresh_token'))
  assert.equal(refreshed.status, 200)
  const counters = await trial.counters(text(reply, 'session_state'))
  assert.deepEqual([counters.subject, counters.clientId, counters.refreshes], ['ada', 'app', 1])
})

test('a public client signs in with PKCE and without a secret', async (t) => {
  const trial = await open(t)
  const { url, verifier } = authorization(trial, {
    client_id: 'spa',
    scope: 'openid offline_access dealer-api',
    prompt: 'consent',
  })
  const left = await signIn(new Browser(), url, 'ada')
  const reply = await redeem(trial, left.searchParams.get('code') ?? '', verifier, { client_id: 'spa' })
  assert.equal(reply.status, 200)
  assert.equal(reply.body['scope'], 'openid offline_access dealer-api')
  assert.equal((await trial.devserver.control.sessions('external')).length, 1)
})

test('a resource asked for at sign-in becomes the audience of the first access token', async (t) => {
  const trial = await open(t)
  const { url, verifier } = authorization(trial, { resource: 'https://api.example.org/' })
  const left = await signIn(new Browser(), url, 'ada')
  const reply = await redeem(trial, left.searchParams.get('code') ?? '', verifier)
  const [, claims = ''] = text(reply, 'access_token').split('.')
  const { aud } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud: unknown }
  assert.equal(aud, 'https://api.example.org/')
  assert.equal(reply.body['scope'], 'openid dealer-api')
})

test('a wrong PKCE verifier is refused', async (t) => {
  const trial = await open(t)
  const left = await signIn(new Browser(), authorization(trial).url, 'ada')
  const reply = await redeem(trial, left.searchParams.get('code') ?? '', 'x'.repeat(43))
  assert.deepEqual([reply.status, reply.body['error']], [400, 'invalid_grant'])
})

test('a code redeemed ten times at once is redeemed once, and its session dies', async (t) => {
  const trial = await open(t)
  const { url, verifier } = authorization(trial)
  const code = (await signIn(new Browser(), url, 'ada')).searchParams.get('code') ?? ''
  slowCommits(t)
  const replies = await Promise.all(Array.from({ length: 10 }, () => redeem(trial, code, verifier)))
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
  assert.equal(replies.filter(({ body }) => body['error'] === 'invalid_grant').length, 9)
  const [session] = await trial.devserver.control.sessions('external')
  assert.equal(session?.killedBecause, 'code_reuse')
  const winner = replies.find(({ status }) => status === 200)
  assert.ok(winner)
  assert.equal((await trial.offers(text(winner, 'access_token'))).status, 401)
})

test('a second sign-in of the same browser is a session of its own', async (t) => {
  const trial = await open(t)
  const browser = new Browser()
  const replies = []
  for (let n = 0; n < 2; n++) {
    const { url, verifier } = authorization(trial)
    const left = await signIn(browser, url, 'ada')
    replies.push(await redeem(trial, left.searchParams.get('code') ?? '', verifier))
  }
  const [first, second] = replies
  assert.ok(first && second)
  await trial.refresh(text(first, 'refresh_token'))
  await trial.refresh(text(first, 'refresh_token'))
  assert.equal((await trial.refresh(text(first, 'refresh_token'))).status, 400)
  assert.equal((await trial.refresh(text(second, 'refresh_token'))).status, 200)
})

test('signing out in the browser ends every session that was signed in there, and no other', async (t) => {
  const trial = await open(t)
  const browser = new Browser()
  const there = []
  for (let n = 0; n < 2; n++) {
    const { url, verifier } = authorization(trial)
    const left = await signIn(browser, url, 'ada')
    there.push(await redeem(trial, left.searchParams.get('code') ?? '', verifier))
  }
  const elsewhere = await trial.seed({ subject: 'ada' })

  const page = await browser.visit(`${trial.devserver.issuer('external')}/protocol/openid-connect/logout`)
  const html = await page.text()
  const [, action = ''] = /action="([^"]+)"/.exec(html) ?? []
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(html) ?? []
  assert.equal((await browser.visit(action, { xsrf, logout: 'yes' })).status, 303)

  for (const reply of there) {
    assert.equal((await trial.refresh(text(reply, 'refresh_token'))).status, 400)
    assert.equal((await trial.counters(text(reply, 'session_state'))).killedBecause, 'logout')
  }
  assert.equal((await trial.refresh(elsewhere.refreshToken)).status, 200)
})

test('userinfo knows who signed in, also from a JWT access token', async (t) => {
  const trial = await open(t)
  const session = await trial.seed({ subject: 'ada' })
  const userinfo = `${trial.devserver.issuer('external')}/protocol/openid-connect/userinfo`
  const ask = (token: string) => fetch(userinfo, { headers: { authorization: `Bearer ${token}` } })
  assert.deepEqual(await (await ask(session.accessToken)).json(), { sub: 'ada' })
  await trial.devserver.control.revokeAccessToken(session.accessToken)
  assert.equal((await ask(session.accessToken)).status, 401)
})

test('a sign-in page asked for without its cookie says so', async (t) => {
  const trial = await open(t)
  const response = await fetch(`${trial.devserver.issuer('external')}/interaction/unknown`)
  assert.equal(response.status, 400)
})

test('discovery advertises absolute URLs of the realm', async (t) => {
  const trial = await open(t)
  const issuer = trial.devserver.issuer('external')
  const document = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>
  const base = `${issuer}/protocol/openid-connect`
  assert.equal(document['issuer'], issuer)
  assert.equal(document['authorization_endpoint'], `${base}/auth`)
  assert.equal(document['token_endpoint'], trial.devserver.tokenEndpoint('external'))
  assert.equal(document['revocation_endpoint'], `${base}/revoke`)
  assert.equal(document['introspection_endpoint'], `${base}/token/introspect`)
  assert.equal(document['jwks_uri'], `${base}/certs`)
  assert.equal(document['userinfo_endpoint'], `${base}/userinfo`)
  assert.equal(document['end_session_endpoint'], `${base}/logout`)
})

test('a client that returns to this machine on no port in particular may do so on every port', async (t) => {
  const anywhere = { ...WEB_CLIENT, redirectUris: ['http://127.0.0.1/callback'] }
  const trial = await openTrial(t, { clients: [anywhere] })
  const shown = async (redirectUri: string): Promise<number> =>
    (await fetch(authorization(trial, { redirect_uri: redirectUri }).url, { redirect: 'manual' })).status
  await trial.devserver.control.putClient('external', anywhere)
  assert.equal(await shown('http://127.0.0.1:51004/callback'), 303)
  assert.equal(await shown('http://127.0.0.1:51004/elsewhere'), 400)
  assert.equal(await shown('http://attacker.example/callback'), 400)
  await trial.devserver.control.putClient('external', WEB_CLIENT)
  assert.equal(await shown('https://attacker.example/callback'), 400)
})
