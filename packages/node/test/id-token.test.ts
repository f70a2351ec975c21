import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { Secret, type OpenedClient, type Provider, type ResponseSeen } from '@tokenkeep/core'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { createSystemClock } from '../src/clock-system.ts'
import { readIdToken } from '../src/id-token.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { clientOf, providerOf } from './fixtures/provider.ts'
import { httpServer } from './fixtures/servers.ts'

const NONCE = 'nonce-of-this-sign-in'
const SECRET = new Secret('client_secret', 'a-secret-that-is-long-enough-for-hs256')
const seconds = (): number => Math.floor(Date.now() / 1000)

async function signing(t: TestContext) {
  const pair = await generateKeyPair('ES256')
  const other = await generateKeyPair('ES256')
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k' }] })
  const origin = await httpServer(t, (_request, response) => response.end(jwks))
  const provider = providerOf({ issuer: origin.origin, jwksUri: `${origin.origin}/keys` })
  const claims = (more: Record<string, unknown>): JWTPayload => ({
    iss: origin.origin,
    aud: 'my-client',
    sub: 'ada',
    sid: 'session-1',
    nonce: NONCE,
    iat: seconds(),
    exp: seconds() + 300,
    ...more,
  })
  const signed = (more: Record<string, unknown>, key = pair.privateKey): Promise<string> =>
    new SignJWT(claims(more)).setProtectedHeader({ alg: 'ES256', kid: 'k' }).sign(key)
  return { provider, claims, signed, other }
}

const answerOf = (members: Record<string, unknown>): ResponseSeen => ({
  kind: 'response',
  status: 200,
  retryAfter: null,
  date: null,
  body: new Secret('answer_body', JSON.stringify({ access_token: 'at', ...members })),
  complete: true,
  sentAt: createSystemClock().now(),
})

const read = (
  provider: Provider,
  members: Record<string, unknown>,
  { client = clientOf({ clientSecret: SECRET }), nonce = NONCE }: { client?: OpenedClient; nonce?: string | null } = {},
) =>
  readIdToken(createProviderAccess({ clock: createSystemClock() }), {
    provider,
    client,
    answer: answerOf(members),
    nonce,
  })

test('an ID token says whose sign-in it is, and which session', async (t) => {
  const { provider, signed } = await signing(t)
  assert.deepEqual(await read(provider, { id_token: await signed({ email: 'ada@example.org' }) }), {
    subject: 'ada',
    sessionId: 'session-1',
    account: 'ada@example.org',
  })
  const ofMany = await signed({ aud: ['my-client', 'other'], azp: 'my-client', sid: undefined })
  assert.deepEqual(await read(provider, { id_token: ofMany, session_state: 'beside' }), {
    subject: 'ada',
    sessionId: 'beside',
    account: 'ada',
  })
})

test('without one nothing is known but a session that is named beside the tokens', async (t) => {
  const { provider } = await signing(t)
  const unasked = { nonce: null }
  assert.deepEqual(await read(provider, {}, unasked), { subject: null, sessionId: null, account: null })
  assert.deepEqual(await read(provider, { session_state: 's' }, unasked), {
    subject: null,
    sessionId: 's',
    account: null,
  })
})

test('a provider without ID tokens is asked whose account it is by the member that names it', async (t) => {
  const { provider, signed } = await signing(t)
  const unasked = { nonce: null }
  const naming = { ...provider, answer: { ...provider.answer, subject: ['authed_user.id', 'user_id'] } }
  const named = (subject: string | null) => ({ subject, sessionId: null, account: subject })
  for (const [members, subject] of [
    [{ authed_user: { id: 'U1234' }, user_id: 7 }, 'U1234'],
    [{ authed_user: { id: '' }, user_id: 7 }, '7'],
    [{ authed_user: 'U1234' }, null],
    [{ user_id: 1.5 }, null],
    [{ user_id: 'a\u0000b' }, null],
    [{ user_id: 'x'.repeat(201) }, null],
    [{}, null],
  ] as const)
    assert.deepEqual(await read(naming, members, unasked), named(subject))
  // An ID token says it better, and one that was asked for has to come.
  const both = await read(naming, { user_id: 7, id_token: await signed({}) })
  assert.ok(both !== 'not_authentic')
  assert.equal(both.subject, 'ada')
  assert.equal(await read(naming, { user_id: 7 }), 'not_authentic')
})

test('one that was asked for and is missing is not authentic', async (t) => {
  const { provider } = await signing(t)
  for (const members of [{}, { id_token: null }, { id_token: '' }, { session_state: 's' }])
    assert.equal(await read(provider, members), 'not_authentic')
})

test('one of another sign-in, client, issuer, key or time is not authentic', async (t) => {
  const { provider, signed, claims, other } = await signing(t)
  const table: readonly unknown[] = [
    await signed({ nonce: 'of another sign-in' }),
    await signed({ nonce: undefined }),
    await signed({ aud: 'other' }),
    await signed({ aud: ['my-client', 'other'] }),
    await signed({ azp: 'other' }),
    await signed({ iss: 'https://elsewhere.example' }),
    await signed({ exp: seconds() - 120 }),
    await signed({ exp: undefined }),
    await signed({ sub: undefined }),
    await signed({ sub: '' }),
    await signed({}, other.privateKey),
    new UnsecuredJWT(claims({})).encode(),
    await new SignJWT(claims({})).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode('x'.repeat(32))),
    'nonsense',
    42,
    {},
  ]
  for (const token of table) assert.equal(await read(provider, { id_token: token }), 'not_authentic', String(token))
})

test('one signed with the secret of the client is believed, and none that claims so without it', async (t) => {
  const { provider, claims } = await signing(t)
  const key = new TextEncoder().encode(SECRET.reveal())
  const token = await new SignJWT(claims({})).setProtectedHeader({ alg: 'HS256' }).sign(key)
  assert.notEqual(await read(provider, { id_token: token }), 'not_authentic')
  const publicClient = clientOf({ tokenEndpointAuthMethod: 'none', clientSecret: null })
  assert.equal(await read(provider, { id_token: token }, { client: publicClient }), 'not_authentic')
})

test('where no nonce was sent none is asked for', async (t) => {
  const { provider, signed } = await signing(t)
  assert.notEqual(
    await read(provider, { id_token: await signed({ nonce: undefined }) }, { nonce: null }),
    'not_authentic',
  )
})

test('a provider without keys, or whose keys cannot be had, is believed by the claims of what it sent itself', async (t) => {
  const { provider, signed, claims } = await signing(t)
  for (const jwksUri of ['http://127.0.0.1:1/keys', null]) {
    const keyless = { ...provider, jwksUri }
    assert.notEqual(await read(keyless, { id_token: await signed({}) }), 'not_authentic')
    for (const wrong of [
      { aud: 'other' },
      { iss: 'https://elsewhere.example' },
      { exp: seconds() - 120 },
      { nonce: 'x' },
    ])
      assert.equal(await read(keyless, { id_token: await signed(wrong) }), 'not_authentic')
    assert.equal(await read(keyless, { id_token: new UnsecuredJWT(claims({})).encode() }), 'not_authentic')
  }
})
