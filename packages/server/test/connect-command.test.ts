import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Browser } from '@tokenkeep/devserver'
import { openBothWays } from './both-ways.ts'
import { answer, type Started } from './command.ts'

const both = await openBothWays()
after(() => both.close())
const { desk, provider, url, key } = both
const SECRET = 'canary-web-secret'
const PORT = 17_421
await provider.control.putClient('external', {
  clientId: 'web',
  clientSecret: SECRET,
  redirectUris: [`http://127.0.0.1:${PORT}/connect/callback/ext`, `${url}/connect/callback/ext`],
})
const adding = ['client', 'add', 'web', '--provider', 'ext', '--client-id', 'web', '--client-secret-stdin', '--json']
answer(await both.command('folder', adding, { input: SECRET }))

const HERE = ['--data', `${desk.folder}/kept`, '--key-file', `${desk.folder}/master.key`]
const started = (...args: readonly string[]): Started =>
  desk.start(['connect', 'ext', '--client', 'web', '--json', ...HERE, ...args])
const startedAtServer = (...args: readonly string[]): Started =>
  desk.start(['connect', 'ext', '--client', 'web', '--json', ...args], {
    environment: { TOKENKEEP_URL: url, TOKENKEEP_API_KEY: key },
  })

const addressOf = async ({ line }: Started): Promise<string> =>
  (JSON.parse(await line((text) => text.includes('"url"'))) as { url: string }).url

interface Told {
  readonly id: string
  readonly status: string
  readonly subject: string
}
/** The last line of what it printed. */
const told = (out: string): Told => JSON.parse(out.trim().split('\n').at(-1) ?? '') as Told

test('on this machine a person signs in at the printed address and comes back to the command, which says what was kept', async () => {
  const command = started('--id', 'dealer-1', '--port', String(PORT), '--label', 'team=a')
  const page = await new Browser().signIn(await addressOf(command), 'ada')
  assert.ok('text' in page && page.status === 200, JSON.stringify(page))
  assert.match(page.text, /ext is connected/)
  const { code, out, err } = await command.ended
  assert.equal(code, 0, err)
  const { id, status, subject } = told(out)
  assert.deepEqual([id, status, subject], ['dealer-1', 'ready', 'ada'])
  answer(await both.command('folder', ['token', 'dealer-1', '--json']))
})

test('who denies, or signs in with another account, ends the command with a word, and the connection is as it was', async () => {
  const other = started('--id', 'dealer-1', '--port', String(PORT))
  const page = await new Browser().signIn(await addressOf(other), 'bob')
  assert.ok('text' in page && page.status === 400)
  const { code, err } = await other.ended
  assert.equal(code, 4)
  assert.match(err, /"code":"sign_in_failed".*that is another account/)
  const kept = answer<Told>(await both.command('folder', ['connection', 'show', 'dealer-1', '--json']))
  assert.equal(kept.subject, 'ada')

  const meant = started('--id', 'dealer-1', '--port', String(PORT), '--other-account')
  await new Browser().signIn(await addressOf(meant), 'bob')
  assert.equal((await meant.ended).code, 0)
})

test('at a server the command prints the link, and says what became of it', async () => {
  const command = startedAtServer('--id', 'dealer-2')
  const link = await addressOf(command)
  assert.ok(link.startsWith(`${url}/connect/tkc_`))
  const browser = new Browser()
  const begun = await browser.visit(link, {})
  const page = await browser.signIn(begun.headers.get('location') ?? '', 'eve')
  assert.ok('text' in page && page.status === 200)
  const { code, out, err } = await command.ended
  assert.equal(code, 0, err)
  assert.deepEqual([told(out).id, told(out).subject], ['dealer-2', 'eve'])
})

test('at a server a sign-in that failed ends the command, too', async () => {
  const command = startedAtServer('--id', 'dealer-2')
  const browser = new Browser()
  const begun = await browser.visit(await addressOf(command), {})
  await browser.signIn(begun.headers.get('location') ?? '', 'mallory')
  const { code, err } = await command.ended
  assert.equal(code, 4)
  assert.match(err, /that is another account/)
})

test('strangers on the port, and answers of no sign-in of ours, do not end the waiting', async () => {
  const command = started('--id', 'dealer-3', '--port', String(PORT))
  const address = await addressOf(command)
  const at = `http://127.0.0.1:${PORT}`
  const statuses = []
  for (const path of [
    '/',
    '/connect/callback/other?state=x',
    '/connect/callback/ext',
    '/connect/callback/ext?state=x&code=y',
  ])
    statuses.push((await fetch(`${at}${path}`)).status)
  statuses.push((await fetch(`${at}/connect/callback/ext?state=x`, { method: 'POST' })).status)
  statuses.push((await fetch(`http://localhost:${PORT}/connect/callback/ext?state=x`)).status)
  assert.deepEqual(statuses, [404, 404, 404, 404, 404, 404])
  // A name that was re-bound to this machine does not even reach the question whose answer it is.
  const rebound = await fetch(`http://localhost:${PORT}/connect/callback/ext?state=x`)
  assert.match(await rebound.text(), /There is nothing here/)
  await new Browser().signIn(address, 'ada')
  assert.equal((await command.ended).code, 0)
})

test('nobody who signs in in time, a port in use, a wrong option and a signal are each said in one sentence', async () => {
  const late = await started('--wait', '1', '--port', String(PORT)).ended
  assert.equal(late.code, 4)
  assert.match(late.err, /nobody signed in in time/)
  const first = started('--port', String(PORT))
  await addressOf(first)
  const second = await started('--port', String(PORT)).ended
  assert.equal(second.code, 6)
  assert.match(second.err, /port 17421 cannot be listened on/)
  first.child.kill('SIGINT')
  assert.equal((await first.ended).code, 130)
  const portAtServer = await startedAtServer('--port', '1234').ended
  assert.equal(portAtServer.code, 2)
  assert.match(portAtServer.err, /--port is for signing in on this machine/)
  const unknown = await both.command('folder', ['connect', 'nowhere', '--json'])
  assert.match(unknown.err, /there is no provider/)
  assert.equal(unknown.code, 3)
  const several = await both.command('folder', ['connect', 'ext', '--json'])
  assert.match(several.err, /has 2 clients: name one of app, web/)
})

test('no link, code or secret but the address itself was printed', async () => {
  assert.ok(both.printed().includes('/connect/tkc_'), 'the control')
  assert.equal(both.printed().includes(SECRET), false)
  assert.doesNotMatch(both.printed(), /[?&]code=/)
})
