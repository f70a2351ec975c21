import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import { Secret, TokenError, type TokenkeepEvent } from '@tokenkeep/core'
import { eventLog } from '../src/serve/event-log.ts'
import { createLog } from '../src/serve/log.ts'
import type { LogLevel } from '../src/serve/setting.ts'

type Line = Readonly<Record<string, unknown>>

function openLog(level: LogLevel = 'debug') {
  const to = new PassThrough()
  const text = (): string => String(to.read() ?? '')
  const lines = (): readonly Line[] =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  return { log: createLog({ level, to }), text, lines }
}

test('a line is one JSON object with level, time, fields and message', () => {
  const { log, lines } = openLog()
  log.info({ operation: 'getToken', status: 200, took: null }, 'answered')
  const [line] = lines()
  const { time, ...rest } = line ?? {}
  assert.deepEqual(rest, { level: 'info', operation: 'getToken', status: 200, took: null, msg: 'answered' })
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

test('what is below the level is not written', () => {
  for (const [level, written] of [
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['silent', []],
  ] as const) {
    const { log, lines } = openLog(level)
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]({}, 'x')
    assert.deepEqual(
      lines().map((line) => line['level']),
      written,
    )
  }
})

test('a member that is called like a secret is blotted out, wherever it stands', () => {
  const { log, text, lines } = openLog()
  for (const name of [
    'token',
    'accessToken',
    'access_token',
    'refresh-token',
    'tokens',
    'clientSecret',
    'client_secret',
    'password',
    'key',
    'apiKey',
    'master_key',
    'authorization',
    'Proxy-Authorization',
    'cookie',
    'set-cookie',
    'client_assertion',
    'code_verifier',
    'body',
    'form',
    'payload',
  ]) {
    log.warn({ [name]: 'canary', deep: { list: [{ [name]: 'canary' }, { [name]: { in: 'canary' } }] } }, name)
    log.warn({ headers: { [name]: ['canary'] } }, name)
    assert.doesNotMatch(text(), /canary/, name)
  }
  log.info({ apiKeyId: 'key_1', accessTokenFingerprint: 'abc', hasToken: true, token: 5 }, 'told')
  const [line] = lines()
  assert.deepEqual(
    [line?.['apiKeyId'], line?.['accessTokenFingerprint'], line?.['hasToken'], line?.['token']],
    ['key_1', 'abc', true, 5],
  )
})

test('what looks like a secret is blotted out, in whatever member and in the message', () => {
  const { log, text } = openLog()
  const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl'
  for (const secret of [
    'tkk_canarycanarycanarycanary',
    'tkr_canarycanarycanarycanary',
    jwt,
    'Bearer canary-canary',
    'basic Y2FuYXJ5OmNhbmFyeQ==',
    'https://id.example.org/cb?code=canary',
    '/v1/connections?cursor=canary',
    'https://user:canary@id.example.org/',
  ]) {
    log.warn({ note: `before ${secret} after`, list: [secret] }, `told of ${secret} here`)
    const written = text()
    assert.doesNotMatch(written, /canary|Y2FuYXJ5|eyJzdWI/, secret)
    assert.match(written, /before .*\[redacted\].* after/)
  }
  log.info({ url: 'https://keep.example.org/v1/providers' }, 'and/or? yes')
  assert.match(text(), /https:\/\/keep\.example\.org\/v1\/providers.*and\/or\? yes/)
})

test('of an error only its name and the places where it went are told; the message of ours alone', () => {
  const { log, text, lines } = openLog()
  const foreign = Object.assign(new TypeError('canary in the message', { cause: new Error('canary') }), { canary: 1 })
  log.error({ error: foreign }, 'a request failed')
  const written = text()
  assert.doesNotMatch(written, /canary/)
  const { error } = JSON.parse(written) as { error: { name: string; stack: string[] } }
  assert.equal(error.name, 'TypeError')
  assert.match(error.stack[0] ?? '', /^at .*log\.test\.ts/)
  log.error({ error: new TokenError('unavailable', 'the provider is silent') }, 'x')
  const [line] = lines()
  const ours = line?.['error'] as { code: string; message: string }
  assert.deepEqual([ours.code, ours.message], ['unavailable', 'the provider is silent'])
})

test('secrets, bytes, circles and what is too deep do not print, and nothing throws', () => {
  const { log, text } = openLog()
  const circle: Record<string, unknown> = {}
  circle['again'] = circle
  log.info(
    { held: new Secret('refresh_token', 'canary'), bytes: Buffer.from('canary'), circle, big: 5n, none: undefined },
    'odd',
  )
  const written = text()
  assert.doesNotMatch(written, /canary/)
  assert.match(written, /"held":"\[refresh_token\]","bytes":"\[redacted\]","circle":\{.*"big":"5"/)
})

test('an event is a line with its members; what a person may have to do something about is a warning', () => {
  const { log, lines } = openLog()
  const told = eventLog(log)
  const of = { at: 0, connection: 'dealer-42', uid: 'u', provider: 'ext' }
  told({ ...of, type: 'needs_user', reason: 'revoked' } as TokenkeepEvent)
  told({ ...of, type: 'refreshed', generation: 2, accessTokenFingerprint: 'abc' } as unknown as TokenkeepEvent)
  told({ type: 'store_unavailable', at: 0 } as TokenkeepEvent)
  const [asked, refreshed, away] = lines()
  assert.deepEqual(
    [asked?.['level'], asked?.['event'], asked?.['connection'], asked?.['provider'], asked?.['reason']],
    ['warn', 'needs_user', 'dealer-42', 'ext', 'revoked'],
  )
  assert.deepEqual([refreshed?.['level'], refreshed?.['accessTokenFingerprint']], ['debug', 'abc'])
  assert.equal(away?.['level'], 'error')
})

test('while nobody reads, lines are dropped and counted, and the memory stays as it is', async () => {
  let release: () => void = () => undefined
  const written: string[] = []
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString())
      release = done
    },
  })
  const log = createLog({ level: 'info', to: slow })
  const note = 'x'.repeat(1000)
  for (let n = 0; n < 5000; n++) log.info({ note }, 'told')
  assert.ok(slow.writableLength < 2 * 1024 * 1024, `${slow.writableLength} bytes wait`)
  while (slow.writableLength > 0) {
    release()
    await new Promise((resolve) => setImmediate(resolve))
  }
  log.info({}, 'read again')
  release()
  await new Promise((resolve) => setImmediate(resolve))
  const { dropped } = JSON.parse(written.at(-2) ?? '{}') as { dropped: number }
  assert.equal(dropped + written.length - 2, 5000)
  assert.match(written.at(-1) ?? '', /read again/)
})
