/** Generated answers to a sign-in that waits: four in five to the library, the others over real HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import process from 'node:process'
import fc from 'fast-check'
import { Browser } from '@tokenkeep/devserver'
import { openRawConnection, type RawAnswer } from './raw-http.ts'
import { openServedWorld, type ServedWorld } from './served-world.ts'

/** The whole of it takes minutes: CONTRIBUTING says how. */
const SHARE = process.env['TOKENKEEP_GENERATED'] === 'whole' ? 1 : 1 / 5
const TO_LIBRARY = SHARE * 80_000
const OVER_HTTP = SHARE * 20_000
const AT_A_TIME = 200
const CONNECTIONS = 20
const UNLIMITED = { callerRequestsPer10s: 0, wrongKeysPerMinute: 0, eventLoopDelayMsMax: 0 }
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** A sign-in that waits for its answer, and the parts of that answer. */
interface Waiting {
  readonly id: string
  readonly link: string
  readonly state: string
  readonly code: string
  readonly issuer: string
  readonly cookie: string
}

/** Signed in at the provider, and not come back. */
async function waiting(served: ServedWorld, connection: string): Promise<Waiting> {
  const { session, link } = await served.keep.connectSessions.create({ client: 'web', connection })
  const browser = new Browser()
  const begun = await browser.visit(`${served.url}/connect/${link}`, {})
  const [, cookie = ''] = /tokenkeep-connect=([\w-]+)/.exec(begun.headers.get('set-cookie') ?? '') ?? []
  const page = await browser.signIn(begun.headers.get('location') ?? '', 'ada', `${served.url}/connect/callback`)
  assert.ok('left' in page)
  const said = (name: string): string => page.left.searchParams.get(name) ?? ''
  return { id: session.id, link, state: said('state'), code: said('code'), issuer: said('iss'), cookie }
}

const rarely = (usual: string, ...odd: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 8 }, ...odd.map((arbitrary) => ({ arbitrary, weight: 1 })))

/** Near enough to a right answer to come far; never right, for the two that are needed together come from two sign-ins. */
function answers(one: Waiting, two: Waiting): fc.Arbitrary<{ readonly query: string; readonly cookie: string }> {
  const odd = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 60 }), fc.constant(''), fc.constant('%'))
  const encoded = (value: string): string => encodeURIComponent(value.toWellFormed())
  const text = (usual: string, ...more: string[]): fc.Arbitrary<string> =>
    rarely(encoded(usual), ...more.map((each) => fc.constant(encoded(each))), odd.map(encoded), odd)
  const pair = fc.oneof(
    { weight: 5, arbitrary: text(one.state, one.link, one.cookie, two.code).map((v) => `state=${v}`) },
    { weight: 5, arbitrary: text(one.code, two.code, one.state).map((v) => `code=${v}`) },
    { weight: 4, arbitrary: text(one.issuer, 'https://attacker.example', '//host').map((v) => `iss=${v}`) },
    { weight: 1, arbitrary: text('access_denied', '<script>', 'x'.repeat(9000)).map((v) => `error=${v}`) },
    { weight: 1, arbitrary: text('none').map((v) => `session_state=${v}`) },
    { weight: 1, arbitrary: fc.tuple(odd, odd).map(([name, value]) => `${name}=${value}`) },
  )
  const query = fc.oneof(
    { weight: 6, arbitrary: fc.array(pair, { maxLength: 6 }).map((pairs) => pairs.join('&')) },
    {
      weight: 3,
      arbitrary: fc
        .shuffledSubarray([`state=${one.state}`, `code=${one.code}`, `iss=${encodeURIComponent(one.issuer)}`])
        .map((pairs) => pairs.join('&')),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 300 }) },
  )
  // The cookie of the browser that began is the other one's.
  const cookie = fc.oneof(fc.constant(two.cookie), fc.constant(''), fc.string({ maxLength: 60 }))
  return fc.record({ query, cookie })
}

test('no generated answer connects anything, fails on our side, tells a secret, or costs the sign-in that waits', async (t) => {
  await using served = await openServedWorld({ settings: UNLIMITED })
  await served.upstream.control.putClient('external', {
    clientId: 'web',
    clientSecret: 'secret-canary-of-web',
    redirectUris: [`${served.url}/connect/callback/external`],
  })
  await served.keep.clients.put({
    id: 'web',
    provider: 'external',
    clientId: 'web',
    clientSecret: 'secret-canary-of-web',
  })
  const [one, two] = [await waiting(served, 'of-one'), await waiting(served, 'of-two')]
  const secrets = [one, two].flatMap(({ link, state, code, cookie }) => [link.slice(4), state, code, cookie])
  const before = await served.upstream.control.totals()
  t.diagnostic(`SEED=${seed}`)

  const kinds = new Map<string, number>()
  const count = (kind: string): void => void kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  const batch = fc.array(answers(one, two), { minLength: AT_A_TIME, maxLength: AT_A_TIME })
  await fc.assert(
    fc.asyncProperty(batch, async (all) => {
      const came = await Promise.all(
        all.map(({ query, cookie }) => served.keep.connectSessions.finish(query, { boundTo: cookie })),
      )
      for (const { kind } of came) {
        count(kind)
        assert.ok(kind === 'unknown' || kind === 'other_browser', kind)
      }
    }),
    { numRuns: TO_LIBRARY / AT_A_TIME, seed, endOnFailure: true },
  )

  const connections = Array.from({ length: CONNECTIONS }, () => openRawConnection(Number(new URL(served.url).port)))
  await fc.assert(
    fc.asyncProperty(batch, async (all) => {
      const queue = [...all]
      await Promise.all(
        connections.map(async (connection) => {
          for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
            const answer = await connection.exchange(bytesOf(next))
            count(String(answer?.status ?? 'ended'))
            const wrong = wrongWith(answer, secrets)
            if (wrong !== null) assert.fail(`${wrong}\nSEED=${seed}, asked: ${JSON.stringify(next).slice(0, 1000)}`)
          }
        }),
      )
    }),
    { numRuns: OVER_HTTP / AT_A_TIME, seed, endOnFailure: true },
  )
  for (const connection of connections) connection.close()
  t.diagnostic([...kinds].map(([kind, times]) => `${kind}: ${times}`).join(', '))
  assert.ok((kinds.get('other_browser') ?? 0) > TO_LIBRARY / 20, 'many named a sign-in that waits')
  assert.ok((kinds.get('403') ?? 0) > OVER_HTTP / 20)

  // Nothing was asked upstream, and both sign-ins still end well.
  assert.deepEqual(await served.upstream.control.totals(), before)
  for (const { id } of [one, two]) assert.equal((await served.keep.connectSessions.get(id)).state.status, 'signing_in')
  for (const { state, code, issuer, cookie } of [one, two]) {
    const query = new URLSearchParams({ state, code, iss: issuer })
    assert.equal((await served.keep.connectSessions.finish(query, { boundTo: cookie })).kind, 'connected')
  }
})

function bytesOf({ query, cookie }: { readonly query: string; readonly cookie: string }): Buffer {
  // What would end the request line, or the header, is not what is tried here.
  const target = query.replaceAll(/[^\x21-\x7e]/g, (character) => encodeURIComponent(character.toWellFormed()))
  const value = cookie.replaceAll(/[^\x21-\x7e]|;/g, '_')
  const cookies = cookie === '' ? '' : `cookie: tokenkeep-connect=${value}\r\n`
  return Buffer.from(`GET /connect/callback/external?${target} HTTP/1.1\r\nhost: localhost\r\n${cookies}\r\n`, 'latin1')
}

/** Why an answer should never have been given; null: it may be. */
function wrongWith(answer: RawAnswer | null, secrets: readonly string[]): string | null {
  if (answer === null) return null
  const { status, head, body } = answer
  if (status >= 500 || status === 200 || status === 303) return `status ${status}: ${body}`
  if (/<script/i.test(body)) return 'a script'
  return secrets.some((secret) => head.includes(secret) || body.includes(secret)) ? 'a secret was told' : null
}
