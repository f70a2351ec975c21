import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { Secret, TokenError } from '@tokenkeep/core'
import { HTTP_PROBLEM_CODES, HTTP_STATUS } from '../src/api/problem-codes.ts'
import { createExchange } from '../src/remote/exchange.ts'
import { parseServerUrl } from '../src/remote/server-url.ts'
import { json, problem, startAnswering, type Answering, type AnsweringServer } from './answering-server.ts'
import { commandHere, type HereOptions } from './command-here.ts'
import { answer, errorAnswer, openDesk, type Desk, type Ended } from './command.ts'

const KEY = `tkk_${'canarykey'.repeat(5).slice(0, 43)}`
const CONNECTION = {
  id: 'dealer-42',
  uid: 'u',
  provider: 'ext',
  client: 'app',
  grant_type: 'refresh_token',
  grant_request: null,
  status: 'ready',
  reason: null,
  blocked: null,
  subject: null,
  labels: {},
  scope: null,
  generation: 1,
  has_refresh_token: true,
  access_token_expires_at: '2026-07-02T10:00:00.123Z',
  lifetime_assumed: false,
  refresh_token_expires_at: null,
  last_refresh_at: null,
  next_action_at: null,
  created_at: '2026-07-01T10:00:00.000Z',
}
const TOKEN = { access_token: 'canary-access-token', token_type: 'Bearer', expires_in: 300 }

/** One command against a server that answers so. */
async function asked(
  answering: Answering,
  args: readonly string[],
  options: HereOptions = {},
): Promise<Ended & Pick<AnsweringServer, 'arrived' | 'url'>> {
  await using server = await startAnswering(answering)
  const environment = { TOKENKEEP_URL: server.url, TOKENKEEP_API_KEY: KEY, ...options.environment }
  const ended = await commandHere(args, { ...options, environment })
  assert.doesNotMatch(ended.out + ended.err, /canarykey/, 'the API key was printed')
  return { ...ended, arrived: server.arrived, url: server.url }
}

suite('what a command sends to a server', () => {
  test('a token is asked for with all that was said, and printed', async () => {
    const options = ['--scope', 'a b', '--resource', 'https://one.example', '--resource', 'https://two.example']
    const ended = await asked(json(TOKEN), ['token', 'dealer/42 ü%', ...options, '--json'])
    assert.deepEqual([ended.code, errorOf(ended)], [2, 'invalid_input'], 'an id has no white space')
    assert.deepEqual(ended.arrived, [])

    const { code, out, err, arrived } = await asked(json(TOKEN), [
      ...['token', 'dealer/42?ü%', ...options, '--min-ttl', '30', '--wait', '1.2'],
    ])
    assert.deepEqual([code, out, err], [0, 'canary-access-token\n', ''])
    assert.deepEqual(
      arrived.map(({ method, url, body }) => [method, url, body]),
      [
        [
          'GET',
          `/v1/connections/dealer%2F42%3F%C3%BC%25/token?scope=a+b&resource=${encodeURIComponent('https://one.example')}` +
            `&resource=${encodeURIComponent('https://two.example')}&min_ttl=30`,
          '',
        ],
      ],
    )
    assert.deepEqual([arrived[0]?.headers.prefer, arrived[0]?.headers.authorization], ['wait=2', `Bearer ${KEY}`])
  })

  test('a wait beyond all that can be said is as long as can be said', async () => {
    const { arrived } = await asked(json(TOKEN), ['token', 'x', '--wait', '99999999'])
    assert.equal(arrived[0]?.headers.prefer, 'wait=999999')
  })

  test('nothing is sent after a signal', async () => {
    const { code, arrived } = await asked(json(TOKEN), ['token', 'x'], { interrupted: true })
    assert.deepEqual([code, arrived], [130, []])
  })

  test('nothing is asked for that was not said', async () => {
    const { arrived } = await asked(json(TOKEN), ['token', 'dealer-42'])
    assert.deepEqual([arrived[0]?.url, arrived[0]?.headers.prefer], ['/v1/connections/dealer-42/token', undefined])
  })

  test('an id that would lead to another route, and a secret for its id, never leave', async () => {
    const local = `tkr_${'canarylocal'.repeat(4).slice(0, 43)}`
    for (const [args, code, exit] of [
      [['connection', 'show', '..'], 'invalid_input', 2],
      [['connection', 'delete', '.'], 'invalid_input', 2],
      [['provider', 'show', '..'], 'invalid_input', 2],
      [['client', 'add', '..', '--provider', 'ext', '--client-id', 'app'], 'invalid_input', 2],
      [['key', 'source', 'key_0', '..'], 'invalid_input', 2],
      [['key', 'revoke', '..'], 'unknown_api_key', 3],
      [['key', 'revoke', 'the-key-itself'], 'unknown_api_key', 3],
      [['connection', 'share', 'x', '--with', '../x'], 'unknown_api_key', 3],
      [['connection', 'unshare', '..'], 'unknown_local_refresh_token', 3],
      [['connection', 'unshare', local], 'invalid_input', 2],
      [['key', 'revoke', KEY], 'invalid_input', 2],
    ] as const) {
      const ended = await asked(json(CONNECTION), [...args, '--json'])
      assert.deepEqual([ended.code, errorOf(ended), ended.arrived], [exit, code, []], args.join(' '))
      assert.doesNotMatch(ended.err, /canary/)
    }
  })

  test('durations travel as what is left, and a refresh token that has ended is not one without an end', async () => {
    const importing = ['connection', 'import', 'x', '--client', 'app', '--refresh-token-stdin']
    const ends = ['--expires-in', '60', '--refresh-expires-in', '0']
    const { arrived } = await asked(json(CONNECTION, 201), [...importing, ...ends], { input: 'canary-rt\n' })
    const sent = JSON.parse(arrived[0]?.body ?? '') as Record<string, unknown>
    const { expires_in: expiresIn, refresh_expires_in: refreshExpiresIn, ...same } = sent
    assert.deepEqual(same, { id: 'x', client: 'app', grant_type: 'refresh_token', refresh_token: 'canary-rt' })
    assert.ok(typeof expiresIn === 'number' && expiresIn > 55 && expiresIn <= 60)
    assert.equal(refreshExpiresIn, 0.001)
  })

  test('a list is asked for page by page until there is no more, also where the server gives fewer than asked', async () => {
    const ids = ['a', 'b', 'ü', 'd', 'e']
    const pages: Answering = (response, { url }) => {
      const query = new URL(url, 'http://x').searchParams
      const from = query.get('cursor') === null ? 0 : ids.indexOf(decoded(query.get('cursor'))) + 1
      const page = ids.slice(from, from + 2)
      const next = from + 2 < ids.length ? Buffer.from(page.at(-1) ?? '').toString('base64url') : null
      json({ connections: page.map((id) => ({ ...CONNECTION, id })), next_cursor: next })(response, {} as never)
    }
    const filter = ['--provider', 'ext', '--status', 'ready', '--label', 'team=a=b', '--label', 'x=']
    const all = await asked(pages, ['connection', 'list', ...filter, '--json'])
    assert.deepEqual(idsOf(all), ids)
    assert.equal(
      all.arrived[0]?.url,
      '/v1/connections?provider=ext&status=ready&label=team%3Da%3Db&label=x%3D&limit=1000',
    )
    assert.deepEqual(idsOf(await asked(pages, ['connection', 'list', '--after', 'b', '--limit', '2', '--json'])), [
      'ü',
      'd',
    ])
    const three = await asked(pages, ['connection', 'list', '--limit', '3', '--json'])
    assert.deepEqual(
      three.arrived.map(({ url }) => url),
      ['/v1/connections?limit=3', `/v1/connections?limit=1&cursor=${cursor('b')}`, '/v1/incarnation'],
      'and at last whether the database is on hold; whoever does not say so keeps no list back',
    )
  })

  test('a list goes on through pages that are empty, and ends where the server says the same twice', async () => {
    const cursors = ['a', 'b', null]
    let asking = 0
    const empty: Answering = (response, request) => {
      const next = cursors[asking++]
      const connections = next === null ? [CONNECTION] : []
      json({ connections, next_cursor: next })(response, request)
    }
    const given = [
      '--search',
      'deal',
      '--client',
      'app',
      '--status',
      'blocked',
      '--status',
      'needs_user',
      '--reason',
      'client',
    ]
    const found = await asked(empty, ['connection', 'list', ...given, '--json'])
    assert.deepEqual(idsOf(found), ['dealer-42'])
    const filter = 'search=deal&client=app&status=blocked&status=needs_user&reason=client&limit=1000'
    assert.deepEqual(
      found.arrived.map(({ url }) => url),
      [
        `/v1/connections?${filter}`,
        `/v1/connections?${filter}&cursor=a`,
        `/v1/connections?${filter}&cursor=b`,
        '/v1/incarnation',
      ],
    )
    const stuck = await asked(json({ connections: [], next_cursor: 'a' }), ['connection', 'list', '--json'])
    assert.deepEqual([idsOf(stuck), stuck.arrived.length], [[], 3])
  })

  test('a path before the API is kept', async () => {
    await using server = await startAnswering(json(TOKEN))
    const environment = { TOKENKEEP_API_KEY: KEY }
    const { code } = await commandHere(['token', 'x', '--url', `${server.url}/keep//`], { environment })
    assert.deepEqual([code, server.arrived[0]?.url], [0, '/keep/v1/connections/x/token'])
  })
})

suite('what a server answers', () => {
  test("moments and names become the library's", async () => {
    const shown = answer<Record<string, unknown>>(await asked(json(CONNECTION), ['connection', 'show', 'x', '--json']))
    assert.deepEqual(
      [shown['grantType'], shown['accessTokenExpiresAt'], shown['createdAt'], shown['hasRefreshToken']],
      ['refresh_token', Date.UTC(2026, 6, 2, 10, 0, 0, 123), Date.UTC(2026, 6, 1, 10), true],
    )
  })

  test("a refusal of the library is told as the library's own", async () => {
    for (const [members, status, exit, expected] of [
      [
        { code: 'needs_user', reason: 'reused', subject: 'dealer-42' },
        409,
        4,
        { retryable: false, retryAt: null, subject: 'dealer-42', reason: 'reused', blocked: null },
      ],
      [
        { code: 'blocked', blocked: 'client', subject: 'dealer-42', retry_at: '2026-07-02T10:00:00.5Z' },
        503,
        6,
        {
          retryable: true,
          retryAt: Date.UTC(2026, 6, 2, 10, 0, 0, 500),
          subject: 'dealer-42',
          reason: null,
          blocked: 'client',
        },
      ],
      [
        { code: 'unauthorized' },
        401,
        6,
        { retryable: false, retryAt: null, subject: null, reason: null, blocked: null },
      ],
    ] as const) {
      const ended = await asked(problem(status, { ...members, detail: 'the words of the server' }), [
        ...['token', 'dealer-42', '--json'],
      ])
      assert.equal(ended.code, exit)
      assert.deepEqual(errorAnswer(ended), { code: members.code, message: 'the words of the server', ...expected })
    }
  })

  test('what goes wrong in HTTP alone is told in words of the library, and nothing of it as final that passes', async () => {
    const told = new Map<string, string>()
    for (const code of HTTP_PROBLEM_CODES) {
      const ended = await asked(problem(HTTP_STATUS[code], { code }), ['token', 'x', '--json'])
      told.set(code, errorOf(ended))
      assert.match(errorAnswer(ended).message, /^the server at http:\/\/127\.0\.0\.1:\d+ .+: as it was told$/)
    }
    assert.deepEqual(Object.fromEntries(told), {
      malformed_request: 'invalid_input',
      unknown_route: 'invalid_input',
      method_not_allowed: 'invalid_input',
      unsupported_media_type: 'invalid_input',
      body_too_large: 'invalid_input',
      headers_too_large: 'invalid_input',
      request_timeout: 'unavailable',
      host_refused: 'invalid_input',
      origin_refused: 'forbidden',
      overloaded: 'unavailable',
      stopping: 'unavailable',
      api_unreachable: 'unavailable',
      api_no_answer: 'unavailable',
      api_timeout: 'unavailable',
      unexpected: 'unavailable',
    })
    // A word of a newer server, and the library's word for an object of the server's process.
    for (const [status, code, expected] of [
      [503, 'closed', 'unavailable'],
      [500, 'moon_full', 'unavailable'],
      [401, 'moon_full', 'unauthorized'],
      [403, 'moon_full', 'forbidden'],
      [429, 'moon_full', 'rate_limited'],
      [418, 'moon_full', 'invalid_input'],
    ] as const) {
      const ended = await asked(problem(status, { code }), ['token', 'x', '--json'])
      assert.equal(errorOf(ended), expected)
    }
  })

  test('what no Tokenkeep answers is told so, with exit code 5, and nothing of it is repeated', async () => {
    const html: Answering = (response) =>
      void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>canary</h1>')
    const status =
      (status: number): Answering =>
      (response) =>
        void response.writeHead(status).end()
    const text: Answering = (response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"canary')
    const untyped: Answering = (response) =>
      void response.writeHead(200, { 'content-type': 'text/html' }).end(JSON.stringify(TOKEN))
    const members = { retry_at: null, subject: null, reason: null, blocked: null }
    for (const [answering, says] of [
      [untyped, /not of the media type/],
      [json({ ...members, code: 'needs_user', detail: 'canary' }, 409), /not of the media type/],
      [html, /\(status 200\) is no Tokenkeep/],
      [text, /it is not JSON/],
      [status(500), /\(status 500\)/],
      [status(404), /\(status 404\)/],
      [status(204), /\(status 204\)/],
      [json({ ...TOKEN, expires_in: 'canary' }), /a token has no number "expires_in"/],
      [json({ ...TOKEN, access_token: undefined }), /a token has no text "access_token"/],
      [json(['canary']), /a token is no object/],
      [json(null), /a token is no object/],
      [json({ ...TOKEN, code: 'x' }, 400), /\(status 400\)/],
      [problem(502, { detail: undefined, code: 'unavailable' }), /a problem has no text "detail"/],
      [problem(502, {}), /a problem has no text "code"/],
      [problem(409, { code: 'needs_user', reason: 'canary' }), /a problem has no known word "reason"/],
      [problem(200, { code: 'unavailable' }), /\(status 200\)/],
    ] as const) {
      const ended = await asked(answering, ['token', 'x', '--json'])
      assert.deepEqual([ended.code, errorOf(ended)], [5, 'server_unreachable'], ended.err)
      assert.match(errorAnswer(ended).message, says)
      assert.doesNotMatch(ended.err, /canary/)
    }
  })

  test('members of other kinds, and words that are not known, are no answer of Tokenkeep', async () => {
    for (const [member, value] of [
      ['status', 'well'],
      ['labels', { team: 1 }],
      ['labels', []],
      ['created_at', 'yesterday'],
      ['created_at', null],
      ['generation', '1'],
      ['has_refresh_token', 'true'],
      ['scope', undefined],
      ['grant_request', undefined],
    ] as const) {
      const ended = await asked(json({ ...CONNECTION, [member]: value }), ['connection', 'show', 'x', '--json'])
      assert.equal(errorOf(ended), 'server_unreachable')
      assert.match(errorAnswer(ended).message, new RegExp(`"${member}"`))
    }
  })

  test('what a grant asks with is read member by member, too', async () => {
    const signed = { from: 'client_key', issuer: null, audience: null, claims: {} }
    const bearer = { kind: 'jwt_bearer', assertion: signed, client_authentication: false }
    const exchange = {
      kind: 'token_exchange',
      subject_token: { from: 'connection', id: 'person' },
      subject_token_type: 'urn:x',
      requested_token_type: null,
      audience: ['a'],
      resource: [],
      client_authentication: true,
    }
    for (const [request, member] of [
      [{ ...bearer, kind: 'password' }, 'kind'],
      [{ ...bearer, client_authentication: 'yes' }, 'client_authentication'],
      [{ ...bearer, assertion: { ...signed, from: 'elsewhere' } }, 'from'],
      [{ ...bearer, assertion: { ...signed, claims: 'none' } }, 'claims'],
      [{ ...bearer, assertion: { from: 'file' } }, 'path'],
      [{ ...exchange, subject_token: null }, 'subject_token'],
      [{ ...exchange, subject_token: { from: 'connection' } }, 'id'],
      [{ ...exchange, audience: 'a' }, 'audience'],
    ] as const) {
      const ended = await asked(json({ ...CONNECTION, grant_request: request }), ['connection', 'show', 'x', '--json'])
      assert.equal(errorOf(ended), 'server_unreachable')
      assert.match(errorAnswer(ended).message, new RegExp(`"${member}"`))
    }
    for (const request of [bearer, exchange])
      assert.equal((await asked(json({ ...CONNECTION, grant_request: request }), ['connection', 'show', 'x'])).code, 0)
  })

  test('a list that is none, or does not say whether it goes on, is no answer of Tokenkeep', async () => {
    for (const answered of [
      { connections: {}, next_cursor: null },
      { connections: [CONNECTION] },
      { connections: [null], next_cursor: null },
    ]) {
      assert.equal(errorOf(await asked(json(answered), ['connection', 'list', '--json'])), 'server_unreachable')
    }
    const endless = json({ connections: [], next_cursor: 'more' })
    assert.deepEqual(answer(await asked(endless, ['connection', 'list', '--json'])), [])
  })

  test('each of several things that are wrong is told', async () => {
    const errors = [
      { in: 'body', name: 'client', detail: 'is missing' },
      { in: 'body', name: 'id', detail: 'must be at most 200 characters long' },
    ]
    const told = problem(400, { code: 'invalid_input', detail: '2 things are wrong:', errors })
    const both = '2 things are wrong: client is missing; id must be at most 200 characters long.'
    assert.equal(errorAnswer(await asked(told, ['token', 'x', '--json'])).message, both)
    const one = problem(400, { code: 'invalid_input', detail: 'client is missing', errors: errors.slice(1) })
    assert.equal(errorAnswer(await asked(one, ['token', 'x', '--json'])).message, 'client is missing')
  })

  test('an explanation without an end is cut', async () => {
    const talking = problem(503, { code: 'unavailable', detail: 'x'.repeat(100_000) })
    assert.equal(errorAnswer(await asked(talking, ['token', 'x', '--json'])).message.length, 2000)
  })

  test('half an answer is no answer, and whether something was done is not known', async () => {
    const half: Answering = (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
      response.write('{"access_token":"canary', () => response.destroy())
    }
    const none: Answering = (response) => void response.destroy()
    for (const answering of [half, none]) {
      const reading = await asked(answering, ['token', 'x', '--json'])
      assert.deepEqual([reading.code, errorOf(reading)], [5, 'server_unreachable'])
      assert.match(errorAnswer(reading).message, /the connection ended before a whole answer came( \(\w+\))?\.$/)
      const writing = await asked(answering, ['key', 'create', '--name', 'n', '--json'])
      assert.match(
        errorAnswer(writing).message,
        /Whether it did what was asked is not known: look before you ask again\.$/,
      )
      assert.equal(writing.arrived.length, 1, 'nothing is sent twice')
    }
  })

  test('an answer without an end is given up', async () => {
    const endless: Answering = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const filling = Buffer.alloc(1024 * 1024, ' ')
      const fill = (): void => void (response.destroyed || response.write(filling, fill))
      fill()
    }
    const ended = await asked(endless, ['token', 'x', '--json'])
    assert.equal(errorOf(ended), 'server_unreachable')
    assert.match(errorAnswer(ended).message, /it does not end/)
  })

  test('a redirect is not followed: the API key goes nowhere else', async () => {
    await using other = await startAnswering(json(TOKEN))
    for (const status of [301, 302, 303, 307, 308]) {
      const ended = await asked(
        (response) => void response.writeHead(status, { location: `${other.url}/elsewhere?canary` }).end(),
        ['token', 'x', '--json'],
      )
      assert.deepEqual([ended.code, errorOf(ended)], [2, 'invalid_input'])
      assert.ok(errorAnswer(ended).message.includes(`redirects to ${other.url} (status ${status})`))
      assert.doesNotMatch(ended.err, /canary/)
    }
    assert.deepEqual(other.arrived, [])
  })

  test('a server that echoes the API key does not bring it into an error', async () => {
    const echoing: Answering = (response, { headers }) =>
      problem(403, { code: 'forbidden', detail: `not for ${headers.authorization}`, subject: headers.authorization })(
        response,
        {} as never,
      )
    const ended = await asked(echoing, ['token', 'x', '--json'])
    assert.equal(errorAnswer(ended).message, 'not for Bearer [api_key]')
  })

  test('a server that is silent is given up at the deadline, and after close at once', async (t) => {
    await using server = await startAnswering(() => undefined)
    const exchange = createExchange({ url: server.url, apiKey: new Secret('api_key', KEY), now: () => Date.now() })
    t.after(() => exchange.close())
    const silent = { method: 'POST', path: '/v1/keys', body: {}, withinMs: 200 } as const
    await assert.rejects(exchange.ask(silent, String), (error) => {
      assert.ok(error instanceof TokenError && error.code === 'server_unreachable')
      assert.match(error.message, /did not answer within 0\.2 s.*not known/)
      assert.doesNotMatch(inspect(error, { showHidden: true, depth: null }), /canarykey/)
      return true
    })
    const waiting = exchange.ask({ ...silent, withinMs: 60_000 }, String)
    exchange.close()
    await assert.rejects(waiting, { code: 'closed' })
  })

  test('what speaks no HTTP, or changes to something else, is told so', async () => {
    for (const [said, says] of [
      ['220 mail ready\r\n', /what answers there speaks no HTTP/],
      ['HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: canary\r\n\r\n', /before a whole answer/],
    ] as const) {
      const talking = createServer((socket) => void socket.on('error', () => undefined).end(said))
      talking.listen(0, '127.0.0.1')
      await once(talking, 'listening')
      const address = talking.address()
      assert.ok(typeof address === 'object' && address !== null)
      const url = `http://127.0.0.1:${address.port}`
      const environment = { TOKENKEEP_API_KEY: KEY }
      const ended = await commandHere(['token', 'x', '--url', url, '--json'], { environment })
      talking.close()
      assert.deepEqual([ended.code, errorOf(ended)], [5, 'server_unreachable'])
      assert.match(errorAnswer(ended).message, says)
      assert.doesNotMatch(ended.err, /canary/)
    }
  })

  test('where nobody listens, no name leads, or no TLS is spoken, the error says which', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const address = closed.address()
    assert.ok(typeof address === 'object' && address !== null)
    closed.close()
    await once(closed, 'close')
    await using plain = await startAnswering(json(TOKEN))
    const environment = { TOKENKEEP_API_KEY: KEY }
    for (const [url, says] of [
      [`http://127.0.0.1:${address.port}`, /nothing listens there/],
      ['https://nobody.invalid', /its host name was not found/],
      [plain.url.replace('http:', 'https:'), /certificate or TLS was not accepted/],
    ] as const) {
      const ended = await commandHere(['key', 'create', '--name', 'n', '--url', url, '--json'], { environment })
      assert.deepEqual([ended.code, errorOf(ended)], [5, 'server_unreachable'])
      assert.match(errorAnswer(ended).message, says)
      assert.doesNotMatch(errorAnswer(ended).message, /not known/, 'nothing was sent')
    }
  })
})

suite('which server, and by which key', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tokenkeep-remote-'))
    writeFileSync(join(folder, 'key'), `${KEY}\n`, { mode: 0o600 })
    writeFileSync(join(folder, 'other'), `${KEY.replace('canary', 'canari')}\n`, { mode: 0o600 })
    writeFileSync(join(folder, 'empty'), '')
    writeFileSync(join(folder, 'master'), 'v1:canary-master-key')
  })
  after(() => rmSync(folder, { recursive: true }))

  test('a server and a data folder contradict each other, unless a flag says which', async () => {
    const server = { TOKENKEEP_URL: 'http://127.0.0.1:1', TOKENKEEP_API_KEY: KEY }
    for (const [args, environment, says] of [
      [['--url', 'http://127.0.0.1:1', '--data', folder], {}, /--url names a server and --data a folder/],
      [['--url', 'http://127.0.0.1:1', '--key-file', 'x'], {}, /--key-file names the master key/],
      [['--key-file', 'x'], server, /TOKENKEEP_URL a server, which has its own/],
      [[], { ...server, TOKENKEEP_DATA: folder }, /say which with --url or --data/],
      [['--api-key-file', 'key'], {}, /--api-key-file is for a server/],
      [['--api-key-file', 'key', '--data', folder], server, /--api-key-file is for a server/],
    ] as const) {
      const ended = await commandHere(['connection', 'list', ...args, '--json'], { environment, folder })
      assert.deepEqual([ended.code, errorOf(ended)], [2, 'invalid_input'], args.join(' '))
      assert.match(errorAnswer(ended).message, says)
    }
    // Told about the folder, not about the server.
    const local = await commandHere(['connection', 'list', '--data', folder, '--json'], { environment: server, folder })
    assert.equal(errorOf(local), 'folder_unusable')
    const remote = { environment: { TOKENKEEP_DATA: folder, TOKENKEEP_API_KEY: KEY }, folder }
    const asking = await commandHere(['connection', 'list', '--url', 'http://127.0.0.1:1', '--json'], remote)
    assert.equal(errorOf(asking), 'server_unreachable')
  })

  test('an empty variable is as good as none', async () => {
    const environment = { TOKENKEEP_URL: '', TOKENKEEP_DATA: folder }
    const ended = await commandHere(['connection', 'list', '--json'], { environment, folder })
    assert.equal(errorOf(ended), 'folder_unusable')
  })

  test('dev and serve work on a data folder, and refuse to be told of a server', async () => {
    for (const [command, ...args] of [
      ['dev', '--url', 'http://127.0.0.1:1'],
      ['dev', '--api-key-file', 'key'],
      ['serve', '--url', 'http://127.0.0.1:1'],
    ] as const) {
      const ended = await commandHere([command, ...args, '--json'], { folder })
      assert.deepEqual([ended.code, errorOf(ended)], [2, 'invalid_input'])
      assert.ok(errorAnswer(ended).message.includes(`\`tokenkeep ${command}\` works on a data folder`))
    }
  })

  test('the key comes from --api-key-file, else TOKENKEEP_API_KEY_FILE, else TOKENKEEP_API_KEY', async () => {
    const keys = [KEY, KEY.replace('canary', 'canari')]
    for (const [args, environment, expected] of [
      [['--api-key-file', 'other'], { TOKENKEEP_API_KEY: KEY, TOKENKEEP_API_KEY_FILE: 'key' }, keys[1]],
      [[], { TOKENKEEP_API_KEY: KEY, TOKENKEEP_API_KEY_FILE: 'other' }, keys[1]],
      [[], { TOKENKEEP_API_KEY: keys[1], TOKENKEEP_API_KEY_FILE: '' }, keys[1]],
      [['--api-key-file', 'key'], { TOKENKEEP_API_KEY: '' }, KEY],
    ] as const) {
      const { arrived } = await asked(json(TOKEN), ['token', 'x', ...args], {
        environment: environment as never,
        folder,
      })
      assert.equal(arrived[0]?.headers.authorization, `Bearer ${expected}`)
    }
  })

  test('without a key, or with something else in its place, nothing is sent', async () => {
    for (const [args, environment, code, says] of [
      [[], {}, 'unauthorized', /set TOKENKEEP_API_KEY, or name a file/],
      [['--api-key-file', 'empty'], {}, 'invalid_input', /file of --api-key-file is empty/],
      [['--api-key-file', 'nowhere'], {}, 'invalid_input', /file that --api-key-file names does not exist/],
      [[], { TOKENKEEP_API_KEY_FILE: 'nowhere' }, 'invalid_input', /file that TOKENKEEP_API_KEY_FILE names/],
      [['--api-key-file', 'master'], {}, 'invalid_input', /is none: a key begins with tkk_/],
      [[], { TOKENKEEP_API_KEY: 'key_0123456789abcdef' }, 'invalid_input', /its id \(key_\.\.\.\) is not the key/i],
      [[], { TOKENKEEP_API_KEY: `${KEY}\nx: y` }, 'invalid_input', /is none/],
    ] as const) {
      const ended = await asked(json(TOKEN), ['token', 'x', ...args, '--json'], {
        environment: { TOKENKEEP_API_KEY: '', ...environment },
        folder,
      })
      assert.deepEqual([errorOf(ended), ended.arrived], [code, []])
      assert.match(errorAnswer(ended).message, says)
      assert.doesNotMatch(ended.err, /canary/)
    }
  })

  test('a key as an argument is refused, and told how to come instead', async () => {
    for (const args of [['--api-key', KEY], [`--api_key=${KEY}`], ['--apiKey', 'canary']]) {
      const ended = await commandHere(['token', 'x', '--url', 'http://127.0.0.1:1', ...args])
      assert.equal(ended.code, 2)
      assert.match(ended.err, /API key|--api-key-file FILE, or the variable TOKENKEEP_API_KEY/)
      assert.doesNotMatch(ended.err, /canary/)
    }
    const named = await commandHere(['token', 'x', '--api-key', 'short'])
    assert.match(named.err, /--api-key is refused.*--api-key-file FILE, or the variable TOKENKEEP_API_KEY/)
  })

  test('a person at a terminal is told when others can read the file', async () => {
    if (process.platform === 'win32') return // It has no such modes.
    const file = join(folder, 'open')
    writeFileSync(file, KEY)
    chmodSync(file, 0o644)
    const told = await asked(json(TOKEN), ['token', 'x', '--api-key-file', 'open'], { folder, terminal: true })
    assert.deepEqual([told.code, told.out], [0, 'canary-access-token\n'])
    assert.match(told.err, /other users .* can read the file with the API key/)
    chmodSync(file, 0o600)
    assert.equal(
      (await asked(json(TOKEN), ['token', 'x', '--api-key-file', 'open'], { folder, terminal: true })).err,
      '',
    )
  })

  test('http is for this machine alone, and a URL holds nothing but the place', () => {
    for (const [text, url] of [
      ['http://127.0.0.1:7420', 'http://127.0.0.1:7420'],
      ['http://127.1:7420/', 'http://127.0.0.1:7420'],
      ['http://[::1]:7420', 'http://[::1]:7420'],
      ['http://localhost', 'http://localhost'],
      ['HTTPS://Keep.Example.org:443/a/../tokens/', 'https://keep.example.org/tokens'],
    ] as const) {
      assert.equal(parseServerUrl(text, '--url'), url)
    }
    for (const [text, says] of [
      ['http://keep.example.org', /must begin with https/],
      ['http://192.168.0.1', /must begin with https/],
      ['http://localhost.example.org', /must begin with https/],
      ['http://127.0.0.1.example.org', /must begin with https/],
      ['http://0.0.0.0:7420', /must begin with https/],
      ['127.0.0.1:7420', /no URL of a server/],
      ['localhost:7420', /no URL of a server/],
      ['ftp://127.0.0.1', /no URL of a server/],
      ['https://canary@keep.example.org', /a name or a password/],
      ['https://x:canary@keep.example.org', /a name or a password/],
      ['https://keep.example.org?canary', /behind \? or #/],
      ['https://keep.example.org#canary', /behind \? or #/],
    ] as const) {
      assert.throws(
        () => parseServerUrl(text, '--url'),
        (error) => {
          assert.ok(error instanceof TokenError && error.code === 'invalid_input')
          assert.match(error.message, says)
          assert.doesNotMatch(error.message, /canary/)
          return true
        },
      )
    }
  })
})

suite('the process of a command that asks a server', () => {
  let desk: Desk
  before(() => {
    desk = openDesk()
  })
  after(() => desk.close())

  test('neither the library nor the schemas are loaded for a server, and nothing of a server for a data folder', async () => {
    const telling = encodeURIComponent(
      `import { registerHooks } from 'node:module'
       registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context) } })`,
    )
    const environment = {
      TOKENKEEP_API_KEY: KEY,
      NODE_OPTIONS: `--import=data:text/javascript,${telling}`,
    }
    await using server = await startAnswering(json(TOKEN))
    const remote = await desk.run(['token', 'x', '--url', server.url], { environment })
    assert.deepEqual([remote.code, remote.out], [0, 'canary-access-token\n'], remote.err)
    assert.match(remote.err, /remote-keeper/)
    assert.doesNotMatch(remote.err, /packages\/node\/|zod|fastify|api\/wire/)
    const local = await desk.run(['token', 'x', '--data', desk.folder], { environment })
    assert.equal(local.code, 6)
    assert.match(local.err, /packages\/node\//)
    assert.doesNotMatch(local.err, /server\/src\/remote\//)
  })

  test('a certificate that nobody vouches for is refused, and one of an own authority can be named', async (t) => {
    const fixture = (name: string): string =>
      fileURLToPath(new URL(`../../node/test/fixtures/localhost-${name}.pem`, import.meta.url))
    const server = createTlsServer(
      { cert: readFileSync(fixture('certificate')), key: readFileSync(fixture('key')) },
      (_, response) => json(TOKEN)(response, {} as never),
    ).listen(0, '127.0.0.1')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    await once(server, 'listening')
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const args = ['token', 'x', '--url', `https://localhost:${address.port}`]
    const environment = { TOKENKEEP_API_KEY: KEY }
    const refused = await desk.run([...args, '--json'], { environment })
    assert.deepEqual([refused.code, errorOf(refused)], [5, 'server_unreachable'])
    assert.match(errorAnswer(refused).message, /certificate .* NODE_EXTRA_CA_CERTS/)
    const trusted = await desk.run(args, {
      environment: { ...environment, NODE_EXTRA_CA_CERTS: fixture('certificate') },
    })
    assert.deepEqual([trusted.code, trusted.out], [0, 'canary-access-token\n'], trusted.err)
  })

  test('a signal ends the waiting for a server at once', async () => {
    await using server = await startAnswering(() => undefined)
    const environment = { TOKENKEEP_API_KEY: KEY, TOKENKEEP_URL: server.url }
    const { child, ended } = desk.start(['token', 'x'], { environment })
    while (server.arrived.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill('SIGINT')
    assert.deepEqual(await ended, { code: 130, signal: null, out: '', err: '' })
  })
})

const errorOf = (ended: Ended): string => errorAnswer(ended).code
const idsOf = (ended: Ended): string[] => answer<{ id: string }[]>(ended).map(({ id }) => id)
const cursor = (id: string): string => Buffer.from(id).toString('base64url')
const decoded = (cursor: string | null): string => Buffer.from(cursor ?? '', 'base64url').toString()
