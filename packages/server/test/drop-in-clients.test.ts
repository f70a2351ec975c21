import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { suite, test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as openid from 'openid-client'
import type { Instructions, Library, Report } from './oauth-client-process.ts'
import { CLIENT_SECRET, openServedWorld, REALM, type ServedWorld } from './served-world.ts'

const FLEET: readonly Library[] = [
  ...Array<Library>(3).fill('openid-client'),
  ...Array<Library>(3).fill('simple-oauth2'),
  ...Array<Library>(2).fill('curl'),
]
const EXPIRIES = 20
const PROGRAM = fileURLToPath(new URL('oauth-client-process.ts', import.meta.url))

type Login = Omit<Instructions, 'library' | 'api' | 'expiries' | 'marginSeconds'>

/** Eight programs, started at once, that know one refresh token. */
async function fleet(login: Login, api: string): Promise<readonly Report[]> {
  return Promise.all(
    FLEET.map(async (library) => {
      const told: Instructions = { ...login, library, api, expiries: EXPIRIES, marginSeconds: 0 }
      const argv = ['--disable-warning=ExperimentalWarning', PROGRAM, JSON.stringify(told)]
      const { stdout } = await promisify(execFile)(process.execPath, argv)
      return JSON.parse(stdout) as Report
    }),
  )
}

async function world(t: TestContext, accessTokenSeconds: number): Promise<ServedWorld> {
  const served = await openServedWorld({ realm: { accessTokenSeconds } })
  t.after(() => served[Symbol.asyncDispose]())
  return served
}

// They wait for tokens to end most of the time.
suite('unchanged OAuth clients', { concurrency: true }, () => {
  test('eight processes of openid-client, simple-oauth2 and curl live through 20 expiries with one local refresh token', async (t) => {
    const served = await world(t, 2)
    const { sessionId } = await served.connect('dealer-42')
    const key = await served.makeKey()
    const reports = await fleet(
      {
        issuer: served.issuer(),
        tokenEndpoint: served.tokenEndpoint(),
        clientId: key.id,
        clientSecret: key.key,
        refreshToken: await served.share('dealer-42', key),
      },
      served.upstream.demoApi,
    )
    assert.deepEqual(
      reports,
      FLEET.map(() => ({ granted: EXPIRIES, refusedCalls: 0, lost: null })),
    )
    const counters = await served.upstream.control.counters(REALM, sessionId)
    assert.equal(counters.secondPresentations, 0)
    assert.equal(counters.killed, false)
    // About one for each expiry, not one for each process.
    assert.ok(counters.refreshes < 2 * EXPIRIES + 5, `the refresh token was presented ${counters.refreshes} times`)
    t.diagnostic(`${FLEET.length * EXPIRIES} tokens from ${counters.refreshes} refreshes upstream`)
  })

  test('the same eight processes, straight at the strict authorization server, lose the login', async (t) => {
    const served = await world(t, 2)
    const session = await served.upstream.control.seedSession(REALM, { clientId: 'app' })
    assert.ok(session.refreshToken !== null)
    const reports = await fleet(
      {
        issuer: served.upstream.issuer(REALM),
        tokenEndpoint: served.upstream.tokenEndpoint(REALM),
        clientId: 'app',
        clientSecret: CLIENT_SECRET,
        refreshToken: session.refreshToken,
      },
      served.upstream.demoApi,
    )
    const lost = reports.filter((report) => report.lost === 'invalid_grant')
    assert.equal(lost.length, FLEET.length)
    const counters = await served.upstream.control.counters(REALM, session.sessionId)
    assert.equal(counters.killed, true)
    const granted = reports.reduce((sum, report) => sum + report.granted, 0)
    t.diagnostic(`${granted} tokens from ${counters.refreshes} refreshes, then the login was ended`)
  })

  test('curl gets the five fields of the answer that the origin page shows, in its order', async (t) => {
    const served = await world(t, 300)
    await served.connect('dealer-42', { scope: 'dealer-api' })
    const key = await served.makeKey()
    const refreshToken = await served.share('dealer-42', key)
    const form = [
      'grant_type=refresh_token',
      `client_id=${key.id}`,
      `client_secret=${key.key}`,
      `refresh_token=${refreshToken}`,
    ]
    const { stdout } = await promisify(execFile)('curl', [
      '--silent',
      '--include',
      ...form.flatMap((pair) => ['-d', pair]),
      served.tokenEndpoint(),
    ])
    const [head = '', body = ''] = stdout.split('\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 200 /)
    assert.match(head, /^content-type: application\/json/im)
    assert.match(head, /^cache-control: no-store/im)
    const answer = JSON.parse(body) as Record<string, unknown>
    assert.deepEqual(Object.keys(answer), ['access_token', 'expires_in', 'refresh_token', 'token_type', 'scope'])
    assert.equal(answer['refresh_token'], refreshToken)
    assert.equal(answer['token_type'], 'Bearer')
    assert.equal(answer['scope'], 'dealer-api')
    assert.ok(Number(answer['expires_in']) > 290 && Number(answer['expires_in']) <= 300)
  })

  test('openid-client with a margin of a third of the lifetime makes one request for each expiry', async (t) => {
    const served = await world(t, 6)
    await served.connect('dealer-42')
    const key = await served.makeKey()
    let refreshToken = await served.share('dealer-42', key)
    let requests = 0
    const config = await openid.discovery(
      new URL(served.issuer()),
      key.id,
      key.key,
      openid.ClientSecretBasic(key.key),
      {
        execute: [openid.allowInsecureRequests],
        [openid.customFetch]: (url, options) => {
          if (url === served.tokenEndpoint()) requests += 1
          return fetch(url, options as RequestInit)
        },
      },
    )
    // As an application uses it: before each call it looks whether the margin is reached.
    const began = performance.now()
    let tokens: Awaited<ReturnType<typeof openid.refreshTokenGrant>> | null = null
    let gotAt = 0
    const seen = new Set<string>()
    while (performance.now() - began < 9000) {
      const age = (performance.now() - gotAt) / 1000
      if (tokens === null || (tokens.expires_in ?? 0) - age < 2) {
        tokens = await openid.refreshTokenGrant(config, refreshToken)
        refreshToken = tokens.refresh_token ?? refreshToken
        gotAt = performance.now()
        seen.add(tokens.access_token)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    // On a busy machine a refresh can be late, and the client, given what lives, asks once more.
    assert.ok(requests <= seen.size + 1, `${requests} requests brought ${seen.size} tokens`)
    assert.ok(seen.size >= 2, `${seen.size} tokens`)
  })
})
