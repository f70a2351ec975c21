import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { createControlClient, type RealmOptions } from '../src/index.ts'
import { storedName } from '../src/fingerprint.ts'
import { Browser } from '../src/browser.ts'
import { PUBLIC_CLIENT, WEB_CLIENT } from './browser.ts'
import { CLIENT, openTrial, OWN_CREDENTIALS, temporaryFolder, text, type TokenReply, type Trial } from './trial.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

// Without an interval a test may ask when it likes; the tests of the interval set one.
const open = (t: TestContext, realm: Partial<RealmOptions> = {}) =>
  openTrial(t, { clients: [WEB_CLIENT, PUBLIC_CLIENT], devicePollSeconds: 0, ...realm })

const begin = (trial: Trial, more: Readonly<Record<string, string>> = OWN_CREDENTIALS) =>
  trial.post('auth/device', { scope: 'openid dealer-api', ...more })

const poll = (trial: Trial, code: string, more: Readonly<Record<string, string>> = OWN_CREDENTIALS) =>
  trial.post('token', { grant_type: GRANT, device_code: code, ...more })

const error = (reply: TokenReply) => [reply.status, reply.body['error']]

/** The form of a page, filled in and sent. */
async function submit(browser: Browser, url: string, html: string, fields: Readonly<Record<string, string>>) {
  const [, action = ''] = /<form[^>]*action="([^"]+)"/.exec(html) ?? []
  const hidden = [...html.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [
    name,
    value,
  ])
  return browser.visit(new URL(action, url).href, {
    ...(Object.fromEntries(hidden) as Record<string, string>),
    ...fields,
  })
}

/** A person at the verification page, up to the question whether this is their device. */
async function typeCode(browser: Browser, uri: string, userCode: string): Promise<string> {
  const input = await browser.visit(uri)
  assert.match(await input.clone().text(), /name="user_code"/)
  const confirm = await submit(browser, uri, await input.text(), { user_code: userCode })
  return confirm.text()
}

test('a device asks until its person has signed in, and gets a session as the code flow opens', async (t) => {
  const trial = await open(t)
  const begun = await begin(trial)
  const uri = `${trial.devserver.issuer('external')}/device`
  const [code, userCode] = [text(begun, 'device_code'), text(begun, 'user_code')]
  assert.match(userCode, /^[B-Z]{4}-[B-Z]{4}$/)
  assert.deepEqual(
    [begun.status, begun.body['verification_uri'], begun.body['verification_uri_complete'], begun.body['expires_in']],
    [200, uri, `${uri}?user_code=${userCode}`, 600],
  )
  assert.deepEqual(error(await poll(trial, code)), [400, 'authorization_pending'])

  const browser = new Browser()
  const question = await typeCode(browser, uri, userCode)
  assert.match(question, new RegExp(`${userCode}.*app`))
  const toSignIn = await submit(browser, uri, question, {})
  const page = await browser.follow(new URL(toSignIn.headers.get('location') ?? '', uri).href)
  assert.ok('text' in page)
  assert.deepEqual(error(await poll(trial, code)), [400, 'authorization_pending'])
  const submitted = await browser.visit(page.url, { login: 'ada' })
  const done = await browser.follow(new URL(submitted.headers.get('location') ?? '', page.url).href)
  assert.ok('text' in done)
  assert.match(done.text, /Connected/)

  const reply = await poll(trial, code)
  assert.deepEqual([reply.status, reply.body['scope']], [200, 'openid dealer-api'])
  assert.ok(reply.body['id_token'])
  assert.equal((await trial.offers(text(reply, 'access_token'))).status, 200)
  assert.equal((await trial.refresh(text(reply, 'refresh_token'))).status, 200)
  const [session, ...others] = await trial.devserver.control.sessions('external')
  assert.deepEqual(
    [session?.sessionId, session?.subject, session?.clientId, session?.refreshes, others.length],
    [reply.body['session_state'], 'ada', 'app', 1, 0],
  )
})

test('a program may say yes in place of a person, with dashes and case as they come', async (t) => {
  const trial = await open(t)
  const control = createControlClient(trial.devserver.controlUrl)
  const begun = await begin(trial, { client_id: 'spa', scope: 'dealer-api' })
  const userCode = text(begun, 'user_code').replace('-', ' ').toLowerCase()
  const { sessionId } = await control.approveDevice('external', userCode, { subject: 'ada' })
  const reply = await poll(trial, text(begun, 'device_code'), { client_id: 'spa' })
  assert.deepEqual([reply.status, reply.body['session_state'], reply.body['scope']], [200, sessionId, 'dealer-api'])
  const offers = (await (await trial.offers(text(reply, 'access_token'))).json()) as { subject: string }
  assert.equal(offers.subject, 'ada')
})

test('a resource that a device asked for is the audience of its access token', async (t) => {
  const trial = await open(t)
  const begun = await begin(trial, { ...OWN_CREDENTIALS, resource: 'https://api.example.org/' })
  await trial.devserver.control.approveDevice('external', text(begun, 'user_code'))
  const reply = await poll(trial, text(begun, 'device_code'))
  const [, claims = ''] = text(reply, 'access_token').split('.')
  const { aud } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud: unknown }
  assert.equal(aud, 'https://api.example.org/')
})

test('a person may say no, by hand or by program, and the device is told so', async (t) => {
  const trial = await open(t)
  const [byHand, byProgram] = [await begin(trial), await begin(trial)]
  const browser = new Browser()
  const uri = text(byHand, 'verification_uri')
  const question = await typeCode(browser, uri, text(byHand, 'user_code'))
  const denied = await submit(browser, uri, question, { abort: 'yes' })
  assert.match(await denied.text(), /Denied/)
  await trial.devserver.control.denyDevice('external', text(byProgram, 'user_code'))
  for (const begun of [byHand, byProgram]) {
    assert.deepEqual(error(await poll(trial, text(begun, 'device_code'))), [400, 'access_denied'])
  }
  assert.equal((await trial.devserver.control.sessions('external')).length, 0)
})

test('a device that asks sooner than its interval is slowed down, by five seconds more each time', async (t) => {
  const trial = await open(t, { devicePollSeconds: 1 })
  const begun = await begin(trial)
  assert.equal(begun.body['interval'], 1)
  const code = text(begun, 'device_code')
  assert.deepEqual(error(await poll(trial, code)), [400, 'authorization_pending'])
  await sleep(1000)
  assert.deepEqual(error(await poll(trial, code)), [400, 'authorization_pending'])
  assert.deepEqual(error(await poll(trial, code)), [400, 'slow_down'])
  await trial.devserver.control.approveDevice('external', text(begun, 'user_code'))
  await sleep(1000)
  assert.deepEqual(error(await poll(trial, code)), [400, 'slow_down'])

  const other = await begin(trial)
  assert.deepEqual(error(await poll(trial, text(other, 'device_code'))), [400, 'authorization_pending'])
})

test('a device that slowed down as it was told is answered', async (t) => {
  const trial = await open(t)
  const begun = await begin(trial)
  const code = text(begun, 'device_code')
  await poll(trial, code)
  await trial.devserver.control.updateRealm('external', { devicePollSeconds: 1 })
  const patient = await begin(trial)
  await poll(trial, text(patient, 'device_code'))
  assert.deepEqual(error(await poll(trial, text(patient, 'device_code'))), [400, 'slow_down'])
  await trial.devserver.control.approveDevice('external', text(patient, 'user_code'))
  await sleep(6000)
  assert.equal((await poll(trial, text(patient, 'device_code'))).status, 200)
})

test('a code that is over is told as such, to the device and to its person', async (t) => {
  const trial = await open(t, { deviceCodeSeconds: 1 })
  const begun = await begin(trial)
  assert.equal(begun.body['expires_in'], 1)
  await sleep(1010)
  assert.deepEqual(error(await poll(trial, text(begun, 'device_code'))), [400, 'expired_token'])
  const userCode = text(begun, 'user_code')
  await assert.rejects(trial.devserver.control.approveDevice('external', userCode), /is over/)
  const html = await typeCode(new Browser(), text(begun, 'verification_uri'), userCode)
  assert.match(html, /name="user_code"/)
  assert.doesNotMatch(html, /Is this your device/)
})

test('a code is redeemed once, by the client that asked for it, and by no name of a record', async (t) => {
  const trial = await open(t)
  const begun = await begin(trial)
  const code = text(begun, 'device_code')
  await trial.devserver.control.approveDevice('external', text(begun, 'user_code'))
  assert.deepEqual(error(await poll(trial, code, { client_id: 'spa' })), [400, 'invalid_grant'])
  assert.equal((await poll(trial, `name.${storedName(code)}`)).status, 400)
  const replies = await Promise.all(Array.from({ length: 5 }, () => poll(trial, code)))
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 400, 400, 400, 400])
  const [session] = await trial.devserver.control.sessions('external')
  assert.equal(session?.killedBecause, 'code_reuse')
})

test('a decision is made once, and about a code that there is', async (t) => {
  const trial = await open(t)
  const { control } = trial.devserver
  const userCode = text(await begin(trial), 'user_code')
  await control.denyDevice('external', userCode)
  await assert.rejects(control.approveDevice('external', userCode), /is decided already/)
  await assert.rejects(control.denyDevice('external', userCode), /is decided already/)
  await assert.rejects(control.approveDevice('external', 'BBBB-BBBB'), /BBBB-BBBB is not known/)
  const again = await typeCode(new Browser(), `${trial.devserver.issuer('external')}/device`, userCode)
  assert.doesNotMatch(again, /Is this your device/)
})

test('a client that may not, and a realm that does not, are refused', async (t) => {
  const trial = await open(t, { clients: [{ ...CLIENT, deviceFlow: false }, PUBLIC_CLIENT] })
  assert.deepEqual(error(await begin(trial)), [400, 'invalid_request'])
  assert.equal((await begin(trial, { client_id: 'spa' })).status, 200)
  const url = `${trial.devserver.issuer('external')}/.well-known/openid-configuration`
  const metadata = async () => (await (await fetch(url)).json()) as Record<string, unknown>
  const endpoint = `${trial.devserver.issuer('external')}/protocol/openid-connect/auth/device`
  assert.equal((await metadata())['device_authorization_endpoint'], endpoint)
  await trial.devserver.control.updateRealm('external', { deviceFlow: false })
  assert.equal((await metadata())['device_authorization_endpoint'], undefined)
  assert.equal((await fetch(endpoint, { method: 'POST' })).status, 404)
})

test('the state file holds no device code', async (t) => {
  const folder = temporaryFolder(t)
  const trial = await openTrial(t, { clients: [WEB_CLIENT] }, join(folder, 'state.db'))
  const begun = await begin(trial)
  await trial.devserver.control.approveDevice('external', text(begun, 'user_code'))
  const files = readdirSync(folder).map((file) => readFileSync(join(folder, file)))
  assert.equal(
    files.some((file) => file.includes(storedName(text(begun, 'device_code')))),
    true,
  )
  assert.equal(
    files.some((file) => file.includes(text(begun, 'device_code'))),
    false,
  )
})
