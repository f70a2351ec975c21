/** How long a key is believed while the database does not answer: the keys are real ones, their database comes and goes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { TokenError, type FailureCode, type MonoMs, type UnixMs } from '@tokenkeep/core'
import { openTokenkeep, type ApiKeyInput } from '@tokenkeep/node'
import { createCallerDesk } from '../src/http/caller.ts'
import { HTTP_SETTINGS } from '../src/http/settings.ts'

const MINUTE_MS = 60_000
const IDENTITY = {
  id: 'idn_1',
  issuer: 'https://issuer.example',
  subject: 'workload',
  audience: 'tokenkeep',
  jwksUri: null,
  allowPrivateNetwork: false,
  createdAt: 0,
}
const silent = (): void => undefined
const SILENT = { error: silent, warn: silent, info: silent, debug: silent }

async function deskWithKey(t: TestContext, input: Partial<ApiKeyInput> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-callers-'))
  const keep = await openTokenkeep({
    path: join(folder, 'tokens.db'),
    keyFile: join(folder, 'config', 'test.key'),
    keyBesideData: true,
    background: false,
  })
  t.after(async () => {
    await keep.close()
    rmSync(folder, { recursive: true, force: true })
  })
  let aheadMs = 0
  let failing: FailureCode | null = null
  const { apiKey, key } = await keep.apiKeys.create({ name: 'a test', ...input })
  const desk = createCallerDesk({
    callers: {
      ...keep.callers,
      byKey: (given) =>
        failing === null
          ? keep.callers.byKey(given)
          : Promise.reject(new TokenError(failing, 'the database cannot be used now')),
    },
    pageSessions: keep.pageSessions,
    clock: { now: () => ({ wall: (Date.now() + aheadMs) as UnixMs, mono: (performance.now() + aheadMs) as MonoMs }) },
    settings: HTTP_SETTINGS,
    log: SILENT,
  })
  const identify = async (given = key): Promise<string | null> => {
    try {
      return (await desk.identify(given, '127.0.0.1'))?.apiKey.id ?? null
    } catch (error) {
      assert.ok(error instanceof TokenError)
      return error.code
    }
  }
  return {
    keep,
    desk,
    identify,
    id: apiKey.id,
    key,
    forward: (byMs: number) => void (aheadMs += byMs),
    fail: (code: FailureCode | null) => void (failing = code),
    revoke: () => keep.apiKeys.revoke(apiKey.id),
  }
}

test('without its database a key that it said was good is believed for five minutes, however often it is used', async (t) => {
  const { identify, forward, fail, id, desk, key } = await deskWithKey(t)
  assert.equal(await identify(), id)
  fail('store_unavailable')
  for (let minute = 0; minute < 4; minute += 1) {
    forward(MINUTE_MS)
    assert.equal(await identify(), id)
    assert.equal(desk.remembered(key)?.apiKey.id, id, 'for a second nobody waits for the database')
  }
  forward(MINUTE_MS)
  assert.equal(await identify(), 'store_unavailable')
  fail(null)
  assert.equal(await identify(), id)
})

test('nobody else is believed: a key that was not asked for, that is past its end, or after something changed here', async (t) => {
  const { identify, forward, fail, id, desk } = await deskWithKey(t, { expiresAt: Date.now() + 2 * MINUTE_MS })
  fail('store_unavailable')
  assert.equal(await identify(), 'store_unavailable')
  fail(null)
  assert.equal(await identify(), id)
  fail('store_unavailable')
  assert.equal(await identify(`tkk_${'0'.repeat(43)}`), 'store_unavailable')
  forward(MINUTE_MS)
  assert.equal(await identify(), id)
  forward(MINUTE_MS)
  assert.equal(await identify(), 'store_unavailable', 'past its end')
  forward(-MINUTE_MS)
  assert.equal(await identify(), id)
  desk.forget()
  assert.equal(await identify(), 'store_unavailable')
})

test('a database that answers is believed: a revoked key is nobody, and another failure is told', async (t) => {
  const { identify, fail, id, revoke } = await deskWithKey(t)
  assert.equal(await identify(), id)
  fail('unreadable')
  assert.equal(await identify(), 'unreadable')
  fail(null)
  await revoke()
  assert.equal(await identify(), null)
  fail('store_unavailable')
  assert.equal(await identify(), 'store_unavailable')
})

test('what a key has used up stays used up, also where ten thousand keys are in use', async (t) => {
  const { keep, key } = await deskWithKey(t)
  const real = await keep.callers.byKey(key)
  assert.ok(real !== null)
  const desk = createCallerDesk({
    callers: { ...keep.callers, byKey: (given) => Promise.resolve({ ...real, id: given }) },
    pageSessions: keep.pageSessions,
    clock: { now: () => ({ wall: Date.now() as UnixMs, mono: 0 as MonoMs }) },
    settings: { ...HTTP_SETTINGS, callerRequestsPer10s: 2 },
    log: SILENT,
  })
  for (let at = 0; at < 10_000; at += 1) await desk.identify(`tkk_${at}`, '127.0.0.1')
  await desk.identify('tkk_9999', '127.0.0.1')
  await desk.identify('tkk_9998', '127.0.0.1')
  await desk.identify('tkk_one more', '127.0.0.1')
  await assert.rejects(() => desk.identify('tkk_9999', '127.0.0.1'), { code: 'rate_limited' })
})

test('a JWT is believed until it ends, or its key does, also without the database', async (t) => {
  const { keep, key } = await deskWithKey(t)
  const real = await keep.callers.byKey(key)
  assert.ok(real !== null)
  const ends: readonly (readonly [until: number, expiresAt: number | null])[] = [
    [300, null],
    [90_000, 300],
  ]
  for (const [until, expiresAt] of ends) {
    let at = 0
    let failing = false
    const desk = createCallerDesk({
      callers: {
        ...keep.callers,
        byJwt: () =>
          failing
            ? Promise.reject(new TokenError('store_unavailable', 'the database cannot be used now'))
            : Promise.resolve({ kind: 'known', apiKey: { ...real, expiresAt }, identity: IDENTITY, until }),
      },
      pageSessions: keep.pageSessions,
      clock: { now: () => ({ wall: at as UnixMs, mono: at as MonoMs }) },
      settings: HTTP_SETTINGS,
      log: SILENT,
    })
    assert.equal((await desk.identify('a.b.c', '127.0.0.1'))?.apiKey.id, real.id)
    failing = true
    at = 299
    assert.equal(desk.remembered('a.b.c')?.apiKey.id, real.id)
    assert.equal((await desk.identify('a.b.c', '127.0.0.1'))?.apiKey.id, real.id)
    at = 300
    assert.equal(desk.remembered('a.b.c'), undefined)
    await assert.rejects(() => desk.identify('a.b.c', '127.0.0.1'), { code: 'store_unavailable' })
  }
})
