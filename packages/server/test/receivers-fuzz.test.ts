/** 10,000 generated requests to each of the two receivers over real HTTP; what is read of claims has a test of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CREDENTIAL_CHANGE,
  LOGOUT,
  SESSION_REVOKED,
  eventIssuer,
  newKeys,
  signedBy,
  type Claims,
  type EventIssuer,
} from './event-issuer.ts'
import { openRawConnection, type RawAnswer } from './raw-http.ts'
import { openServedWorld } from './served-world.ts'

const REQUESTS = 10_000
const AT_A_TIME = 200
const CONNECTIONS = 10
const UNLIMITED = { callerRequestsPer10s: 0, wrongKeysPerMinute: 0, eventLoopDelayMsMax: 0 }
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** Authentic tokens with something in them that is not right, or about somebody else; and forged ones that would be right. */
function tokens(issuer: EventIssuer): readonly string[] {
  const now = Math.floor(Date.now() / 1000)
  const stranger = newKeys().privateKey
  const right: Claims = {
    iss: issuer.issuer,
    aud: 'app',
    iat: now,
    exp: now + 3600,
    jti: 'j',
    sid: 'session-1',
    sub: 'alice',
  }
  const events = { [LOGOUT]: {}, [SESSION_REVOKED]: {}, [CREDENTIAL_CHANGE]: {} }
  const user = { format: 'iss_sub', iss: issuer.issuer, sub: 'alice' }
  const wrong: readonly Claims[] = [
    { aud: 'x' },
    { iss: 'https://elsewhere.example' },
    { nonce: 'n' },
    { events: {} },
    { events: [] },
    { iat: now + 7200 },
    { iat: now - 90_000 },
    { iat: '1' },
    { exp: now - 7200 },
    { jti: undefined },
    { sid: 'session-2', sub_id: { format: 'opaque', id: 'session-2' } },
    { sid: undefined, sub: 'bob', sub_id: { ...user, sub: 'bob' } },
    { sid: 'x'.repeat(2000), sub_id: { format: 'email', email: 'alice' } },
    { sid: 'session-1\0', sub_id: { format: 'opaque', id: 'session-1\0' } },
    { sid: [], sub_id: [] },
  ]
  const made = wrong.flatMap((claims) => [
    issuer.logoutToken({ sub_id: { ...user, sub: 'nobody' }, events, ...claims }),
    issuer.securityEvent({ sub_id: { ...user, sub: 'nobody' }, events, ...claims }),
  ])
  const forged = ['logout+jwt', 'secevent+jwt', 'JWT'].map((typ) =>
    signedBy(stranger, typ, { ...right, events, sub_id: user }),
  )
  return [...made, ...forged]
}

function requests(path: string, given: readonly string[]): fc.Arbitrary<Buffer> {
  const token = fc.constantFrom(...given)
  const part = fc.oneof(
    fc.base64String({ maxLength: 40 }),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  )
  const changed = fc.tuple(token, fc.nat(), fc.string({ maxLength: 3 })).map(([text, at, by]) => {
    const where = at % (text.length + 1)
    return text.slice(0, where) + by + text.slice(where + by.length)
  })
  const mixed = fc.tuple(token, part, fc.nat(2)).map(([text, other, at]) =>
    text
      .split('.')
      .map((each, index) => (index === at ? other : each))
      .join('.'),
  )
  const text = fc.oneof(
    { weight: 4, arbitrary: token },
    { weight: 4, arbitrary: changed },
    { weight: 3, arbitrary: mixed },
    { weight: 2, arbitrary: fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
  )
  const isForm = path.endsWith('logout')
  const body = isForm
    ? fc.oneof(
        { weight: 8, arbitrary: text.map((each) => `logout_token=${encodeURIComponent(each.toWellFormed())}`) },
        { weight: 1, arbitrary: text.map((each) => `logout_token=${each}&logout_token=${each}`) },
        { weight: 1, arbitrary: text },
      )
    : text
  const mediaType = isForm ? 'application/x-www-form-urlencoded' : 'application/secevent+jwt'
  const contentType = fc.oneof(
    { weight: 15, arbitrary: fc.constant(mediaType) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('application/json', 'text/plain', '', `${mediaType}; charset=utf-16`, 'x'),
    },
  )
  const target = fc.oneof(
    { weight: 15, arbitrary: fc.constant(path) },
    {
      weight: 1,
      arbitrary: fc
        .string({ maxLength: 20 })
        .map((each) => path.replace('idp', encodeURIComponent(each.toWellFormed()))),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        `${path}?logout_token=x`,
        `${path}/`,
        path.replace('idp', '%00'),
        path.replace('idp', '%zz'),
      ),
    },
  )
  return fc.record({ target, contentType, body }).map(({ target: to, contentType: type, body: sent }) => {
    const bytes = Buffer.from(sent, 'utf8')
    const head = [
      `POST ${to} HTTP/1.1`,
      'host: localhost',
      ...(type === '' ? [] : [`content-type: ${type}`]),
      `content-length: ${bytes.length}`,
    ]
    return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
  })
}

/** Why an answer should never have been given; null: it may be. */
function wrongWith(answer: RawAnswer | null, secrets: readonly string[]): string | null {
  if (answer === null) return 'no answer'
  const { status, head, body } = answer
  const leaked = secrets.find((secret) => head.includes(secret) || body.includes(secret))
  if (leaked !== undefined) return `${leaked} was told with status ${status}`
  if (status >= 500) return `status ${status}: ${body}`
  if (status < 300 && body !== '') return `success says something: ${body}`
  if (status >= 400 && !/"(error|err|code)":"[a-z_]+"/.test(body)) return `status ${status} without a word why: ${body}`
  if (!/^cache-control: no-store/im.test(head)) return 'the answer may be kept'
  return null
}

for (const path of ['/providers/idp/backchannel-logout', '/providers/idp/events']) {
  test(`${path} takes 10,000 generated requests without a failure, tells nothing and signs nobody out`, async (t) => {
    await using served = await openServedWorld({ settings: UNLIMITED })
    const issuer = await eventIssuer(t)
    const { keep } = served
    const endpoints = { tokenEndpoint: `${issuer.issuer}/token`, jwksUri: `${issuer.issuer}/keys` }
    await keep.providers.put({ id: 'idp', issuer: issuer.issuer, ...endpoints })
    await keep.clients.put({ id: 'idp-app', provider: 'idp', clientId: 'app', clientSecret: 'secret-of-app-canary' })
    await keep.connections.import({
      id: 'alice-of-the-fuzz',
      client: 'idp-app',
      refreshToken: 'rt-canary',
      accessToken: 'at-canary',
      expiresAt: Date.now() + 3_600_000,
      subject: 'alice',
      sessionId: 'session-1',
    })
    const secrets = [...served.secrets, 'secret-of-app-canary', 'rt-canary', 'at-canary', 'alice-of-the-fuzz']
    const all = requests(path, tokens(issuer))
    const connections = Array.from({ length: CONNECTIONS }, () => openRawConnection(Number(new URL(served.url).port)))
    const statuses = new Map<number, number>()
    t.diagnostic(`SEED=${seed}`)
    await fc.assert(
      fc.asyncProperty(fc.array(all, { minLength: AT_A_TIME, maxLength: AT_A_TIME }), async (batch) => {
        const queue = [...batch]
        await Promise.all(
          connections.map(async (connection) => {
            for (let request = queue.pop(); request !== undefined; request = queue.pop()) {
              const answer = await connection.exchange(request)
              statuses.set(answer?.status ?? 0, (statuses.get(answer?.status ?? 0) ?? 0) + 1)
              const wrong = wrongWith(answer, secrets)
              if (wrong !== null)
                assert.fail(`${wrong}\nSEED=${seed}, asked: ${request.toString('latin1').slice(0, 3000)}`)
            }
          }),
        )
      }),
      { numRuns: REQUESTS / AT_A_TIME, seed, endOnFailure: true },
    )
    for (const connection of connections) connection.close()
    t.diagnostic([...statuses].map(([status, count]) => `${status}: ${count}`).join(', '))
    assert.ok(
      [200, 202].some((status) => (statuses.get(status) ?? 0) > REQUESTS / 100),
      'some of them are right',
    )
    assert.equal((await keep.token('alice-of-the-fuzz')).accessToken, 'at-canary')
    assert.deepEqual(
      served.events.filter(({ type }) => type === 'signed_out'),
      [],
    )
    assert.deepEqual(
      served.logged.filter(([level]) => level === 'error'),
      [],
    )
  })
}
