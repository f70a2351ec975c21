/** `tokenkeep doctor` as processes: whatever hangs, after a kill, and at a server. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startDevserver } from '@tokenkeep/devserver'
import { commandHere } from './command-here.ts'
import { assertSaysNone, doctor, read } from './doctor-world.ts'
import { openInstallation, type Installation } from './installation.ts'
import { supervised } from '../src/cli/supervised.ts'

suite('tokenkeep doctor as a process', () => {
  let here: Installation
  before(async () => {
    here = await openInstallation()
    await here.importSignIn('dealer-42')
  })
  after(() => here[Symbol.asyncDispose]())

  test('a file that nobody ever writes to keeps it no longer than its look, and the exit code is 6', async () => {
    const pipe = join(here.desk.folder, 'settings.json')
    execFileSync('mkfifo', [pipe])
    const startedAt = performance.now()
    // The thread that reads the pipe never ends, and with it no process would.
    const found = read(await here.command(['doctor', '--offline', '--config', pipe]))
    assert.ok(performance.now() - startedAt < 20_000)
    assert.deepEqual([found.code, found.wrongCodes], [6, ['look_late']])
    assert.match(found.the('look_late').says, /^the settings of `serve` gave no answer within 3 s/)
  })

  test('a process that hangs as a whole is ended, and what it did last is told', async () => {
    const program = join(here.desk.folder, 'hangs.mjs')
    writeFileSync(program, `process.send({ begun: 'the disk' }); for (;;);`)
    const interruption = { signal: new AbortController().signal, by: () => null }
    assert.deepEqual(await supervised({ started: [program], interruption }, 2_000), {
      kind: 'hung',
      during: 'the disk',
    })
  })

  test('after a kill it says so, and with answers in a slot of the dead what to do', async () => {
    const serving = await here.serve()
    await serving.token('dealer-42')
    const alive = await doctor(here, ['--offline'])
    assert.equal(alive.the('processes').facts['alive'], 1)
    serving.kill('SIGKILL')
    await serving.ended
    const dead = await doctor(here, ['--offline'])
    assert.deepEqual([dead.code, dead.the('processes').facts['alive']], [0, 0])
    assert.match(dead.the('processes_dead').says, /^1 process ended without a farewell/)
    const spill = join(here.host.data, 'tokenkeep.db.state', 'spill')
    mkdirSync(spill, { recursive: true })
    const slots = join(spill, `${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}.slots`)
    writeFileSync(slots, Buffer.alloc(96 * 1024))
    assert.ok(!(await doctor(here, ['--offline'])).has('answers_left'), 'the slot is empty')
  })

  test('the server of these settings is found where it listens', async () => {
    const serving = await here.serve()
    const port = new URL(serving.url).port
    const found = await doctor(here, ['--port', port])
    assert.match(found.the('server').says, /answers \(0\.1\.0\), and says: ready$/)
    assert.equal(await serving.end(), 0)
    const silent = await doctor(here, ['--port', port])
    assert.deepEqual([silent.code, silent.the('server_silent').is], [0, 'note'])
  })

  test('a server is looked at from outside, by what its key may do', async () => {
    const serving = await here.serve()
    const at = async (key: string | null, url = serving.url) => {
      const ended = await commandHere(['doctor', '--json', '--url', url], {
        environment: key === null ? {} : { TOKENKEEP_API_KEY: key },
      })
      assertSaysNone(ended, [...here.secrets])
      return read(ended)
    }
    const make = async (scope: string): Promise<string> => {
      const made = await here.prepare<{ key: string; id: string }>(['key', 'create', '--name', 'd', '--scope', scope])
      here.secrets.add(made.key)
      return made.key
    }
    const key = await make('admin')
    const good = await at(key)
    assert.deepEqual([good.code, good.wrongCodes], [0, []])
    assert.match(good.the('api_key').says, /it may connections:read, token:read, keys:write/)
    assert.equal(good.the('rest_on_host').is, 'note')
    assert.match(good.the('clock').says, /agrees with the server/)
    const little = await at(await make('token:read'))
    assert.match(little.the('api_key').says, /it may token:read$/)
    assert.ok(little.has('api_key_may_little'))
    assert.equal((await at(null)).the('api_key_missing').is, 'note')
    const wrongKey = await at(`tkk_${'x'.repeat(43)}`)
    assert.deepEqual([wrongKey.code, wrongKey.wrongCodes], [6, ['api_key_unusable']])
    assert.deepEqual((await at(key, here.provider.issuer('external'))).wrongCodes, ['server_other'])
    await serving.end()
    assert.deepEqual((await at(key)).wrongCodes, ['server_unreachable'])
  })

  test('a provider whose certificate is not believed here is told so, and one that is believed with the days it has', async () => {
    const fixture = (name: string): string =>
      fileURLToPath(new URL(`../../node/test/fixtures/${name}`, import.meta.url))
    const cert = fixture('localhost-certificate.pem')
    const tls = { cert: readFileSync(cert, 'utf8'), key: readFileSync(fixture('localhost-key.pem'), 'utf8') }
    await using server = await startDevserver({ tls, realms: [{ name: 'safe' }] })
    await here.prepare(['provider', 'add', 'safe', '--issuer', server.issuer('safe')])
    const run = async (environment: Readonly<Record<string, string>>) =>
      read(await here.desk.run(['doctor', '--json'], { environment: { ...here.environmentOf(), ...environment } }))
    assert.match((await run({})).the('provider_untrusted').says, /^safe: the TLS handshake with 127\.0\.0\.1:\d+ fails/)
    const trusting = await run({ NODE_EXTRA_CA_CERTS: cert })
    const safe = trusting.findings.find(({ code, facts }) => code === 'provider' && facts['provider'] === 'safe')
    assert.match(safe?.says ?? '', /its certificate has \d+ days; its metadata were read$/)
    assert.ok(!trusting.has('provider_untrusted'))
  })

  test('wrong usage is exit code 2, as for every command', async () => {
    for (const args of [
      ['--url', 'ftp://x'],
      ['--url', 'http://127.0.0.1:1', '--data', '.'],
      ['--url', 'http://127.0.0.1:1', '--offline'],
      ['--url', 'http://127.0.0.1:1', '--quick-check'],
      ['extra'],
      ['--api-key-file', 'x'],
    ]) {
      const { code, out } = await commandHere(['doctor', '--json', ...args])
      assert.deepEqual([code, out], [2, ''], args.join(' '))
    }
  })
})
