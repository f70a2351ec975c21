/** Connections that run their grant again, brought over HTTP and by command, in the folder and at a server. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { decodeJwt } from 'jose'
import type { ConnectionInfo } from '@tokenkeep/core'
import type { Jwks } from '@tokenkeep/node'
import { openApiWorld } from './api-world.ts'
import { openBothWays, REALM, WAYS, type BothWays } from './both-ways.ts'
import { answer, errorAnswer } from './command.ts'
import { readAnswer } from './contract.ts'

const SIGNER = { provider: 'external', client_id: 'signer', token_endpoint_auth_method: 'private_key_jwt' }
const CLAIMS = { scope: 'calendar', nested: { level: 2 } }

test('over HTTP a grant is brought as it is kept, and no API key chooses a file to be read', async () => {
  await using api = await openApiWorld()
  assert.equal((await api.ask('putClient', { ids: { id: 'signer' }, body: SIGNER })).status, 200)
  const asserting = { client: 'signer', grant_type: 'jwt_bearer', subject: 'user-42' }
  const assertion = { issuer: 'me', audience: 'token_endpoint', claims: CLAIMS, client_authentication: true }
  const imported = await api.ask('importConnection', { body: { id: 'a', ...asserting, assertion } })
  assert.deepEqual([imported.status, readAnswer(imported).body['grant_type']], [201, 'jwt_bearer'])
  const exchange = { from_connection: 'a', audience: ['one'], resource: ['https://api.example.org/'] }
  const exchanging = { client: 'app', grant_type: 'token_exchange' }
  const exchanged = await api.ask('importConnection', { body: { id: 'b', ...exchanging, exchange } })
  assert.deepEqual([exchanged.status, readAnswer(exchanged).body['grant_type']], [201, 'token_exchange'])
  for (const body of [
    { ...asserting, assertion: { file: '/etc/passwd' } },
    { ...exchanging, exchange: { from_connection: 'a', subject_token_file: '/etc/passwd' } },
    { ...exchanging, exchange: { subject_token_file: '/etc/passwd' } },
    { ...exchanging, exchange: {} },
    exchanging,
    { ...asserting, assertion: { claims: { aud: 'x' } } },
    { ...asserting, refresh_token: 'canary' },
    { client: 'app', assertion },
  ]) {
    const refused = await api.ask('importConnection', { body: { id: 'c', ...body } })
    assert.deepEqual([refused.status, readAnswer(refused).body['code']], [400, 'invalid_input'], JSON.stringify(body))
  }
  await assert.rejects(() => api.keep.connections.get('c'), { code: 'unknown_connection' })
})

test('a key with labels imports no grant that is run again: whose access that is, is not its to say', async () => {
  await using api = await openApiWorld()
  await api.ask('putClient', { ids: { id: 'signer' }, body: SIGNER })
  await api.keep.connections.import({ id: 'foreign', client: 'app', refreshToken: 'somebody-elses' })
  const { key } = await api.key(['connections:write', 'token:read'], { team: 'sales' })
  for (const body of [
    { client: 'signer', grant_type: 'jwt_bearer' },
    { client: 'app', grant_type: 'token_exchange', exchange: { from_connection: 'foreign' } },
  ]) {
    const refused = await api.ask('importConnection', { key, body: { id: 'mine', ...body } })
    assert.deepEqual([refused.status, readAnswer(refused).body['code']], [403, 'forbidden'])
  }
})

suite('by command', () => {
  let world: BothWays
  before(async () => {
    world = await openBothWays()
    const adding = ['client', 'add', 'signer', '--provider', 'ext', '--client-id', 'signer']
    answer(await world.command('folder', [...adding, '--auth-method', 'private_key_jwt', '--json']))
    const jwks = answer<Jwks>(await world.command('folder', ['client', 'jwks', 'signer', '--json']))
    await world.provider.control.putClient(REALM, {
      clientId: 'signer',
      tokenEndpointAuthMethod: 'private_key_jwt',
      jwks,
      assertionJwks: jwks,
    })
    await world.keep('person')
  })
  after(() => world.close())

  for (const way of WAYS) {
    test(`both grants are kept and hand out (${way})`, async () => {
      const signed = ['connection', 'import', `signed-${way}`, '--client', 'signer', '--grant', 'jwt-bearer']
      const claims = ['--subject', 'user-42', '--claim', 'department=sales', '--client-authentication']
      const info = answer<ConnectionInfo>(await world.command(way, [...signed, ...claims, '--json']))
      assert.equal(info.grantType, 'jwt_bearer')
      const token = await world.command(way, ['token', `signed-${way}`])
      assert.equal(decodeJwt(token.out.trim()).sub, 'user-42')

      const down = ['connection', 'import', `down-${way}`, '--client', 'app', '--grant', 'token-exchange']
      answer(await world.command(way, [...down, '--from-connection', 'person', '--audience', 'api', '--json']))
      const exchanged = await world.command(way, ['token', `down-${way}`])
      assert.equal(decodeJwt(exchanged.out.trim()).aud, 'api')
    })

    test(`what a connection asks with is shown to people and to programs (${way})`, async () => {
      const of = ['--client', 'signer', '--issuer', 'hr', '--audience', 'token_endpoint', '--claim', 'department=sales']
      answer(await world.command(way, ['connection', 'import', `s-${way}`, '--grant', 'jwt-bearer', ...of, '--json']))
      const from = ['--client', 'app', '--from-connection', 'person', '--audience', 'api', '--audience', 'other']
      answer(
        await world.command(way, ['connection', 'import', `e-${way}`, '--grant', 'token-exchange', ...from, '--json']),
      )
      const shown = async (id: string) => {
        const { out } = await world.command(way, ['connection', 'show', id])
        const kept = answer<ConnectionInfo>(await world.command(way, ['connection', 'show', id, '--json']))
        return { lines: out, kept: kept.grantRequest }
      }
      const signed = await shown(`s-${way}`)
      assert.match(
        signed.lines,
        /assertion +signed by the key of signer\n *iss +hr\n *aud +token_endpoint\n *claims +\{"department":"sales"\}/,
      )
      assert.deepEqual(signed.kept, {
        kind: 'jwt_bearer',
        assertion: { from: 'client_key', issuer: 'hr', audience: 'token_endpoint', claims: { department: 'sales' } },
        clientAuthentication: false,
      })
      const exchanged = await shown(`e-${way}`)
      assert.match(exchanged.lines, /token to exchange +the access token of person\n(?:.*\n)*? *audience +api other\n/)
      assert.deepEqual(exchanged.kept, {
        kind: 'token_exchange',
        subjectToken: { from: 'connection', id: 'person' },
        subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token',
        requestedTokenType: null,
        audiences: ['api', 'other'],
        resources: [],
        clientAuthentication: true,
      })
    })

    test(`options that belong to another grant are not passed over (${way})`, async () => {
      const importing = ['connection', 'import', `x-${way}`, '--client', 'signer']
      for (const [options, message] of [
        [
          ['--grant', 'jwt-bearer', '--from-connection', 'person'],
          /--from-connection belongs to --grant token-exchange/,
        ],
        [['--grant', 'token-exchange', '--claim', 'a=b'], /--claim belongs to --grant jwt-bearer/],
        [
          ['--client-credentials', '--audience', 'x'],
          /--audience belongs to --grant jwt-bearer or --grant token-exchange/,
        ],
        [['--client-credentials', '--grant', 'jwt-bearer'], /contradict each other/],
        [['--grant', 'jwt-bearer', '--audience', 'x', '--audience', 'y'], /one audience/],
        [['--grant', 'token-exchange'], /needs? .*subject token|one subject token/],
        [['--grant', 'jwt-bearer', '--refresh-token-stdin'], /leave one of the two out/],
      ] as const) {
        const ended = await world.command(way, [...importing, ...options, '--json'], { input: 'canary-refresh-token' })
        assert.match(errorAnswer(ended).message, message)
      }
      assert.doesNotMatch(world.printed(), /canary-refresh-token/)
    })
  }

  test('a file is named on the machine of the data alone', async () => {
    const importing = ['connection', 'import', 'f', '--client', 'app', '--grant']
    for (const options of [
      ['jwt-bearer', '--assertion-file', 'token'],
      ['token-exchange', '--subject-token-file', 'token'],
    ]) {
      const refused = await world.command('server', [...importing, ...options, '--json'])
      assert.match(errorAnswer(refused).message, /on the machine of the server/)
      const [grant = ''] = options
      const [connection, verb, , ...rest] = importing
      const kept = [connection ?? '', verb ?? '', `f-${grant}`, ...rest, ...options, '--json']
      const { grantRequest } = answer<ConnectionInfo>(await world.command('folder', kept))
      assert.ok(grantRequest !== null && JSON.stringify(grantRequest).includes('"from":"file"'))
      for (const way of WAYS) {
        const { out } = await world.command(way, ['connection', 'show', `f-${grant}`])
        assert.match(out, / in \/.*\/token\n/)
        const shown = answer<ConnectionInfo>(await world.command(way, ['connection', 'show', `f-${grant}`, '--json']))
        assert.deepEqual(shown.grantRequest, grantRequest)
      }
    }
  })
})
