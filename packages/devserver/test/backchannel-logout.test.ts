import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createRemoteJWKSet, decodeJwt, jwtVerify, type JWTPayload } from 'jose'
import { createControlClient, type ClientOptions } from '../src/index.ts'
import { Browser } from '../src/browser.ts'
import { authorization, PUBLIC_CLIENT, redeem, signIn, WEB_CLIENT } from './browser.ts'
import { openReceiver, type Receiver } from './receiver.ts'
import { openTrial, text, type Trial } from './trial.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

async function open(t: TestContext, client: Partial<ClientOptions> = {}) {
  const receiver = await openReceiver(t)
  const told = { ...WEB_CLIENT, backchannelLogoutUri: `${receiver.origin}/logout`, ...client }
  return { receiver, trial: await openTrial(t, { clients: [told, PUBLIC_CLIENT] }) }
}

async function signInWith(trial: Trial, browser: Browser) {
  const { url, verifier } = authorization(trial)
  const left = await signIn(browser, url, 'ada')
  return redeem(trial, left.searchParams.get('code') ?? '', verifier)
}

async function signOutOf(trial: Trial, browser: Browser): Promise<void> {
  const page = await browser.visit(`${trial.devserver.issuer('external')}/protocol/openid-connect/logout`)
  const html = await page.text()
  const [, action = ''] = /action="([^"]+)"/.exec(html) ?? []
  const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(html) ?? []
  assert.equal((await browser.visit(action, { xsrf, logout: 'yes' })).status, 303)
}

/** The claims of the logout token, checked as its receiver has to. */
async function logoutToken(trial: Trial, receiver: Receiver, at = 0): Promise<JWTPayload> {
  const post = receiver.received[at]
  assert.match(String(post?.headers['content-type']), /^application\/x-www-form-urlencoded/)
  const token = new URLSearchParams(post?.body).get('logout_token') ?? ''
  const issuer = trial.devserver.issuer('external')
  const keys = createRemoteJWKSet(new URL(`${issuer}/protocol/openid-connect/certs`))
  const { payload } = await jwtVerify(token, keys, { issuer, audience: 'app', typ: 'logout+jwt' })
  return payload
}

test('signing out of a session posts a signed logout token that names it', async (t) => {
  const { receiver, trial } = await open(t)
  const session = await trial.seed({ subject: 'ada' })
  const before = Math.floor(Date.now() / 1000)
  const post = await trial.devserver.control.signOut('external', session.sessionId)
  const claims = await logoutToken(trial, receiver)
  assert.deepEqual([claims.sub, claims['sid'], claims.jti], ['ada', session.sessionId, post?.jti])
  assert.deepEqual(claims['events'], { [EVENT]: {} })
  assert.ok(claims.iat !== undefined && claims.iat >= before)
  assert.equal(claims.exp, claims.iat + 120)
  assert.equal(claims['nonce'], undefined)

  assert.equal((await trial.counters(session.sessionId)).killedBecause, 'logout')
  assert.equal((await trial.refresh(session.refreshToken)).status, 400)
  assert.equal((await trial.offers(session.accessToken)).status, 401)
})

test('signing out in the browser tells the client of each session that was signed in there', async (t) => {
  const { receiver, trial } = await open(t)
  const browser = new Browser()
  const replies = [await signInWith(trial, browser), await signInWith(trial, browser)]
  await trial.seed({ subject: 'ada' })
  await signOutOf(trial, browser)
  const sids = [await logoutToken(trial, receiver, 0), await logoutToken(trial, receiver, 1)].map((it) => it['sid'])
  assert.deepEqual(sids.sort(), replies.map((reply) => text(reply, 'session_state')).sort())
  assert.equal(receiver.received.length, 2)
})

test('the sid of every id_token is the session_state beside it, also after a refresh', async (t) => {
  const { trial } = await open(t)
  const reply = await signInWith(trial, new Browser())
  const sid = text(reply, 'session_state')
  const refreshed = await trial.refresh(text(reply, 'refresh_token'))
  const seeded = await trial.seed()
  const fromSeed = await trial.refresh(seeded.refreshToken)
  assert.deepEqual(
    [reply, refreshed, fromSeed].map((it) => decodeJwt(text(it, 'id_token'))['sid']),
    [sid, sid, seeded.sessionId],
  )
})

test('a client may be told of the person alone, and of offline access as Keycloak tells it', async (t) => {
  const { receiver, trial } = await open(t, {
    backchannelLogoutSessionRequired: false,
    backchannelLogoutRevokeOfflineAccess: true,
  })
  const session = await trial.seed({ subject: 'ada' })
  await trial.devserver.control.signOut('external', session.sessionId)
  const claims = await logoutToken(trial, receiver)
  assert.deepEqual([claims.sub, 'sid' in claims], ['ada', false])
  assert.deepEqual(claims['events'], { [EVENT]: {}, revoke_offline_access: true })
})

test('a post is sent once, whatever comes of it, and that can be read', async (t) => {
  const { receiver, trial } = await open(t)
  const control = createControlClient(trial.devserver.controlUrl)
  const [refused, unheard] = [await trial.seed(), await trial.seed()]
  receiver.answer(503)
  assert.equal((await control.signOut('external', refused.sessionId))?.status, 503)
  assert.equal(receiver.received.length, 1)
  receiver.answer(302, { headers: { location: `${receiver.origin}/elsewhere` } })
  const redirected = await trial.seed()
  assert.equal((await control.signOut('external', redirected.sessionId))?.status, 302)
  assert.equal(receiver.received.length, 2)
  await receiver.close()
  assert.equal((await control.signOut('external', unheard.sessionId))?.status, null)

  const posts = await control.logoutPosts('external')
  assert.deepEqual(
    posts.map(({ sessionId, status }) => [sessionId, status]),
    [
      [refused.sessionId, 503],
      [redirected.sessionId, 302],
      [unheard.sessionId, null],
    ],
  )
  assert.match(posts[2]?.problem ?? '', /ECONNREFUSED/)
  assert.equal((await trial.counters(unheard.sessionId)).killedBecause, 'logout')
})

test('nothing is posted for a session that was over, nor to a client that gave no address', async (t) => {
  const { receiver, trial } = await open(t)
  const { control } = trial.devserver
  const over = await trial.seed()
  await control.signOut('external', over.sessionId)
  assert.equal(await control.signOut('external', over.sessionId), null)
  const killed = await trial.seed()
  await control.killSession('external', killed.sessionId)
  assert.equal(await control.signOut('external', killed.sessionId), null)
  const untold = await control.seedSession('external', { clientId: 'spa' })
  const remote = createControlClient(trial.devserver.controlUrl)
  assert.equal(await remote.signOut('external', untold.sessionId), null)
  assert.equal(receiver.received.length, 1)
  assert.equal((await trial.counters(untold.sessionId)).killedBecause, 'logout')
})

test('an address that is none, and a session that is not known, are refused', async (t) => {
  const { trial } = await open(t)
  const { control } = trial.devserver
  for (const backchannelLogoutUri of ['nowhere', 'ftp://app.example/', 'https://app.example/#there']) {
    await assert.rejects(control.putClient('external', { clientId: 'x', backchannelLogoutUri }), /backchannelLogoutUri/)
  }
  await assert.rejects(control.signOut('external', 'unknown'), /session unknown is not known/)
})

test('the metadata says that logout tokens are sent, and with the session', async (t) => {
  const { trial } = await open(t)
  const url = `${trial.devserver.issuer('external')}/.well-known/openid-configuration`
  const metadata = (await (await fetch(url)).json()) as Record<string, unknown>
  assert.equal(metadata['backchannel_logout_supported'], true)
  assert.equal(metadata['backchannel_logout_session_supported'], true)
})
