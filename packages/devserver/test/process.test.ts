import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { spawnDevserver, startDevserver } from '../src/index.ts'
import { CLIENT, replyOf } from './trial.ts'

const PROGRAM = fileURLToPath(new URL('../src/process.ts', import.meta.url))

test('a spawned devserver serves, is controlled over HTTP, and stops', async () => {
  const devserver = await spawnDevserver({ realms: [{ name: 'external', clients: [CLIENT] }] })
  assert.notEqual(devserver.pid, process.pid)
  const { accessToken } = await devserver.control.seedSession('external', { clientId: 'app' })
  const headers = { authorization: `Bearer ${accessToken}` }
  assert.equal((await replyOf(await fetch(devserver.demoApi, { headers }))).status, 200)
  await devserver.stop()
  await assert.rejects(fetch(devserver.demoApi))
})

test('stdout has one JSON line and stderr none, whatever is asked of the server', async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM], { stdio: 'pipe' })
  const output = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()))
  child.stdin.write(`${JSON.stringify({ realms: [{ name: 'external', clients: [CLIENT] }] })}\n`)
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const ready = JSON.parse(line) as Record<string, unknown>
  assert.deepEqual(Object.keys(ready), ['ready', 'origin', 'controlUrl', 'demoApi', 'pid'])
  assert.equal(ready['ready'], true)

  const base = `${String(ready['origin'])}/realms/external/protocol/openid-connect`
  const form = (members: Record<string, string>, headers = {}) => ({
    method: 'POST',
    headers,
    body: new URLSearchParams(members),
  })
  const credentials = { client_id: 'app', client_secret: CLIENT.clientSecret }
  await fetch(`${base}/token`, form({ grant_type: 'client_credentials', ...credentials }))
  await fetch(`${base}/token`, form({ grant_type: 'client_credentials' }, { accept: 'text/html' }))
  await fetch(
    `${base}/token`,
    form({ grant_type: 'client_credentials', ...credentials }, { origin: 'https://x.example' }),
  )
  await fetch(`${base}/token/introspect`, form({ ...credentials, token: 'x' }))
  await fetch(`${base}/revoke`, form({ ...credentials, token: 'x' }))
  await fetch(`${base}/auth?client_id=app`)
  await fetch(`${base}/logout`)
  await fetch(`${base}/userinfo`)
  child.stdin.end()
  const [code] = (await once(child, 'close')) as [number]
  assert.equal(code, 0)
  assert.equal(output.out.trimEnd().split('\n').length, 1)
  assert.equal(output.err, '')
})

test('it ends when the pipe of its parent closes, also when the parent was killed', async () => {
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { spawnDevserver } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)}
       const devserver = await spawnDevserver()
       console.log(devserver.origin)
       setInterval(() => {}, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string]
  assert.equal((await fetch(line)).status, 200)
  parent.kill('SIGKILL')
  // Asked by address: a process that nobody has reaped yet still has its id.
  const patience = performance.now() + 3000
  while (await serves(line)) assert.ok(performance.now() < patience, 'it is still there')
})

test('SIGTERM is a graceful end', async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM], { stdio: 'pipe' })
  child.stdin.write('\n')
  await once(createInterface({ input: child.stdout }), 'line')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'close'), [0, null])
})

test('a port in use is named, with what to do, in process and spawned', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = holder.address()
  assert.ok(typeof address === 'object' && address !== null)
  const { port } = address
  const refusal = {
    name: 'PortInUse',
    message: new RegExp(`port ${port} on 127.0.0.1 is in use: stop .* or choose another`),
  }
  await assert.rejects(startDevserver({ port }), refusal)
  await assert.rejects(spawnDevserver({ port }), refusal)
  holder.close()
})

test('options of the wrong shape are refused before anything starts', async () => {
  const refusal = { name: 'InvalidInput', message: /options\.port must be at most 65535/ }
  await assert.rejects(startDevserver({ port: 70_000 }), refusal)
  await assert.rejects(spawnDevserver({ port: 70_000 }), refusal)
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM], { stdio: 'pipe' })
  child.stdin.end('not json\n')
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  assert.deepEqual(JSON.parse(line), {
    ready: false,
    error: 'InvalidInput',
    message: 'the first line on stdin must be the options as one JSON object',
  })
})

test('it starts in process within 400 ms', async () => {
  const started = performance.now()
  await using devserver = await startDevserver()
  assert.ok(devserver.origin)
  assert.ok(performance.now() - started < 400)
})

async function serves(origin: string): Promise<boolean> {
  await new Promise((resolve) => void setTimeout(resolve, 20))
  return fetch(origin).then(
    () => true,
    () => false,
  )
}
