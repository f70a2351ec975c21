import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openBothWays } from './both-ways.ts'
import { answer, type Started } from './command.ts'

const both = await openBothWays()
after(() => both.close())
const { desk, provider } = both
await provider.control.updateRealm('external', { devicePollSeconds: 1 })
const CANARY = 'device-code-canary-77d1'

const PLACE = ['--data', `${desk.folder}/kept`, '--key-file', `${desk.folder}/master.key`]
const started = (...args: readonly string[]): Started => desk.start(['connect', 'ext', '--device', ...PLACE, ...args])

interface Shown {
  readonly connection: string
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete: string | null
  readonly intervalMs: number
}
const shownBy = async ({ line }: Started): Promise<Shown> =>
  JSON.parse(await line((text) => text.includes('"userCode"'))) as Shown

interface Told {
  readonly id: string
  readonly status: string
  readonly subject: string
}
/** The last line of what it printed. */
const told = (out: string): Told => JSON.parse(out.trim().split('\n').at(-1) ?? '') as Told

/** The next command gets these codes, of which the provider knows nothing. */
const codes = (more: object): Promise<unknown> =>
  provider.control.addFault({
    endpoint: 'device',
    when: 'before',
    times: 1,
    fault: {
      kind: 'status',
      status: 200,
      body: JSON.stringify({
        device_code: CANARY,
        user_code: 'WDJB-MJHT',
        verification_uri: 'https://id.example.org/device',
        expires_in: 600,
        interval: 1,
        ...more,
      }),
    },
  })

test('the command shows an address and a code, and says what was kept when the person has said yes', async () => {
  const command = started('--id', 'tv', '--label', 'team=a', '--json')
  const { userCode, verificationUri, connection } = await shownBy(command)
  assert.deepEqual([connection, verificationUri], ['tv', `${provider.issuer('external')}/device`])
  await provider.control.approveDevice('external', userCode, { subject: 'ada' })
  const { code, out, err } = await command.ended
  assert.equal(code, 0, err)
  const { id, status, subject } = told(out)
  assert.deepEqual([id, status, subject], ['tv', 'ready', 'ada'])
  answer(await both.command('folder', ['token', 'tv', '--json']))
})

test('who says no, or signs in with another account, ends the command with a word, and the connection is as it was', async () => {
  const other = started('--id', 'tv', '--json')
  await provider.control.approveDevice('external', (await shownBy(other)).userCode, { subject: 'bob' })
  const { code, err } = await other.ended
  assert.equal(code, 4)
  assert.match(err, /"code":"sign_in_failed".*that is another account/)
  const denied = started('--id', 'tv', '--json')
  await provider.control.denyDevice('external', (await shownBy(denied)).userCode)
  const no = await denied.ended
  assert.equal(no.code, 4)
  assert.match(no.err, /access was denied.*Nothing was changed/)
  assert.equal(answer<Told>(await both.command('folder', ['connection', 'show', 'tv', '--json'])).subject, 'ada')

  const meant = started('--id', 'tv', '--other-account', '--json')
  await provider.control.approveDevice('external', (await shownBy(meant)).userCode, { subject: 'bob' })
  const yes = await meant.ended
  assert.deepEqual([yes.code, told(yes.out).subject], [0, 'bob'], yes.err)
})

test('people read the address, the code and where it stands in an address, each on a line of its own, and nothing that moves a cursor', async () => {
  await codes({ user_code: 'WD\u001b[2J\u202eJB', verification_uri_complete: 'https://id.example.org/device?c=1' })
  const { code, out, err } = await started().ended
  // The provider does not know this code, and that ends it.
  assert.equal(code, 4, err)
  assert.match(err, /did not take its own answer back/)
  assert.match(out, /^ {4}https:\/\/id\.example\.org\/device$/m)
  assert.match(out, /^ {4}WD\\u\{1b\}\[2J\\u\{202e\}JB$/m)
  assert.match(out, /^ {4}https:\/\/id\.example\.org\/device\?c=1$/m)
  for (const character of ['\u001b', '\u202e']) assert.equal((out + err).includes(character), false)
  assert.equal((out + err).includes(CANARY), false)

  await codes({ user_code: 'WD\u001b\u202eJB' })
  const json = await started('--json').ended
  assert.match(json.out, /"userCode":"WD\\u001b\\u202eJB"/)
  assert.equal((json.out + json.err).includes(CANARY), false)
})

test('a code that ends, a wait that is over and a signal end the waiting, each with its exit code', async () => {
  await codes({ expires_in: 1, interval: 5 })
  const over = await started().ended
  assert.equal(over.code, 4)
  assert.match(over.err, /nobody signed in before the code ended/)
  const late = await started('--wait', '1').ended
  assert.equal(late.code, 4)
  assert.match(late.err, /nobody signed in in time/)
  const ended = started('--json')
  await shownBy(ended)
  ended.child.kill('SIGINT')
  const { code, err } = await ended.ended
  assert.deepEqual([code, err], [130, ''])
})

test('a server, an address to come back to and a provider without the endpoint are each refused in one sentence', async () => {
  const atServer = await both.command('server', ['connect', 'ext', '--device', '--json'])
  assert.equal(atServer.code, 2)
  assert.match(atServer.err, /--device waits on the machine of the data, and TOKENKEEP_URL names a server/)
  const port = await both.command('folder', ['connect', 'ext', '--device', '--port', '8080', '--json'])
  assert.equal(port.code, 2)
  assert.match(port.err, /--port is where a browser comes back to/)
  answer(
    await both.command('folder', [
      'provider',
      'add',
      'plain',
      '--token-endpoint',
      'http://127.0.0.1:9/token',
      '--json',
    ]),
  )
  const client = [
    'client',
    'add',
    'plain',
    '--provider',
    'plain',
    '--client-id',
    'plain',
    '--auth-method',
    'none',
    '--json',
  ]
  answer(await both.command('folder', client))
  const none = await both.command('folder', ['connect', 'plain', '--device', '--json'])
  assert.equal(none.code, 2)
  assert.match(none.err, /has no device authorization endpoint/)
  const nowhere = await both.command('folder', ['connect', 'nowhere', '--device', '--json'])
  assert.equal(nowhere.code, 3)
})
