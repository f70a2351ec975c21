import assert from 'node:assert/strict'
import test from 'node:test'
import Fastify from 'fastify'
import { FAILURE_CODES, TokenError, type FailureCode, type MonoMs, type UnixMs } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import { createAddressed } from '../src/http/addressed.ts'
import { createCallerDesk } from '../src/http/caller.ts'
import { createShares } from '../src/http/drop-in/shares.ts'
import { registerDropIn } from '../src/http/drop-in/drop-in.ts'
import {
  aboutResource,
  MEANINGS,
  OAuthRefusal,
  refusalAnswer,
  type RefusalAnswer,
} from '../src/http/drop-in/refusal.ts'
import type { Pressure } from '../src/http/pressure.ts'
import { createFreeSince } from '../src/http/free-since.ts'
import { HttpProblem } from '../src/http/problem.ts'
import { HTTP_SETTINGS } from '../src/http/settings.ts'
import { asClient, openServedWorld } from './served-world.ts'

/** Another than the default. */
const WAIT_MS = 4_321
const NOW = Date.UTC(2026, 10, 23) as UnixMs

function answerTo(error: unknown): RefusalAnswer {
  const answer = refusalAnswer(error, NOW)
  assert.ok(answer !== null)
  return answer
}

test('invalid_grant is said only where a login is over or was never there', () => {
  assert.deepEqual(
    FAILURE_CODES.filter((code) => MEANINGS[code].error === 'invalid_grant'),
    ['unknown_connection', 'unknown_local_refresh_token', 'needs_user', 'deleting'],
  )
})

test('whatever the library calls retryable may pass here, too', () => {
  for (const code of FAILURE_CODES) {
    if (new TokenError(code, '').retryable) assert.equal(MEANINGS[code].error, 'temporarily_unavailable', code)
  }
})

test('every description has only the characters that RFC 6749 section 5.2 allows', () => {
  for (const code of FAILURE_CODES) {
    const { body } = answerTo(new TokenError(code, 'a "quoted" \\ sentence\nwith ü', { reason: 'answer_lost' }))
    assert.match(body.error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/, code)
    assert.match(body.error, /^[a-z_]+$/, code)
  }
})

test('no description repeats the sentence of the library, which can name a connection', () => {
  const repeats = FAILURE_CODES.filter((code) =>
    answerTo(new TokenError(code, 'dealer-42')).body.error_description.includes('dealer-42'),
  )
  // Its sentences are about scope and resource here, and repeat nothing.
  assert.deepEqual(repeats, ['invalid_input'] satisfies FailureCode[])
})

const RETRIES: readonly { readonly name: string; readonly retryAt: number | null; readonly seconds: string }[] = [
  { name: 'at a moment that nobody knows', retryAt: null, seconds: '1' },
  { name: 'now', retryAt: NOW, seconds: '1' },
  { name: 'in the past', retryAt: NOW - 60_000, seconds: '1' },
  { name: 'in a little more than a second', retryAt: NOW + 1001, seconds: '2' },
  { name: 'in an hour', retryAt: NOW + 3_600_000, seconds: '3600' },
  { name: 'in a day', retryAt: NOW + 86_400_000, seconds: '3600' },
]
for (const { name, retryAt, seconds } of RETRIES) {
  test(`what may pass ${name} has Retry-After: ${seconds}`, () => {
    for (const code of FAILURE_CODES.filter((each) => MEANINGS[each].error === 'temporarily_unavailable')) {
      const { status, headers } = answerTo(new TokenError(code, '', { retryAt: retryAt as UnixMs | null }))
      assert.equal(status, code === 'rate_limited' ? 429 : 503)
      assert.equal(headers['retry-after'], seconds, code)
    }
  })
}

test('what will not pass has no Retry-After', () => {
  for (const code of FAILURE_CODES.filter((each) => MEANINGS[each].error !== 'temporarily_unavailable')) {
    assert.equal(answerTo(new TokenError(code, '')).headers['retry-after'], undefined, code)
  }
})

test('a refusal of scope is one of the target where only resource was asked for (RFC 8707 section 2)', () => {
  const about = (error: unknown) => answerTo(aboutResource(error)).body.error
  assert.equal(about(new TokenError('scope_refused', '')), 'invalid_target')
  assert.equal(about(new TokenError('variant_unsupported', '')), 'invalid_target')
  assert.equal(about(new TokenError('needs_user', '')), 'invalid_grant')
  assert.equal(about(new OAuthRefusal('invalid_request', '')), 'invalid_request')
})

test('of a mistake of ours nothing is told', () => {
  for (const error of [new Error('tkr_secret'), 'tkr_secret', null, { tkr_secret: 1 }]) {
    const { status, code, body } = answerTo(error)
    assert.deepEqual([status, code, body.error], [500, 'unexpected', 'server_error'])
    assert.equal(JSON.stringify(body).includes('tkr_secret'), false)
  }
})

test('to whom the server does not talk is not for the drop-in to say', () => {
  assert.equal(refusalAnswer(new HttpProblem('host_refused', ''), NOW), null)
  assert.equal(refusalAnswer(new HttpProblem('origin_refused', ''), NOW), null)
})

// ---- through the endpoint ------------------------------------------------------------------------------------------

test('a mistake of ours is 500 server_error and stands in the log; the client learns nothing of it', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const broken: Tokenkeep = { ...world.keep, token: () => Promise.reject(new Error(`broken by ${refreshToken}`)) }
  const { post, logged } = openBare(broken, { check: () => undefined, stop: () => undefined })
  const answer = await post({ grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) })
  assert.equal(answer.statusCode, 500)
  assert.equal(answer.json<RefusalAnswer['body']>().error, 'server_error')
  assert.equal(answer.body.includes(refreshToken), false)
  assert.deepEqual(logged, ['a request failed'])
})

test('what the client is not told about the database stands in the log', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const away = new TokenError('store_unavailable', 'the database /somewhere/tokens.db is locked')
  const keep: Tokenkeep = { ...world.keep, token: () => Promise.reject(away) }
  const { post, logged } = openBare(keep, { check: () => undefined, stop: () => undefined })
  const answer = await post({ grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) })
  assert.equal(answer.statusCode, 503)
  assert.equal(answer.body.includes('/somewhere'), false)
  assert.deepEqual(logged, ['a request could not be served'])
})

test('a question to the provider that fails costs no token; a mistake of ours there stands in the log', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const cases = [
    { error: new TokenError('store_unavailable', ''), told: [] },
    { error: new Error('broken'), told: ['an introspection failed'] },
  ]
  for (const { error, told } of cases) {
    const keep: Tokenkeep = { ...world.keep, introspect: () => Promise.reject(error) }
    const { post, logged } = openBare(keep, { check: () => undefined, stop: () => undefined })
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) }
    assert.equal((await post(form)).statusCode, 200)
    assert.equal((await post(form)).statusCode, 200)
    assert.deepEqual(logged, told)
  }
})

test('a client is kept waiting for as long as the settings say', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const waits: unknown[] = []
  const keep: Tokenkeep = {
    ...world.keep,
    token: (id, options) => {
      waits.push(options?.waitMs)
      return world.keep.token(id, options)
    },
  }
  const { post } = openBare(keep, { check: () => undefined, stop: () => undefined })
  const own = { grant_type: 'refresh_token', refresh_token: refreshToken, ...asClient(key) }
  for (const form of [own, { ...own, scope: 'dealer-api' }]) assert.equal((await post(form)).statusCode, 200)
  assert.deepEqual(waits, [WAIT_MS, WAIT_MS])
})

test('a server that cannot keep up says 503 to a client before it looks who that is', async () => {
  await using world = await openServedWorld()
  const overloaded: Pressure = {
    check: () => {
      throw new HttpProblem('overloaded', 'too much')
    },
    stop: () => undefined,
  }
  const { post } = openBare(world.keep, overloaded)
  const answer = await post({ grant_type: 'client_credentials' })
  assert.equal(answer.statusCode, 503)
  assert.equal(answer.json<RefusalAnswer['body']>().error, 'temporarily_unavailable')
  assert.equal(answer.headers['retry-after'], '1')
})

/** The drop-in alone, over whatever it is given. */
function openBare(keep: Tokenkeep, pressure: Pressure) {
  const app = Fastify()
  const logged: string[] = []
  const note = (_fields: unknown, message: string): void => void logged.push(message)
  const log = { error: note, warn: note, info: note, debug: note }
  const clock = { now: () => ({ wall: Date.now() as UnixMs, mono: performance.now() as MonoMs }) }
  registerDropIn(app, {
    keep,
    acting: () => keep,
    pressure,
    clock,
    addressed: createAddressed(HTTP_SETTINGS),
    desk: createCallerDesk({
      callers: keep.callers,
      pageSessions: keep.pageSessions,
      clock,
      settings: HTTP_SETTINGS,
      log,
    }),
    shares: createShares({ callers: keep.callers, clock }),
    freeSince: createFreeSince(app.server, { of: 'connection', clock }),
    waitMs: WAIT_MS,
    log,
    metrics: {
      handOut: () => undefined,
      answered: () => undefined,
      received: () => undefined,
      refused: () => undefined,
      proxied: () => undefined,
      heard: () => undefined,
      expose: () => Promise.resolve({ contentType: '', text: '' }),
    },
  })
  const post = (form: Readonly<Record<string, string>>) =>
    app.inject({
      method: 'POST',
      url: '/realms/external/protocol/openid-connect/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams(form).toString(),
    })
  return { post, logged }
}
