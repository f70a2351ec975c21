import assert from 'node:assert/strict'
import { test } from 'node:test'
import process from 'node:process'
import fc from 'fast-check'
import { openRawConnection, type RawAnswer } from './raw-http.ts'
import { openServedWorld } from './served-world.ts'

/** The whole of it takes minutes: CONTRIBUTING says how. */
const SHARE = process.env['TOKENKEEP_GENERATED'] === 'whole' ? 1 : 1 / 5
const REQUESTS = SHARE * 100_000
const AT_A_TIME = 200
const CONNECTIONS = 20
/** This process makes the requests as well: a busy machine is no reason to refuse them. */
const UNLIMITED = { callerRequestsPer10s: 0, wrongKeysPerMinute: 0, eventLoopDelayMsMax: 0 }
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

interface Known {
  readonly id: string
  readonly key: string
  readonly refreshToken: string
  /** Another one, to be revoked. */
  readonly spare: string
}

/** One request to the token endpoint or its neighbours: near enough to a right one to come far, and wrong somewhere. */
function requests({ id, key, refreshToken, spare }: Known, other: Known): fc.Arbitrary<Buffer> {
  const rarely = <Value>(usual: Value, ...odd: fc.Arbitrary<Value>[]): fc.Arbitrary<Value> =>
    fc.oneof({ arbitrary: fc.constant(usual), weight: 12 }, ...odd.map((arbitrary) => ({ arbitrary, weight: 1 })))
  const anything = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constant(''),
    fc.constant('%'),
  )
  const encoded = (value: string): string => encodeURIComponent(value.toWellFormed())
  const text = (usual: string, ...odd: string[]): fc.Arbitrary<string> =>
    rarely(encoded(usual), ...odd.map((each) => fc.constant(encoded(each))), anything.map(encoded), anything)

  const pair = fc.oneof(
    {
      weight: 4,
      arbitrary: text('refresh_token', 'client_credentials', 'password', 'urn:x').map((v) => `grant_type=${v}`),
    },
    { weight: 4, arbitrary: text(id, other.id, '__proto__').map((v) => `client_id=${v}`) },
    { weight: 4, arbitrary: text(key, other.key, refreshToken).map((v) => `client_secret=${v}`) },
    { weight: 4, arbitrary: text(refreshToken, other.refreshToken, key).map((v) => `refresh_token=${v}`) },
    { weight: 1, arbitrary: text('dealer-api', 'openid dealer-api', 'x'.repeat(5000), '"').map((v) => `scope=${v}`) },
    { weight: 1, arbitrary: text('https://api.example.org', '#', 'x').map((v) => `resource=${v}`) },
    { weight: 1, arbitrary: text(spare, other.refreshToken).map((v) => `token=${v}`) },
    { weight: 1, arbitrary: fc.tuple(anything, anything).map(([name, value]) => `${name}=${value}`) },
  )
  const right = [`grant_type=refresh_token`, `client_id=${id}`, `client_secret=${key}`, `refresh_token=${refreshToken}`]
  const body = fc.oneof(
    { weight: 3, arbitrary: fc.shuffledSubarray(right, { minLength: 3 }).map((pairs) => pairs.join('&')) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.shuffledSubarray(right, { minLength: 4 }), fc.array(pair, { maxLength: 1 }))
        .map((parts) => parts.flat().join('&')),
    },
    { weight: 4, arbitrary: fc.array(pair, { maxLength: 8 }).map((pairs) => pairs.join('&')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
    { weight: 1, arbitrary: fc.json() },
  )
  const basic = (name: string, secret: string): string => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
  const authorization = fc.oneof(
    { weight: 8, arbitrary: fc.constant<string | null>(null) },
    { weight: 2, arbitrary: fc.constant(basic(id, key)) },
    { weight: 1, arbitrary: fc.constant(basic(other.id, key)) },
    { weight: 1, arbitrary: fc.constant(`Bearer ${key}`) },
    { weight: 1, arbitrary: fc.string({ maxLength: 40 }).map((each) => basic(each, each)) },
    { weight: 1, arbitrary: fc.base64String({ maxLength: 40 }).map((each) => `Basic ${each}`) },
  )
  const path = rarely(
    '/realms/external/protocol/openid-connect/token',
    fc.constant('/realms/external/protocol/openid-connect/revoke'),
    fc.constant('/realms/external/protocol/openid-connect/token/introspect'),
    fc.constant('/realms/other/protocol/openid-connect/token'),
    fc.string({ maxLength: 20 }).map((each) => `/realms/${encoded(each)}/protocol/openid-connect/token`),
    fc.constant(`/realms/external/protocol/openid-connect/token?client_secret=${key}`),
    fc.constant('/realms/%2e%2e/protocol/openid-connect/token'),
    fc.constant('/realms/external/protocol/openid-connect/%74oken'),
  )
  const contentType = rarely(
    'application/x-www-form-urlencoded',
    fc.constant('application/x-www-form-urlencoded; charset=utf-8'),
    fc.constant('application/json'),
    fc.constant('text/plain'),
    fc.constant(''),
    fc.constant('application/x-www-form-urlencoded; charset=utf-16'),
  )
  const method = rarely('POST', fc.constantFrom('GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'))
  return fc
    .record({ method, path, authorization, contentType, body })
    .filter(({ method: asked }) => asked !== 'HEAD')
    .map((asked) => bytesOf(asked))
}

function bytesOf(asked: {
  readonly method: string
  readonly path: string
  readonly authorization: string | null
  readonly contentType: string
  readonly body: string
}): Buffer {
  const body = Buffer.from(asked.body, 'utf8')
  const head = [
    `${asked.method} ${asked.path} HTTP/1.1`,
    'host: localhost',
    ...(asked.contentType === '' ? [] : [`content-type: ${asked.contentType}`]),
    ...(asked.authorization === null ? [] : [`authorization: ${asked.authorization}`]),
    `content-length: ${body.length}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

/** Why an answer should never have been given; null: it may be. */
function wrongWith(answer: RawAnswer | null, secrets: readonly string[]): string | null {
  // The connection of a request that cannot be told from the next one may end without a word.
  if (answer === null) return null
  const { status, head, body } = answer
  const leaked = secrets.find((secret) => head.includes(secret) || (status !== 200 && body.includes(secret)))
  if (leaked !== undefined) return `a secret was told with status ${status}`
  if (status >= 500) return `status ${status}: ${body}`
  if (status !== 200 && !/"(error|code)":"[a-z_]+"/.test(body)) return `status ${status} without a word why: ${body}`
  if (status !== 405 && status !== 404 && !/^cache-control: no-store/im.test(head)) return 'the answer may be kept'
  return null
}

test('the token endpoint answers generated requests without a failure of its own and without telling a secret', async (t) => {
  await using served = await openServedWorld({ settings: UNLIMITED })
  const known = async (connection: string): Promise<Known> => {
    await served.connect(connection, { accessTokenSeconds: 3600 })
    const { id, key } = await served.makeKey({ sources: { external: connection } })
    const share = (): Promise<string> => served.share(connection, { id, key })
    return { id, key, refreshToken: await share(), spare: await share() }
  }
  const [own, other] = [await known('dealer-1'), await known('dealer-2')]
  const secrets = [...served.secrets]
  const port = Number(new URL(served.url).port)
  const connections = Array.from({ length: CONNECTIONS }, () => openRawConnection(port))
  const statuses = new Map<number, number>()
  t.diagnostic(`SEED=${seed}`)

  await fc.assert(
    fc.asyncProperty(fc.array(requests(own, other), { minLength: AT_A_TIME, maxLength: AT_A_TIME }), async (batch) => {
      const queue = [...batch]
      await Promise.all(
        connections.map(async (connection) => {
          for (let request = queue.pop(); request !== undefined; request = queue.pop()) {
            const answer = await connection.exchange(request)
            statuses.set(answer?.status ?? 0, (statuses.get(answer?.status ?? 0) ?? 0) + 1)
            const wrong = wrongWith(answer, secrets)
            if (wrong !== null) assert.fail(`${wrong}\nSEED=${seed}, asked: ${masked(request, secrets)}`)
          }
        }),
      )
    }),
    { numRuns: REQUESTS / AT_A_TIME, seed, endOnFailure: true },
  )
  for (const connection of connections) connection.close()
  t.diagnostic([...statuses].map(([status, count]) => `${status}: ${count}`).join(', '))
  assert.ok((statuses.get(200) ?? 0) > REQUESTS / 50, 'some of them are right')
  assert.ok((statuses.get(400) ?? 0) > REQUESTS / 10)
  assert.ok((statuses.get(401) ?? 0) > REQUESTS / 10)
})

const masked = (request: Buffer, secrets: readonly string[]): string =>
  secrets.reduce((text, secret) => text.replaceAll(secret, '***'), request.toString('latin1')).slice(0, 2000)
