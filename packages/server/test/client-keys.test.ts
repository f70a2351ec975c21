/** Clients that prove themselves by keys, certificates and files: over HTTP, by command, and for their provider. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Client } from '@tokenkeep/core'
import type { ClientKeyInfo, Jwks } from '@tokenkeep/node'
import { openApiWorld, type ApiWorld } from './api-world.ts'
import { answer, errorAnswer } from './command.ts'
import { commandHere } from './command-here.ts'
import { readAnswer } from './contract.ts'

const SIGNER = { provider: 'external', client_id: 'signer', token_endpoint_auth_method: 'private_key_jwt' }
const ids = { id: 'signer' }

const published = async (api: ApiWorld, id = 'signer') => api.send({ target: `/clients/${id}/jwks.json` })
const kidsIn = (text: string): readonly unknown[] => (JSON.parse(text) as Jwks).keys.map(({ kid }) => kid)

test('a provider fetches the public keys without an API key, may keep them for minutes, and gets nothing else', async () => {
  await using api = await openApiWorld()
  assert.equal((await api.ask('putClient', { ids, body: SIGNER })).status, 200)
  const { status, headers, text } = await published(api)
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(headers['cache-control'], 'public, max-age=300')
  const [key, ...more] = (JSON.parse(text) as Jwks).keys
  assert.deepEqual(more, [])
  assert.deepEqual(Object.keys(key ?? {}).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
})

test('a client without keys, one that is not there and what is no id are one answer', async () => {
  await using api = await openApiWorld()
  await api.ask('putClient', { ids: { id: 'open' }, body: { provider: 'external', client_id: 'open' } })
  const answers = await Promise.all(
    ['open', 'nobody', 'app', '..%2Fapp', '%00', 'a'.repeat(300)].map((id) => published(api, id)),
  )
  for (const each of answers) {
    assert.deepEqual([each.status, each.text], [404, answers[0]?.text])
    assert.equal(each.headers['cache-control'], 'no-store')
  }
})

test('a key is rotated over HTTP by whoever may change clients, and the new one is published at once', async () => {
  await using api = await openApiWorld()
  await api.ask('putClient', { ids, body: SIGNER })
  const first = kidsIn((await published(api)).text)
  const reader = await api.key(['connections:read'])
  assert.equal((await api.ask('rotateClientKey', { ids, body: {}, key: reader.key })).status, 403)
  const rotated = readAnswer(
    await api.ask('rotateClientKey', { ids, body: { use_after: 60, keep_published: 60 } }),
  ).body
  const states = (keys: unknown) => (keys as { readonly state: string }[]).map(({ state }) => state)
  assert.deepEqual(states(rotated['keys']), ['signing', 'next'])
  assert.deepEqual(states(readAnswer(await api.ask('listClientKeys', { ids, key: reader.key })).body['keys']), [
    'signing',
    'next',
  ])
  // Another server on the same data has no memory of before.
  const another = await api.serve({}, { keep: await api.reopen() })
  const after = kidsIn((await another.send({ target: '/clients/signer/jwks.json' })).text)
  assert.deepEqual(after.slice(0, 1), first)
  assert.equal(after.length, 2)
  const again = await api.ask('rotateClientKey', { ids, body: {} })
  assert.deepEqual([again.status, readAnswer(again).body['code']], [409, 'in_use'])
  assert.equal((await api.ask('rotateClientKey', { ids, body: { now: true } })).status, 200)
  const wrong = await api.ask('rotateClientKey', { ids: { id: 'app' }, body: {} })
  assert.deepEqual([wrong.status, readAnswer(wrong).body['code']], [400, 'invalid_input'])
})

test('no API key chooses a file of the server to be read', async () => {
  await using api = await openApiWorld()
  const body = { ...SIGNER, client_assertion_file: '/etc/passwd' }
  const refused = await api.ask('putClient', { ids, body })
  assert.equal(refused.status, 400)
  await assert.rejects(() => api.keep.clients.get('signer'), { code: 'unknown_client' })
})

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-client-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function filesBelow(folder: string): Promise<readonly Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return Promise.all(
    entries.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name))),
  )
}

test('a private key that was brought stands in no answer, log, error or file, in whatever place it was put', async () => {
  await using api = await openApiWorld()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = privateKey.export({ format: 'jwk' })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const canaries = [String(jwk.d), ...pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'))]
  const key = JSON.stringify(jwk)
  assert.equal((await api.ask('putClient', { ids, body: { ...SIGNER, client_key: key } })).status, 200)
  assert.equal((await api.ask('putClient', { ids, body: { ...SIGNER, client_key: pem } })).status, 200)
  for (const body of [
    { ...SIGNER, client_key: key, token_endpoint_auth_signing_alg: 'RS256' },
    { ...SIGNER, client_key: `${key}${key}` },
    { ...SIGNER, client_key: `{"keys":[${key}]}` },
    { ...SIGNER, client_key: pem.replaceAll('A', '*') },
    { ...SIGNER, client_key: pem, client_certificate: pem },
    { ...SIGNER, client_certificate: pem, token_endpoint_auth_method: 'tls_client_auth', client_key: pem },
    { ...SIGNER, kid: key },
    { ...SIGNER, client_id: pem },
    { ...SIGNER, [key]: key },
  ]) {
    assert.equal((await api.ask('putClient', { ids, body })).status, 400, JSON.stringify(Object.keys(body)))
  }
  await api.ask('getClient', { ids })
  await api.ask('listClients')
  await api.ask('listClientKeys', { ids })
  await published(api)
  const said =
    api.heard.map(({ answer: { text, headers } }) => text + JSON.stringify(headers)).join('\n') + api.logged()
  const files = await filesBelow(api.folder)
  assert.ok(files.length > 2)
  for (const canary of canaries) {
    assert.ok(canary.length > 30)
    assert.equal(said.includes(canary), false)
    assert.equal(
      files.some((bytes) => bytes.includes(canary)),
      false,
    )
  }
})

// ---- commands ------------------------------------------------------------------------------------------------------

test('commands add a client that signs, print what its provider needs, and rotate the key', async (t) => {
  const folder = await folderOf(t)
  const environment = { HOME: folder }
  const command = (...args: readonly string[]) =>
    commandHere([...args, '--data', join(folder, 'data')], { environment, folder })
  const add = ['client', 'add', 'signer', '--provider', 'ext', '--client-id', 'signer']
  await command('provider', 'add', 'ext', '--issuer', 'https://id.example.org')

  const added = await command(...add, '--auth-method', 'private_key_jwt', '--signing-alg', 'RS256')
  assert.equal(added.code, 0, added.err)
  assert.match(added.out, /^proves itself by +private_key_jwt$/m)
  assert.match(added.out, /tell the provider the public keys: the URL \/clients\/signer\/jwks\.json/)
  const jwks = answer<Jwks>(await command('client', 'jwks', 'signer', '--json'))
  assert.deepEqual(
    jwks.keys.map(({ kty, alg, use }) => [kty, alg, use]),
    [['RSA', 'RS256', 'sig']],
  )
  const rotated = answer<readonly ClientKeyInfo[]>(
    await command('client', 'rotate-key', 'signer', '--use-after', '5', '--json'),
  )
  assert.deepEqual(
    rotated.map(({ state }) => state),
    ['signing', 'next'],
  )
  assert.equal(errorAnswer(await command('client', 'rotate-key', 'signer', '--json')).code, 'in_use')
  const now = await command('client', 'rotate-key', 'signer', '--now')
  assert.match(now.out, /previous/)
  assert.equal(answer<readonly ClientKeyInfo[]>(await command('client', 'keys', 'signer', '--json')).length, 2)

  const { privateKey } = generateKeyPairSync('ed25519')
  await writeFile(join(folder, 'own.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const own = answer<Client>(await command(...add, '--client-key-file', 'own.pem', '--kid', 'mine', '--json'))
  assert.deepEqual([own.tokenEndpointAuthMethod, own.tokenEndpointAuthSigningAlg], ['private_key_jwt', 'EdDSA'])
  const signing = answer<readonly ClientKeyInfo[]>(await command('client', 'keys', 'signer', '--json'))
  assert.equal(signing.find(({ state }) => state === 'signing')?.kid, 'mine')

  const file = answer<Client>(await command(...add, '--assertion-file', 'projected', '--json'))
  assert.equal(file.clientAssertionFile, join(folder, 'projected'))
  assert.deepEqual(answer<Jwks>(await command('client', 'jwks', 'signer', '--json')), { keys: [] })
})

test('a private key is never taken from an argument, and wrong combinations are one sentence', async (t) => {
  const folder = await folderOf(t)
  const command = (...args: readonly string[]) =>
    commandHere([...args, '--data', join(folder, 'data'), '--json'], { environment: { HOME: folder }, folder })
  const add = ['client', 'add', 'signer', '--provider', 'ext', '--client-id', 'signer']
  await command('provider', 'add', 'ext', '--issuer', 'https://id.example.org')
  const refused = errorAnswer(await command(...add, '--client-key', 'canary-key'))
  assert.match(refused.message, /--client-key is refused.*Use --client-key-stdin/)
  assert.doesNotMatch(refused.message, /canary/)
  await writeFile(join(folder, 'secret'), 'canary')
  for (const [args, said] of [
    [['--auth-method', 'private_key_jwt', '--client-secret-file', 'secret'], /"private_key_jwt" sends no secret/],
    [['--auth-method', 'client_secret_jwt'], /"client_secret_jwt" needs a clientSecret/],
    [['--auth-method', 'tls_client_auth'], /needs a clientCertificate and its clientKey/],
    [['--client-key-file', 'secret'], /clientKey is no private key/],
    [['--client-key-file', 'secret', '--assertion-file', 'secret'], /two ways to the same assertion/],
    [['--kid', 'k', '--auth-method', 'private_key_jwt'], /kid names a clientKey/],
    [['--signing-alg', 'ES256', '--client-secret-file', 'secret'], /"client_secret_basic" signs nothing/],
    [['--certificate-file', 'nowhere'], /--certificate-file names does not exist/],
  ] as const) {
    const { code, message } = errorAnswer(await command(...add, ...args))
    assert.equal(code, 'invalid_input')
    assert.match(message, said)
    assert.doesNotMatch(message, /canary/)
  }
})

test('a command that asks a server does the same, but for the file, which is the server`s own', async (t) => {
  await using api = await openApiWorld()
  const folder = await folderOf(t)
  const environment = { HOME: folder, TOKENKEEP_URL: api.url, TOKENKEEP_API_KEY: api.world.admin.key }
  const command = (...args: readonly string[]) => commandHere([...args, '--json'], { environment, folder })
  const add = ['client', 'add', 'signer', '--provider', 'external', '--client-id', 'signer']
  const client = answer<Client>(await command(...add, '--auth-method', 'private_key_jwt'))
  assert.deepEqual(client, JSON.parse(JSON.stringify(await api.keep.clients.get('signer'))))
  const jwks = await api.keep.clients.jwks('signer')
  assert.deepEqual(answer<Jwks>(await command('client', 'jwks', 'signer')), jwks)
  const keys = answer<readonly ClientKeyInfo[]>(await command('client', 'rotate-key', 'signer', '--now'))
  assert.deepEqual(keys, await api.keep.clients.keys('signer'))
  const refused = errorAnswer(await command(...add, '--assertion-file', 'projected'))
  assert.match(refused.message, /set it there, on its data, not over HTTP/)
})
