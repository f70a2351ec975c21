import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose'
import { createControlClient, type JwtOrder } from '../src/index.ts'
import { openReceiver } from './receiver.ts'
import { openTrial, type Trial } from './trial.ts'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const SUBJECT = { format: 'opaque', id: 'ada' } as const

const certsOf = (trial: Trial) => `${trial.devserver.issuer('external')}/protocol/openid-connect/certs`
const keysOf = (trial: Trial) => createRemoteJWKSet(new URL(certsOf(trial)))

test('a security event is signed and pushed as RFC 8417 and RFC 8935 have it, and the answer is given back', async (t) => {
  const [trial, receiver] = [await openTrial(t), await openReceiver(t)]
  const control = createControlClient(trial.devserver.controlUrl)
  const issuer = trial.devserver.issuer('external')
  receiver.answer(202)
  const subjectId = {
    format: 'complex',
    user: { format: 'iss_sub', iss: issuer, sub: 'ada' },
    session: { format: 'opaque', id: 'session-1' },
  }
  const to = `${receiver.origin}/events`
  const order = { to, authorization: 'Bearer receiver-key', audience: 'https://rp.example', subjectId } as const
  const pushed = await control.pushEvent('external', { ...order, event: 'session-revoked' })
  assert.deepEqual([pushed.status, pushed.body], [202, ''])
  const [post] = receiver.received
  assert.deepEqual(
    [post?.path, post?.headers['content-type'], post?.headers.authorization, post?.body],
    ['/events', 'application/secevent+jwt', 'Bearer receiver-key', pushed.token],
  )
  const { payload } = await jwtVerify(pushed.token, keysOf(trial), {
    issuer,
    audience: 'https://rp.example',
    typ: 'secevent+jwt',
  })
  assert.deepEqual(payload['sub_id'], subjectId)
  assert.deepEqual(Object.keys(payload['events'] as object), [`${CAEP}session-revoked`])
  assert.deepEqual(
    ['sub', 'exp'].filter((it) => it in payload),
    [],
  )

  const changed = await control.pushEvent('external', {
    ...order,
    event: 'credential-change',
    details: { change_type: 'revoke' },
    claims: { jti: payload.jti, iat: null },
  })
  const claims = decodeJwt(changed.token)
  const events = claims['events'] as Record<string, Record<string, unknown>>
  const details = events[`${CAEP}credential-change`]
  assert.deepEqual([details?.['credential_type'], details?.['change_type']], ['password', 'revoke'])
  assert.deepEqual([claims.jti, claims.iat], [payload.jti, undefined])
})

test('what a receiver refuses is given back as it is, and one that is not there is said', async (t) => {
  const [trial, receiver] = [await openTrial(t), await openReceiver(t)]
  const { control } = trial.devserver
  receiver.answer(400, { body: '{"err":"invalid_key"}' })
  const order = { to: receiver.origin, audience: 'x', event: 'session-revoked', subjectId: SUBJECT } as const
  const refused = await control.pushEvent('external', { ...order, key: 'other' })
  assert.deepEqual([refused.status, refused.body], [400, '{"err":"invalid_key"}'])
  await assert.rejects(jwtVerify(refused.token, keysOf(trial)), /signature verification failed/)
  receiver.answer(302, { headers: { location: `${receiver.origin}/elsewhere` } })
  assert.equal((await control.pushEvent('external', order)).status, 302)
  assert.equal(receiver.received.length, 2)
  await receiver.close()
  await assert.rejects(control.pushEvent('external', order), /did not answer: .*ECONNREFUSED/)
  await assert.rejects(
    control.pushEvent('external', { ...order, to: 'file:///etc/passwd' }),
    /order\.to must be an http/,
  )
})

test('a JWT is made right or wrong, as ordered', async (t) => {
  const trial = await openTrial(t)
  const control = createControlClient(trial.devserver.controlUrl)
  const make = async (order: JwtOrder) => (await control.sign('external', order)).jwt
  const claims = { iss: 'anybody', any: ['thing'] }

  const right = await jwtVerify(await make({ claims, header: { typ: 'logout+jwt' } }), keysOf(trial))
  assert.deepEqual([right.payload, right.protectedHeader.typ], [claims, 'logout+jwt'])

  await assert.rejects(jwtVerify(await make({ claims, key: 'other' }), keysOf(trial)), /signature verification failed/)
  const unsigned = await make({ claims, header: { alg: 'none', kid: null } })
  assert.deepEqual(decodeProtectedHeader(unsigned), { alg: 'none', typ: 'JWT' })
  assert.match(unsigned, /^[^.]+\.[^.]+\.$/)

  const confused = await make({ claims, header: { alg: 'HS256' } })
  const { keys } = (await (await fetch(certsOf(trial))).json()) as JSONWebKeySet
  const pem = createPublicKey({ key: keys[0] as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const at = confused.lastIndexOf('.')
  const expected = createHmac('sha256', pem).update(confused.slice(0, at)).digest('base64url')
  assert.equal(confused.slice(at + 1), expected)
  await assert.rejects(
    control.sign('external', { claims: 'none' } as unknown as JwtOrder),
    /order\.claims must be an object/,
  )
})
