/** Identities that a key trusts: kept, found by what a JWT says, and nobody else's. */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { randomInt } from 'node:crypto'
import { inspect } from 'node:util'
import { test } from 'node:test'
import type { TrustedIdentityInput } from '../../src/trusted-identity.ts'
import { callersWorld, refusal, untyped, type MakeCallersBackend, type OpenCallers } from './callers-world.ts'
import { HOUR_MS } from './store-world.ts'

const WORKER: TrustedIdentityInput = {
  issuer: 'https://issuer.example.org',
  subject: 'system:serviceaccount:prod:worker',
  audience: 'https://keep.example.org',
}

export function identitiesContract(make: MakeCallersBackend): void {
  test('a key keeps the identities that it trusts, oldest first, and is found by each of them', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    const first = await world.one.apiKeys.trust(apiKey.id, WORKER)
    world.store.time.pass(1)
    const other = { ...WORKER, subject: 'ü "b" \\ 🔑', jwksUri: 'https://10.0.0.1/jwks', allowPrivateNetwork: true }
    const both = await world.other.apiKeys.trust(apiKey.id, other)
    assert.equal(first.identities.length, 1)
    const [one, two] = both.identities
    assert.match(one?.id ?? '', /^idn_[0-9a-f]{18}$/)
    const made = { jwksUri: null, allowPrivateNetwork: false, id: one?.id, createdAt: apiKey.createdAt }
    assert.deepEqual(one, { ...WORKER, ...made })
    assert.deepEqual(two, { ...other, id: two?.id, createdAt: apiKey.createdAt + 1 })
    for (const { apiKeys } of [world.one, world.other]) {
      assert.deepEqual(await apiKeys.get(apiKey.id), both)
      assert.deepEqual(await apiKeys.list(), [both])
    }
    await usingRows(world, async ({ rows }) => {
      for (const { issuer, subject } of [WORKER, other]) {
        assert.deepEqual(await rows.apiKeyTrusting({ issuer, subject }), both)
        for (const wrong of [
          { issuer: `${issuer}/`, subject },
          { issuer, subject: subject.toUpperCase() },
          { issuer, subject: '' },
          { issuer: subject, subject: issuer },
        ])
          assert.equal(await rows.apiKeyTrusting(wrong), null, inspect(wrong))
      }
    })
  })

  test('what is trusted once more has the new settings, the same id, and its place', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    const { identities } = await world.one.apiKeys.trust(apiKey.id, WORKER)
    world.store.time.pass(1)
    const again = await world.other.apiKeys.trust(apiKey.id, { ...WORKER, audience: 'another' })
    assert.deepEqual(again.identities, [{ ...identities[0], audience: 'another' }])
  })

  test('an identity stands for one key: it goes to another when that one is revoked or past its end, or lets it go', async () => {
    await using world = await callersWorld(make)
    const holders = [await world.key({ expiresAt: world.store.time.moment().wall + HOUR_MS }), await world.key()]
    const last = await world.key()
    for (const [at, { apiKey }] of holders.entries()) {
      await world.one.apiKeys.trust(apiKey.id, WORKER)
      const error = await refusal(() => world.other.apiKeys.trust(last.apiKey.id, WORKER))
      assert.equal(error.code, 'in_use')
      assert.ok(!error.message.includes(apiKey.id), 'whose it is concerns nobody')
      assert.equal((await world.one.apiKeys.get(apiKey.id)).identities.length, 1)
      if (at === 0) world.store.time.pass(HOUR_MS)
      else await world.one.apiKeys.revoke(apiKey.id)
    }
    const { identities } = await world.other.apiKeys.trust(last.apiKey.id, WORKER)
    for (const { apiKey } of holders) assert.deepEqual((await world.one.apiKeys.get(apiKey.id)).identities, [])
    const [mine] = identities
    assert.ok(mine !== undefined)
    const { apiKey: next } = await world.key()
    assert.equal((await refusal(() => world.one.apiKeys.untrust(next.id, mine.id))).code, 'invalid_input')
    assert.deepEqual((await world.one.apiKeys.untrust(last.apiKey.id, mine.id)).identities, [])
    assert.equal((await refusal(() => world.one.apiKeys.untrust(last.apiKey.id, mine.id))).code, 'invalid_input')
    assert.equal((await world.other.apiKeys.trust(next.id, WORKER)).identities.length, 1)
  })

  test('of two keys that trust one identity at once, one does', async () => {
    await using world = await callersWorld(make)
    const [one, other] = [await world.key(), await world.key()]
    const settled = await Promise.allSettled([
      world.one.apiKeys.trust(one.apiKey.id, WORKER),
      world.other.apiKeys.trust(other.apiKey.id, WORKER),
    ])
    assert.deepEqual(settled.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
    const kept = (await world.one.apiKeys.list()).flatMap(({ identities }) => identities)
    assert.equal(kept.length, 1)
  })

  test('a key that is revoked or unknown trusts nobody', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    await world.one.apiKeys.revoke(apiKey.id)
    for (const id of [apiKey.id, 'key_none', ...[undefined, 7].map(untyped)]) {
      assert.equal((await refusal(() => world.one.apiKeys.trust(id, WORKER))).code, 'unknown_api_key')
    }
  })

  test('what names no issuer that keys can be had from, or nobody, is refused and not kept', async () => {
    await using world = await callersWorld(make)
    const { apiKey, key } = await world.key()
    const wrong: readonly (readonly [Partial<Record<keyof TrustedIdentityInput | 'more', unknown>>, RegExp])[] = [
      [{ issuer: undefined }, /issuer must be a string/],
      [{ issuer: 'issuer.example.org' }, /issuer must be an absolute URL such as .*, unless jwksUri says/],
      [{ issuer: 'http://issuer.example.org' }, /issuer must begin with https/],
      [{ issuer: 'https://10.0.0.1' }, /issuer points into a private/],
      [{ issuer: 'https://user:secret@issuer.example.org' }, /issuer must not contain a user name/],
      [{ issuer: 'https://issuer.example.org?x=1' }, /issuer must not have a query/],
      [{ issuer: 'kubernetes', jwksUri: 'http://issuer.example.org/keys' }, /jwksUri must begin with https/],
      [{ jwksUri: 'https://169.254.169.254/keys' }, /jwksUri points into a private/],
      [{ jwksUri: 7 }, /jwksUri must be a string/],
      [{ subject: '' }, /subject must be a string/],
      [{ subject: 'x'.repeat(501) }, /subject must have at most 500/],
      [{ subject: 'a\nb' }, /subject must not contain control/],
      [{ subject: key }, /subject holds an API key/],
      [{ subject: 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln' }, /subject is a JWT/],
      [{ subject: '鍵'.repeat(334) }, /subject must have at most 1000 bytes as UTF-8, this one has 1002/],
      [{ audience: undefined }, /audience must be a string/],
      [{ audience: ['a'] }, /audience must be a string/],
      [{ allowPrivateNetwork: 'yes' }, /allowPrivateNetwork must be true or false/],
      [{ more: 1 }, /"more" is not a member/],
    ]
    for (const [part, sentence] of wrong) {
      const error = await refusal(() => world.one.apiKeys.trust(apiKey.id, untyped({ ...WORKER, ...part })))
      assert.equal(error.code, 'invalid_input', inspect(part))
      assert.match(error.message, sentence)
      assert.ok(!error.message.includes('user:') && !error.message.includes(key))
    }
    assert.deepEqual((await world.one.apiKeys.get(apiKey.id)).identities, [])
    const old = { ...WORKER, issuer: 'kubernetes/serviceaccount', jwksUri: 'https://issuer.example.org/keys' }
    const { identities } = await world.one.apiKeys.trust(apiKey.id, old)
    assert.equal(identities[0]?.issuer, old.issuer, 'one that is only compared need not be a URL')
  })

  test('what is as long as it may be is kept, and found', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    // Nothing that a database could make shorter.
    const text = (): string =>
      Array.from({ length: 333 }, () => String.fromCodePoint(randomInt(0x4e00, 0x9f00))).join('')
    const [issuer, subject, audience] = [text(), text(), text()]
    const jwksUri = 'https://issuer.example.org/keys'
    const trusting = await world.one.apiKeys.trust(apiKey.id, { issuer, subject, audience, jwksUri })
    await usingRows(world, async ({ rows }) =>
      assert.deepEqual(await rows.apiKeyTrusting({ issuer, subject }), trusting),
    )
  })

  test('a JWT that names what no identity can have is of nobody', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    await world.one.apiKeys.trust(apiKey.id, { ...WORKER, subject: 'a\uFFFD' })
    for (const odd of ['a\0', 'a\ud800', 'a\u{10ffff}', 'x'.repeat(9000), '', 7, null, [], {}]) {
      for (const claims of [
        { iss: odd, sub: 'a\uFFFD' },
        { iss: WORKER.issuer, sub: odd },
      ]) {
        const parts = [{ alg: 'ES256' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        const shown = await world.one.callers.byJwt(`${parts.join('.')}.c2ln`)
        assert.deepEqual(shown, { kind: 'nobody' }, inspect(odd))
      }
    }
  })

  test('a key trusts a hundred identities at most', async () => {
    await using world = await callersWorld(make)
    const { apiKey } = await world.key()
    for (let at = 0; at < 100; at += 1) await world.one.apiKeys.trust(apiKey.id, { ...WORKER, subject: `${at}` })
    assert.match((await refusal(() => world.one.apiKeys.trust(apiKey.id, WORKER))).message, /at most 100/)
    await world.one.apiKeys.trust(apiKey.id, { ...WORKER, subject: '7', audience: 'another' })
  })
}

async function usingRows(
  { open }: { readonly open: () => Promise<OpenCallers> },
  use: (opened: OpenCallers) => Promise<void>,
): Promise<void> {
  const opened = await open()
  await use(opened).finally(() => opened.close())
}
