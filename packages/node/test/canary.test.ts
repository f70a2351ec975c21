import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { inspect } from 'node:util'
import { TokenError } from '@tokenkeep/core'
import type { Fault } from '@tokenkeep/devserver'
import { openWorld, CLIENT_SECRET } from './world.ts'

/** A relay in front of the authorization server that learns every token which passes. */
async function listenIn(to: string, secrets: Set<string>): Promise<{ origin: string; server: Server }> {
  const server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = []
    const onward = request(
      new URL(incoming.url ?? '/', to),
      { method: incoming.method, headers: { ...incoming.headers, host: new URL(to).host } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.on('data', (part: Buffer) => parts.push(part)).pipe(outgoing)
        answer.on('error', () => outgoing.destroy())
        answer.on('end', () => {
          for (const [, secret] of Buffer.concat(parts)
            .toString('utf8')
            .matchAll(/"(?:access|refresh|id)_token"\s*:\s*"([^"]+)"/g)) {
            if (secret !== undefined) secrets.add(secret)
          }
        })
      },
    )
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

interface Content {
  readonly file: string
  readonly bytes: Buffer
}

async function contentsBelow(folder: string): Promise<readonly Content[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const contents = await Promise.all(
    files.map(async (file): Promise<readonly Content[]> => {
      const bytes = await readFile(file).catch(gone)
      return bytes === null ? [] : [{ file, bytes }]
    }),
  )
  return contents.flat()
}

/** A draft that got its name between the listing and the reading: it is read under that name, or was. */
function gone(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
  throw error
}

const FAULTS: readonly { fault: Fault; when: 'before' | 'after' }[] = [
  { fault: { kind: 'drop' }, when: 'after' },
  { fault: { kind: 'truncated' }, when: 'after' },
  { fault: { kind: 'truncated', keep: 'after_refresh_token' }, when: 'after' },
  { fault: { kind: 'omit', field: 'token_type' }, when: 'after' },
  { fault: { kind: 'error_in_200', error: 'server_error' }, when: 'before' },
  { fault: { kind: 'html' }, when: 'after' },
  { fault: { kind: 'status', status: 500, body: CLIENT_SECRET }, when: 'before' },
]

test('no secret is in any file, event, error or answer about a connection, in use, after faults, and after deletion', async () => {
  await using world = await openWorld({
    realm: { rotation: { kind: 'grace', seconds: 10 } },
    provider: { reuse: { kind: 'grace', seconds: 10, winner: 'any' } },
  })
  const secrets = new Set(world.secrets)
  const relay = await listenIn(world.server.origin, secrets)
  const shown: unknown[] = []
  try {
    await world.keep.providers.put({
      id: 'external',
      tokenEndpoint: world.server.tokenEndpoint('external').replace(world.server.origin, relay.origin),
      narrowing: 'token_only',
      reuse: { kind: 'grace', seconds: 10, winner: 'any' },
    })
    const sessions = [await world.connect('dealer-1'), await world.connect('dealer-2')]
    for (const { accessToken, refreshToken } of sessions) secrets.add(accessToken).add(refreshToken)
    const attempt = async (action: () => Promise<unknown>): Promise<void> => {
      try {
        shown.push(await action())
      } catch (error) {
        assert.ok(error instanceof TokenError, inspect(error))
        shown.push(error, error.message, error.stack, inspect(error, { showHidden: true, depth: 10 }))
      }
    }
    const held = sessions[1]?.refreshToken ?? ''
    await attempt(() => world.keep.connections.import({ id: 'twin', client: 'app', refreshToken: held }))
    assert.ok(shown[0] instanceof TokenError && shown[0].code === 'refresh_token_held')
    for (const { fault, when } of FAULTS) {
      await world.server.control.addFault({ fault, when, times: 1 })
      world.clocks.forward(290_000)
      await attempt(async () => {
        const { accessToken } = await world.keep.token('dealer-1')
        secrets.add(accessToken)
        return (await world.keep.connections.get('dealer-1')).status
      })
    }
    const { accessToken } = await world.keep.token('dealer-2', { scope: 'dealer-api' })
    secrets.add(accessToken)
    await attempt(() => world.keep.connections.import({ id: 'odd', client: 'app', refreshToken: `${CLIENT_SECRET}\n` }))
    await attempt(() => world.keep.rejected('dealer-2', accessToken))
    const { apiKey, key } = await world.keep.apiKeys.create({ name: 'a caller', sources: { external: 'dealer-1' } })
    const { apiKey: ended, key: endedKey } = await world.keep.apiKeys.create({ name: 'one that ended' })
    const shared = await world.keep.localRefreshTokens.share('dealer-1', { with: apiKey.id })
    const dead = await world.keep.localRefreshTokens.share('dealer-2', { with: ended.id })
    const callerSecrets = [key, endedKey, shared.refreshToken, dead.refreshToken]
    for (const secret of callerSecrets) secrets.add(secret)
    await attempt(() => world.keep.localRefreshTokens.revoke(dead.localRefreshToken.id))
    await attempt(() => world.keep.apiKeys.revoke(ended.id))
    const { apiKeys, localRefreshTokens, callers } = world.keep
    // Each of them also where something else belongs: in the place of an id, a name or another secret.
    for (const secret of callerSecrets) {
      await attempt(() => callers.byKey(secret))
      await attempt(() => callers.byLocalRefreshToken(secret))
      await attempt(() => callers.admits(secret, {}))
      await attempt(() => callers.source(apiKey, secret))
      await attempt(() => apiKeys.get(secret))
      await attempt(() => apiKeys.revoke(secret))
      await attempt(() => apiKeys.setSource(secret, 'external', 'dealer-1'))
      await attempt(() => apiKeys.setSource(apiKey.id, secret, 'dealer-1'))
      await attempt(() => apiKeys.setSource(apiKey.id, 'external', secret))
      await attempt(() => apiKeys.create({ name: `${secret}\n` }))
      await attempt(() => apiKeys.create({ name: 'n', scopes: [secret as 'admin'] }))
      await attempt(() => apiKeys.create({ name: 'n', labels: { [`${secret} `]: '' } }))
      await attempt(() => apiKeys.create({ name: 'n', sources: { external: secret } }))
      await attempt(() => apiKeys.create({ name: 'n', [secret]: '' }))
      await attempt(() => localRefreshTokens.get(secret))
      await attempt(() => localRefreshTokens.revoke(secret))
      await attempt(() => localRefreshTokens.share('dealer-1', { with: secret }))
      await attempt(() => localRefreshTokens.share(secret, { with: apiKey.id }))
      await attempt(() => localRefreshTokens.list(secret))
    }
    await attempt(() => apiKeys.list())
    await attempt(() => localRefreshTokens.list('dealer-1'))
    await attempt(() => world.keep.connections.history('dealer-1'))
    await attempt(() => world.keep.connections.list())
    await attempt(() => world.keep.providers.list())
    await attempt(() => world.keep.clients.list())
    await attempt(() => world.keep.connections.delete('dealer-2'))

    assert.ok(secrets.size >= 12, `only ${secrets.size} secrets were learnt: the scan would prove nothing`)
    const said =
      inspect([shown, world.events], { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null }) +
      JSON.stringify([shown, world.events])
    const contents = await contentsBelow(world.folder)
    assert.ok(
      contents.some(({ file }) => file.endsWith('-wal')),
      'the write-ahead log is there to be scanned',
    )
    assert.ok(
      contents.some(({ file }) => file.endsWith('.slots')),
      'the spill slots are there to be scanned',
    )
    const hits = [...secrets].flatMap((secret, index) => [
      ...(said.includes(secret) ? [`secret ${index} was said`] : []),
      ...contents.filter(({ bytes }) => bytes.includes(secret)).map(({ file }) => `secret ${index} is in ${file}`),
    ])
    assert.deepEqual(hits, [])
  } finally {
    relay.server.closeAllConnections()
    relay.server.close()
  }
})

test('the scan finds a secret that is there', async () => {
  await using world = await openWorld()
  await world.keep.connections.import({
    id: 'told',
    client: 'app',
    refreshToken: 'rt-1',
    subject: 'a canary that sings',
  })
  const contents = await contentsBelow(world.folder)
  assert.ok(contents.some(({ bytes }) => bytes.includes('a canary that sings')))
})
