import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { CallbackFault, RealmOptions } from '../src/index.ts'
import { Browser } from '../src/browser.ts'
import { authorization, CALLBACK, signIn, WEB_CLIENT } from './browser.ts'
import { openTrial, type Trial } from './trial.ts'

const open = (t: TestContext, realm: Partial<RealmOptions> = {}) => openTrial(t, { clients: [WEB_CLIENT], ...realm })

/** The parameters of the authorization answer that meets this fault. */
async function answerWith(trial: Trial, fault: CallbackFault): Promise<URLSearchParams> {
  await trial.devserver.control.addFault({ fault, when: 'after', times: 1, endpoint: 'authorization' })
  return (await signIn(new Browser(), authorization(trial).url, 'ada')).searchParams
}

async function goodAnswer(trial: Trial): Promise<URLSearchParams> {
  return (await signIn(new Browser(), authorization(trial).url, 'ada')).searchParams
}

test('the answer of an authorization can be spoilt, and is so no more often than ordered', async (t) => {
  const trial = await open(t)
  const issuer = trial.devserver.issuer('external')
  const state = await answerWith(trial, { kind: 'wrong_state' })
  assert.ok(state.get('code') && state.get('state') !== 'st' && state.get('iss') === issuer)
  const iss = await answerWith(trial, { kind: 'wrong_iss' })
  assert.ok(iss.get('code') && iss.get('state') === 'st' && iss.get('iss') !== issuer)
  for (const parameter of ['code', 'state', 'iss'] as const) {
    const doubled = await answerWith(trial, { kind: 'doubled_parameter', parameter })
    const [first, second, ...more] = doubled.getAll(parameter)
    assert.ok(first && second && first !== second && more.length === 0)
  }
  const error = await answerWith(trial, { kind: 'authorization_error', error: 'login_required', description: 'why' })
  assert.deepEqual(
    ['error', 'error_description', 'code', 'state', 'iss'].map((it) => error.get(it)),
    ['login_required', 'why', null, 'st', issuer],
  )
  const good = await goodAnswer(trial)
  assert.deepEqual([good.get('state'), good.getAll('iss'), good.getAll('code').length], ['st', [issuer], 1])
  assert.deepEqual((await trial.devserver.control.totals()).authorization, { requests: 7, byStatus: { '303': 7 } })
})

test('a person who denies sends the client away with access_denied, and no session is there', async (t) => {
  const trial = await open(t)
  const browser = new Browser()
  const first = await browser.follow(authorization(trial).url, CALLBACK)
  assert.ok('text' in first)
  assert.match(first.text, /<button name="deny"/)
  const denied = await browser.visit(first.url, { login: '', deny: 'yes' })
  const end = await browser.follow(new URL(denied.headers.get('location') ?? '', first.url).href, CALLBACK)
  assert.ok('left' in end && end.left.href.startsWith(CALLBACK))
  const { searchParams } = end.left
  assert.deepEqual(
    ['error', 'state', 'code', 'iss'].map((it) => searchParams.get(it)),
    ['access_denied', 'st', null, trial.devserver.issuer('external')],
  )
  assert.equal((await trial.devserver.control.sessions('external')).length, 0)
})

test('a realm that does not name its issuer names it neither in an answer nor in an error, and does not announce it', async (t) => {
  const trial = await open(t)
  const url = `${trial.devserver.issuer('external')}/.well-known/openid-configuration`
  const announced = async () =>
    ((await (await fetch(url)).json()) as Record<string, unknown>)['authorization_response_iss_parameter_supported']
  assert.equal(await announced(), true)
  await trial.devserver.control.updateRealm('external', { authorizationResponseIss: false })
  assert.equal(await announced(), undefined)
  const good = await goodAnswer(trial)
  assert.deepEqual([good.get('iss'), good.get('state')], [null, 'st'])
  const refused = await new Browser().follow(authorization(trial, { prompt: 'none' }).url, CALLBACK)
  assert.ok('left' in refused)
  assert.deepEqual(
    [refused.left.searchParams.get('error'), refused.left.searchParams.get('iss')],
    ['login_required', null],
  )
})

test('faults of an authorization answer are ordered for it alone, and no others are', async (t) => {
  const { control } = (await open(t)).devserver
  const state = { kind: 'wrong_state' } as const
  await assert.rejects(control.addFault({ fault: state, when: 'after', times: 1 }), /at the endpoint authorization/)
  const drop = { fault: { kind: 'drop' }, when: 'after', times: 1, endpoint: 'authorization' } as const
  await assert.rejects(control.addFault(drop), /at the endpoint authorization/)
  const before = { fault: state, when: 'before', times: 1, endpoint: 'authorization' } as const
  await assert.rejects(control.addFault(before), /only come 'after'/)
})
