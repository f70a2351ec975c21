/** Generated JWTs of a workload that a key trusts: nine in ten to the library, the others over real HTTP wherever they are taken. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import process from 'node:process'
import fc from 'fast-check'
import { newKeys, signedWithHeader, type Claims } from './event-issuer.ts'
import { openRawConnection, type RawAnswer } from './raw-http.ts'
import { openServedWorld, REALM } from './served-world.ts'

/** The whole of it takes minutes: CONTRIBUTING says how. */
const SHARE = process.env['TOKENKEEP_GENERATED'] === 'whole' ? 1 : 1 / 5
const TO_LIBRARY = SHARE * 90_000
const OVER_HTTP = SHARE * 10_000
const AT_A_TIME = 200
const CONNECTIONS = 20
const UNLIMITED = { callerRequestsPer10s: 0, wrongKeysPerMinute: 0, eventLoopDelayMsMax: 0 }
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

const AUDIENCE = 'https://keep.example.org'
const SUBJECT = 'system:serviceaccount:prod:worker'
const TOKEN = `/realms/${REALM}/protocol/openid-connect/token`
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** A server that counts what it is asked, and has an answer for everything. */
async function counting(t: TestContext, answer: () => unknown): Promise<{ origin: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.end(JSON.stringify(answer()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

interface Workload {
  readonly issuer: string
  /** The one that is good. */
  readonly right: string
  /** Signed by the issuer with something in them that is not right; and right ones that somebody else signed. */
  readonly wrong: readonly string[]
}

function workload(issuer: string, own: ReturnType<typeof newKeys>, trap: string): Workload {
  const now = Math.floor(Date.now() / 1000)
  const stranger = newKeys()
  const header = { alg: 'ES256', kid: 'one' }
  const claims = { iss: issuer, sub: SUBJECT, aud: AUDIENCE, iat: now, exp: now + 3600 }
  const publicKey = stranger.publicKey.export({ format: 'jwk' })
  const headers: readonly Claims[] = [
    ...['none', 'HS256', 'RS256', 'dir', '', 7, null, ['ES256']].map((alg) => ({ alg })),
    ...['two', '', 7, '../one', 'one\0', `${trap}/kid`].map((kid) => ({ kid })),
    ...['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'x', '', 7, ['JWT']].map((typ) => ({ typ })),
    { jku: `${trap}/jku` },
    { x5u: `${trap}/x5u` },
    { jwk: publicKey },
    { x5c: ['AAAA'] },
  ]
  const wrongClaims: readonly Claims[] = [
    ...['x', '', [], ['x'], {}, 7, null, `${AUDIENCE}/`, [[AUDIENCE]]].map((aud) => ({ aud })),
    ...['x', '', `${SUBJECT}\0`, [SUBJECT], { a: 1 }, 7, null, '\ud800'].map((sub) => ({ sub })),
    ...[`${trap}/`, `${issuer}/`, [issuer], '', 7, null, '\0', 'file:///etc/passwd'].map((iss) => ({ iss })),
    ...[now - 120, now + 90_000, 0, -1, 1e300, String(now + 60), null, [], '\0'].map((exp) => ({ exp })),
    ...[now + 600, 'x', {}, 1e300].map((nbf) => ({ nbf })),
    ...[now + 600, 'x', {}, 1e300].map((iat) => ({ iat })),
    { cnf: {} },
    { events: null },
  ]
  const by = (key: typeof own, of: Claims, said: Claims) => signedWithHeader(key.privateKey, of, said)
  return {
    issuer,
    right: by(own, header, claims),
    wrong: [
      ...wrongClaims.flatMap((odd) => [
        by(own, header, { ...claims, ...odd }),
        by(stranger, header, { ...claims, ...odd }),
      ]),
      ...headers.map((odd) => by(stranger, { ...header, ...odd }, claims)),
      ...['one', 'two'].map((kid) => by(stranger, { ...header, kid }, claims)),
    ],
  }
}

function texts({ right, wrong }: Workload): fc.Arbitrary<string> {
  const token = fc.constantFrom(right, ...wrong)
  const encoded = (text: string): string => Buffer.from(text).toString('base64url')
  const [, claims = ''] = right.split('.')
  const said = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Claims
  // A member that comes twice, the good one last, and what is far too deep.
  const repeated = fc.constantFrom(...Object.keys(said)).map((name) => {
    const text = JSON.stringify(said)
    return encoded(`{"${name}":"x",${text.slice(1)}`)
  })
  const part = fc.oneof(
    fc.base64String({ maxLength: 40 }),
    fc.json().map(encoded),
    fc
      .dictionary(fc.constantFrom('iss', 'sub', 'aud', 'exp', 'alg', 'kid', '__proto__'), fc.jsonValue())
      .map((value) => encoded(JSON.stringify(value))),
    repeated,
    fc.constantFrom(encoded('['.repeat(9000)), encoded('{"alg":'), ''),
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
  const crossed = fc
    .tuple(token, token, token)
    .map((three) => three.map((each, index) => each.split('.')[index]).join('.'))
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(right) },
    { weight: 3, arbitrary: token },
    { weight: 4, arbitrary: changed },
    { weight: 6, arbitrary: mixed },
    { weight: 2, arbitrary: crossed },
    { weight: 3, arbitrary: fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
    { weight: 1, arbitrary: fc.constantFrom(100, 17_000, 60_000).map((length) => `${right}${'A'.repeat(length)}`) },
  )
}

/** The last character of a signature has bits that mean nothing: a text can be another one, and the same JWT. */
function isSame(text: string, right: string): boolean {
  // Whoever decodes a signature drops what is no base64url, and this is not decoded at all.
  if (!/^[\w.-]+$/.test(text)) return false
  const [given, own] = [text, right].map((each) => each.split('.'))
  const bytes = (parts: readonly string[] | undefined): Buffer => Buffer.from(parts?.[2] ?? '', 'base64url')
  return given?.length === 3 && given[0] === own?.[0] && given[1] === own?.[1] && bytes(given).equals(bytes(own))
}

interface Sent {
  readonly text: string
  readonly bytes: Buffer
}

function requests(of: Workload): fc.Arbitrary<Sent> {
  const form = (fields: Readonly<Record<string, string>>): string => new URLSearchParams(fields).toString()
  const post = (path: string, body: string): Buffer =>
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  const get = (path: string, credential: string): Buffer =>
    Buffer.from(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${credential}\r\n\r\n`, 'latin1')
  const inHeader = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?')
  const way = fc.constantFrom<(text: string) => Buffer>(
    (text) =>
      post(TOKEN, form({ grant_type: EXCHANGE, subject_token: text, subject_token_type: JWT, audience: 'dealer-42' })),
    (text) =>
      post(
        TOKEN,
        form({ grant_type: EXCHANGE, subject_token: text, subject_token_type: JWT, audience: text, client_id: text }),
      ),
    (text) =>
      post(
        TOKEN,
        form({ grant_type: 'client_credentials', client_assertion_type: JWT_BEARER, client_assertion: text }),
      ),
    (text) =>
      post(`${TOKEN}/introspect`, form({ token: text, client_assertion_type: JWT_BEARER, client_assertion: text })),
    (text) => get('/v1/connections/dealer-42/token', `Bearer ${inHeader(text)}`),
    (text) => get('/v1/connections', `bearer ${inHeader(text)}`),
    (text) => get('/v1/proxy/dealer-42/x', `Bearer ${inHeader(text)}`),
  )
  return fc.tuple(texts(of), way).map(([text, make]) => ({ text, bytes: make(text) }))
}

async function opened(t: TestContext) {
  const trap = await counting(t, () => ({ keys: [] }))
  const own = newKeys()
  const jwk = { ...own.publicKey.export({ format: 'jwk' }), kid: 'one' }
  const publisher = await counting(t, () => ({
    issuer: publisher.origin,
    jwks_uri: `${publisher.origin}/keys`,
    keys: [jwk],
  }))
  const of = workload(publisher.origin, own, trap.origin)
  const trusting = { issuer: of.issuer, subject: SUBJECT, audience: AUDIENCE }
  return { trap, publisher, of, trusting }
}

/** The metadata, the keys, and the keys once more for a name that is not known, in each 30 seconds. */
const questionsMost = (sinceMs: number): number => 2 + 2 * (1 + Math.ceil((Date.now() - sinceMs) / 30_000))

test('of generated JWTs none but the right one is known, and no address is asked that none may name', async (t) => {
  await using served = await openServedWorld()
  const { trap, publisher, of, trusting } = await opened(t)
  const key = await served.makeKey()
  await served.keep.apiKeys.trust(key.id, trusting)
  t.diagnostic(`SEED=${seed}`)
  const since = Date.now()
  const kinds = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(fc.array(texts(of), { minLength: AT_A_TIME, maxLength: AT_A_TIME }), async (batch) => {
      const shown = await Promise.all(batch.map((text) => served.keep.callers.byJwt(text)))
      for (const [at, each] of shown.entries()) {
        const text = batch[at] ?? ''
        const what = each.kind === 'not_valid' ? each.because : each.kind
        kinds.set(what, (kinds.get(what) ?? 0) + 1)
        assert.equal(each.kind === 'known', isSame(text, of.right), `${what}: ${text.slice(0, 3000)}`)
        assert.notEqual(each.kind, 'unavailable')
      }
    }),
    { numRuns: TO_LIBRARY / AT_A_TIME, seed, endOnFailure: true },
  )
  t.diagnostic([...kinds].map(([kind, count]) => `${kind}: ${count}`).join(', '))
  for (const kind of ['known', 'nobody', 'signature', 'audience', 'expired']) {
    assert.ok((kinds.get(kind) ?? 0) > TO_LIBRARY / 2000, `some are ${kind}`)
  }
  assert.deepEqual(trap.asked, [])
  assert.ok(publisher.asked.length <= questionsMost(since), publisher.asked.join(' '))
})

/** Why an answer should never have been given; null: it may be. */
function wrongWith(answer: RawAnswer | null, isRight: boolean, secrets: readonly string[]): string | null {
  if (answer === null) return null
  const { status, head, body } = answer
  const leaked = secrets.find((secret) => head.includes(secret) || (!isRight && body.includes(secret)))
  if (leaked !== undefined) return `a secret was told with status ${status}`
  if (status >= 500) return `status ${status}: ${body}`
  if (status === 200 && !isRight) return `it was taken: ${body}`
  if (status !== 200 && !/"(error|code)":"[a-z_]+"/.test(body)) return `status ${status} without a word why: ${body}`
  return null
}

test('generated JWTs sent wherever they are taken: no failure, no token for a wrong one, no secret in an answer or a log', async (t) => {
  await using served = await openServedWorld({ settings: UNLIMITED })
  await served.connect('dealer-42', { accessTokenSeconds: 3600 })
  const { trap, publisher, of, trusting } = await opened(t)
  const scopes = ['token:read', 'proxy'] as const
  const key = await served.makeKey({ scopes, sources: { [REALM]: 'dealer-42' } })
  await served.keep.apiKeys.trust(key.id, trusting)
  const signatures = [of.right, ...of.wrong].map((jwt) => jwt.split('.')[2] ?? '')
  const secrets = [...served.secrets, ...signatures]
  const connections = Array.from({ length: CONNECTIONS }, () => openRawConnection(Number(new URL(served.url).port)))
  const statuses = new Map<number, number>()
  t.diagnostic(`SEED=${seed}`)
  const since = Date.now()
  await fc.assert(
    fc.asyncProperty(fc.array(requests(of), { minLength: AT_A_TIME, maxLength: AT_A_TIME }), async (batch) => {
      const queue = [...batch]
      await Promise.all(
        connections.map(async (connection) => {
          for (let sent = queue.pop(); sent !== undefined; sent = queue.pop()) {
            const answer = await connection.exchange(sent.bytes)
            statuses.set(answer?.status ?? 0, (statuses.get(answer?.status ?? 0) ?? 0) + 1)
            const wrong = wrongWith(answer, isSame(sent.text.trimEnd(), of.right), secrets)
            if (wrong !== null)
              assert.fail(`${wrong}\nSEED=${seed}, asked: ${sent.bytes.toString('latin1').slice(0, 3000)}`)
          }
        }),
      )
    }),
    { numRuns: OVER_HTTP / AT_A_TIME, seed, endOnFailure: true },
  )
  for (const connection of connections) connection.close()
  t.diagnostic([...statuses].map(([status, count]) => `${status}: ${count}`).join(', '))
  for (const status of [200, 400, 401]) assert.ok((statuses.get(status) ?? 0) > OVER_HTTP / 200, `some are ${status}`)
  const said = JSON.stringify([served.logged, served.counted, served.events])
  assert.deepEqual(
    secrets.filter((secret) => said.includes(secret)),
    [],
  )
  assert.deepEqual(
    served.logged.filter(([level]) => level === 'error'),
    [],
  )
  assert.deepEqual(trap.asked, [])
  assert.ok(publisher.asked.length <= questionsMost(since), publisher.asked.join(' '))
})
