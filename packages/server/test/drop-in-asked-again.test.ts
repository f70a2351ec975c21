import assert from 'node:assert/strict'
import test from 'node:test'
import type { MonoMs } from '@tokenkeep/core'
import {
  acted,
  againAt,
  firstTime,
  isAskedAgain,
  stepFor,
  type HandedOut,
  type Said,
  type Step,
} from '../src/http/drop-in/asked-again.ts'
import { createUpstreamChecks } from '../src/http/drop-in/upstream-checks.ts'
import { openRawConnection } from './raw-http.ts'
import { openServedWorld, REALM, type ServedKey, type ServedWorld, type ServedWorldOptions } from './served-world.ts'

// ---- deciding ------------------------------------------------------------------------------------------------------

const at = (seconds: number): MonoMs => (seconds * 1000) as MonoMs

/** Handed out first at the first moment, asked for again at the others. */
function handedOutAt(first: number, ...again: readonly number[]): HandedOut {
  return again.reduce((handed, seconds) => againAt(handed, at(seconds)), firstTime('T', at(first)))
}

const ASKINGS: readonly (readonly [name: string, askedAt: number, freeSince: number, again: boolean])[] = [
  ['that was read before the token was handed out at all', 99.999, 99.999, false],
  ['on a connection that was opened when it was handed out', 100, 100, true],
  ['on one that was opened before, and read afterwards', 109.999, 99.999, false],
  ['on one that brought it since', 109.999, 100, true],
  ['on one that was free for a long time, and read soon', 100.001, 1, false],
  ['on the same, later than anybody is on the way', 110, 1, true],
]
for (const [name, askedAt, freeSince, again] of ASKINGS) {
  test(`a request ${name}: ${again ? 'asked again' : 'did not ask again'}`, () => {
    const asking = { askedAt: at(askedAt), freeSince: at(freeSince) }
    assert.equal(isAskedAgain(firstTime('T', at(100)), asking), again)
  })
}

const everyHalfSecond = (times: number): readonly number[] => Array.from({ length: times }, (_, each) => (each + 1) / 2)

const LOOPS: readonly { readonly name: string; readonly handed: HandedOut; readonly step: Step }[] = [
  { name: 'twice', handed: handedOutAt(0, 1), step: 'hand_out' },
  { name: 'three times', handed: handedOutAt(0, 1, 2), step: 'report' },
  { name: 'three times in 30 s', handed: handedOutAt(0, 15, 30), step: 'report' },
  { name: 'three times in more than 30 s', handed: handedOutAt(0, 15, 30.001), step: 'hand_out' },
  { name: 'ever since, every 16 s', handed: handedOutAt(0, 16, 32, 48, 64), step: 'hand_out' },
  { name: 'three times, the last two in one second', handed: handedOutAt(0, 5, 5.999), step: 'hand_out' },
  { name: 'a hundred times in one second', handed: handedOutAt(0, ...Array<number>(100).fill(0.5)), step: 'hand_out' },
  { name: 'three times, one of them within a second of another', handed: handedOutAt(0, 1, 1.5, 2), step: 'hand_out' },
  { name: 'without a pause, for less than 10 s', handed: handedOutAt(0, ...everyHalfSecond(19)), step: 'hand_out' },
  { name: 'without a pause, for 10 s', handed: handedOutAt(0, ...everyHalfSecond(20)), step: 'report' },
  {
    name: 'twice after a loop that was reported',
    handed: againAt(acted(handedOutAt(0, 1, 2)), at(3)),
    step: 'hand_out',
  },
  {
    name: 'three times after a loop that was reported',
    handed: [3, 4, 5].reduce((handed, seconds) => againAt(handed, at(seconds)), acted(handedOutAt(0, 1, 2))),
    step: 'report',
  },
]
for (const { name, handed, step } of LOOPS) {
  test(`where nobody can be asked, a token asked for ${name}: ${step}`, () => {
    assert.equal(stepFor(handed, 'T', 'unsupported'), step)
  })
}

const WORDS: readonly { readonly said: Said; readonly step: Step }[] = [
  { said: 'active', step: 'hand_out' },
  { said: 'inactive', step: 'replace' },
  { said: 'unknown', step: 'hand_out' },
]
for (const { said, step } of WORDS) {
  test(`where the provider says ${said}, a loop or not: ${step}`, () => {
    for (const handed of [undefined, handedOutAt(0, 1), handedOutAt(0, 1, 2)]) {
      assert.equal(stepFor(handed, 'T', said), step)
    }
  })
}

test('a loop of one token says nothing about another', () => {
  assert.equal(stepFor(handedOutAt(0, 1, 2), 'another', 'unsupported'), 'hand_out')
  assert.equal(stepFor(undefined, 'T', 'unsupported'), 'hand_out')
})

test('nothing new is remembered for askers in the same moment, so that a thousand of them cost nothing', () => {
  const handed = handedOutAt(0, 5)
  assert.equal(againAt(handed, at(5.1)), handed)
})

// ---- asking the provider -------------------------------------------------------------------------------------------

test('a provider is asked about a connection once in 10 s, and once for all who wonder meanwhile', async () => {
  const asked: string[] = []
  const answers: ((said: Said) => void)[] = []
  const checks = createUpstreamChecks((connection) => {
    asked.push(connection)
    return new Promise((resolve) => answers.push(resolve))
  })
  const [one, two, other] = [checks.look('a', at(0)), checks.look('a', at(1)), checks.look('b', at(1))]
  assert.deepEqual(asked, ['a', 'b'])
  for (const answer of answers) answer('inactive')
  assert.deepEqual(await Promise.all([one, two, other]), ['inactive', 'inactive', 'inactive'])
  // Of the token that was handed out since nobody said that it is dead.
  assert.equal(checks.look('a', at(9.999)), 'unknown')
  assert.deepEqual(asked, ['a', 'b'])
  assert.notEqual(typeof checks.look('a', at(10)), 'string')
  assert.deepEqual(asked, ['a', 'b', 'a'])
})

test('that a provider cannot be asked is remembered for those 10 s', async () => {
  const checks = createUpstreamChecks(() => Promise.resolve('unsupported'))
  assert.equal(await checks.look('a', at(0)), 'unsupported')
  assert.equal(checks.look('a', at(5)), 'unsupported')
})

test('a provider that does not answer is waited for 2 s by the first, and by nobody after that', async () => {
  let asked = 0
  const checks = createUpstreamChecks(() => {
    asked += 1
    return new Promise(() => undefined)
  })
  assert.equal(await checks.look('a', at(0)), 'unknown')
  assert.equal(checks.look('a', at(5)), 'unknown')
  // Not asked again, either, as long as the question is open.
  assert.equal(checks.look('a', at(60)), 'unknown')
  assert.equal(asked, 1)
})

test('connections that nobody asks about any more are forgotten', async () => {
  const asked: string[] = []
  const checks = createUpstreamChecks((connection) => {
    asked.push(connection)
    return Promise.resolve('active')
  })
  for (let each = 0; each <= 10_000; each += 1) await checks.look(`c${each}`, at(0))
  asked.length = 0
  await checks.look('c10000', at(1))
  await checks.look('c0', at(1))
  assert.deepEqual(asked, ['c0'])
})

// ---- through the endpoint ------------------------------------------------------------------------------------------

interface Desk {
  readonly world: ServedWorld
  readonly key: ServedKey
  readonly refreshToken: string
  readonly sessionId: string
  /** Asks, and says which of the tokens it got so far this is: 0, 1, ... */
  ask(more?: Readonly<Record<string, string>>): Promise<number>
  introspections(): Promise<number>
  refreshes(): Promise<number>
}

async function openAskingDesk(options: ServedWorldOptions & { readonly unaskable?: boolean } = {}): Promise<Desk> {
  const world = await openServedWorld(options)
  if (options.unaskable === true) {
    await world.keep.providers.put({
      id: REALM,
      tokenEndpoint: world.upstream.tokenEndpoint(REALM),
      narrowing: 'token_only',
      ...options.provider,
    })
  }
  const { sessionId } = await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const got: unknown[] = []
  return {
    world,
    key,
    refreshToken,
    sessionId,
    async ask(more) {
      const { status, body, text } = await world.refresh(key, refreshToken, more)
      assert.equal(status, 200, text)
      if (!got.includes(body['access_token'])) got.push(body['access_token'])
      return got.indexOf(body['access_token'])
    },
    introspections: async () => (await world.upstream.control.totals()).introspect.requests,
    refreshes: async () => (await world.upstream.control.counters(REALM, sessionId)).refreshes,
  }
}

test('a token revoked upstream is replaced within two calls', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  const first = await world.refresh(desk.key, desk.refreshToken)
  await world.upstream.control.revokeAccessToken(String(first.body['access_token']))
  const second = await world.refresh(desk.key, desk.refreshToken)
  assert.equal(second.status, 200)
  assert.notEqual(second.body['access_token'], first.body['access_token'])
  const offers = await fetch(world.upstream.demoApi, {
    headers: { authorization: `Bearer ${String(second.body['access_token'])}` },
  })
  assert.equal(offers.status, 200)
  assert.equal(await desk.refreshes(), 1)
})

test('a client that always names the scope it has is no worse off', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  const first = await world.refresh(desk.key, desk.refreshToken)
  await world.upstream.control.revokeAccessToken(String(first.body['access_token']))
  const scope = String(first.body['scope']).split(' ').reverse().join(' ')
  const second = await world.refresh(desk.key, desk.refreshToken, { scope })
  assert.notEqual(second.body['access_token'], first.body['access_token'])
})

test('a token that works is handed out again and again, and the provider asked once in 10 s', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  assert.equal(await desk.ask(), 0)
  assert.equal(await desk.introspections(), 0)
  for (let call = 0; call < 5; call += 1) assert.equal(await desk.ask(), 0)
  await Promise.all(Array.from({ length: 50 }, () => desk.ask()))
  assert.equal(await desk.introspections(), 1)
  world.forward(10_000)
  await Promise.all(Array.from({ length: 50 }, () => desk.ask()))
  assert.equal(await desk.introspections(), 2)
  assert.equal(await desk.refreshes(), 0)
})

test('a token revoked soon after it was checked is replaced once it may be checked again', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  const first = await world.refresh(desk.key, desk.refreshToken)
  await world.refresh(desk.key, desk.refreshToken)
  await world.upstream.control.revokeAccessToken(String(first.body['access_token']))
  const tooSoon = await world.refresh(desk.key, desk.refreshToken)
  assert.equal(tooSoon.body['access_token'], first.body['access_token'])
  world.forward(10_000)
  const later = await world.refresh(desk.key, desk.refreshToken)
  assert.notEqual(later.body['access_token'], first.body['access_token'])
})

test('processes that waited for one refresh did not ask again: nobody is asked about the new token', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  const { sessionId } = await world.connectExpired('dealer-43')
  await world.upstream.control.addFault({ fault: { kind: 'delay', ms: 500 }, when: 'before', times: 1, sessionId })
  const shared = await world.share('dealer-43', desk.key)
  const answers = await Promise.all(Array.from({ length: 20 }, () => world.refresh(desk.key, shared)))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.equal(new Set(answers.map(({ body }) => body['access_token'])).size, 1)
  assert.equal(await desk.introspections(), 0)
})

test('a provider that does not answer the question holds nobody up for long, and costs no token', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  await desk.ask()
  const order = { when: 'before', times: 10, endpoint: 'introspect' } as const
  await world.upstream.control.addFault({ fault: { kind: 'delay', ms: 60_000 }, ...order })
  assert.equal(await desk.ask(), 0)
  assert.equal(await desk.ask(), 0)
  const [fault] = await world.upstream.control.faults()
  assert.equal(fault?.left, 9)
})

for (const fault of [{ kind: 'status', status: 500 }, { kind: 'drop' }, { kind: 'html' }] as const) {
  test(`a provider that answers the question with ${fault.kind} has said nothing, and no loop counts`, async () => {
    const desk = await openAskingDesk()
    await using world = desk.world
    await world.upstream.control.addFault({ fault, when: 'before', times: 10, endpoint: 'introspect' })
    for (let call = 0; call < 6; call += 1) {
      assert.equal(await desk.ask(), 0)
      world.forward(4_000)
    }
    assert.equal(await desk.refreshes(), 0)
  })
}

test('where the provider cannot be asked, the third time within 30 s counts as one 401', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  assert.equal(await desk.ask(), 0)
  world.forward(10_000)
  assert.equal(await desk.ask(), 0)
  world.forward(10_000)
  assert.equal(await desk.ask(), 1)
  assert.equal(await desk.refreshes(), 1)
  const reports = world.events.filter(({ type }) => type === 'access_token_rejected')
  assert.equal(reports.length, 1)
  assert.equal(await desk.introspections(), 0)
})

test('an API that refuses every token causes one refresh by a loop, and no storm', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  for (let call = 0; call < 20; call += 1) {
    await desk.ask()
    world.forward(2_000)
  }
  assert.equal(await desk.refreshes(), 1)
  // Every third time, and not each one from the third on.
  const reports = world.events.filter(({ type }) => type === 'access_token_rejected')
  assert.ok(reports.length <= 20 / 2, String(reports.length))
})

test('where the provider cannot be asked, processes that ask in the same moment are no loop', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  await Promise.all(Array.from({ length: 50 }, () => desk.ask()))
  await Promise.all(Array.from({ length: 50 }, () => desk.ask()))
  world.forward(31_000)
  await Promise.all(Array.from({ length: 50 }, () => desk.ask()))
  assert.equal(await desk.refreshes(), 0)
})

/** So many connections to the server, open and idle, on each of which the desk's token can be asked for. */
async function openConnections({ world, key, refreshToken }: Desk, count: number) {
  const port = Number(new URL(world.url).port)
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: key.id,
    client_secret: key.key,
  }).toString()
  const host = `host: 127.0.0.1:${port}`
  const asking = [
    `POST ${new URL(world.tokenEndpoint()).pathname} HTTP/1.1`,
    host,
    'content-type: application/x-www-form-urlencoded',
    `content-length: ${form.length}`,
    '',
    form,
  ].join('\r\n')
  const connections = Array.from({ length: count }, () => openRawConnection(port))
  for (const each of connections) await each.exchange(Buffer.from(`GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`))
  return {
    async ask(at: number): Promise<string> {
      const answer = await connections[at]?.exchange(Buffer.from(asking))
      assert.equal(answer?.status, 200)
      return String((JSON.parse(answer.body) as Record<string, unknown>)['access_token'])
    },
    [Symbol.dispose]: () => connections.forEach((each) => each.close()),
  }
}

test('requests that were on their way when the token was first handed out are no loop, however slowly they are read', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  using connections = await openConnections(desk, 6)
  const tokens = new Set<string>()
  for (let each = 0; each < 6; each += 1) {
    tokens.add(await connections.ask(each))
    world.forward(1_500)
  }
  assert.equal(tokens.size, 1)
  assert.equal(await desk.refreshes(), 0)
  // Whoever asks again on a connection that brought it has it, and wants another.
  for (const each of [0, 0, 1]) {
    tokens.add(await connections.ask(each))
    world.forward(1_500)
  }
  assert.equal(tokens.size, 2)
})

test('nobody is on the way for ever: on connections that were open all the time a loop counts, too', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  using connections = await openConnections(desk, 6)
  const tokens = new Set([await connections.ask(0)])
  world.forward(10_000)
  for (let each = 1; each < 6; each += 1) {
    world.forward(1_500)
    tokens.add(await connections.ask(each))
  }
  assert.equal(tokens.size, 2)
})

test('where the provider cannot be asked, to ask three times in more than 30 s is no loop', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  for (let call = 0; call < 5; call += 1) {
    assert.equal(await desk.ask(), 0)
    world.forward(16_000)
  }
  assert.equal(await desk.refreshes(), 0)
})

test('a loop of one local refresh token is not one of another', async () => {
  const desk = await openAskingDesk({ unaskable: true })
  await using world = desk.world
  for (let each = 0; each < 4; each += 1) {
    const answer = await world.refresh(desk.key, await world.share('dealer-42', desk.key))
    assert.equal(answer.status, 200)
    world.forward(2_000)
  }
  assert.equal(await desk.refreshes(), 0)
})

test('no loop counts where a refresh ends the access tokens before it', async () => {
  const desk = await openAskingDesk({
    unaskable: true,
    realm: { refreshKillsAccessToken: true },
    provider: { refreshKillsAccessToken: true },
  })
  await using world = desk.world
  for (let call = 0; call < 8; call += 1) {
    assert.equal(await desk.ask(), 0)
    world.forward(3_000)
  }
  assert.equal(await desk.refreshes(), 0)
  assert.equal(world.events.filter(({ type }) => type === 'access_token_rejected').length, 0)
})

test('about a narrower token the provider is not asked, for the library asks about the full one: a loop counts', async () => {
  const desk = await openAskingDesk()
  await using world = desk.world
  const narrow = { scope: 'dealer-api' }
  assert.equal(await desk.ask(narrow), 0)
  assert.equal(await desk.ask(), 1)
  world.forward(2_000)
  assert.equal(await desk.ask(narrow), 0)
  world.forward(2_000)
  assert.equal(await desk.introspections(), 0)
  assert.equal(await desk.ask(narrow), 2)
})

test('a token for own credentials that was revoked upstream is replaced; asking for it often is no loop', async () => {
  for (const unaskable of [false, true]) {
    const desk = await openAskingDesk({ unaskable })
    await using world = desk.world
    await world.keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials' })
    const key = await world.makeKey({ sources: { [REALM]: 'machine' } })
    const ask = async (): Promise<string> => {
      const form = { grant_type: 'client_credentials', client_id: key.id, client_secret: key.key }
      const { status, body, text } = await world.postForm('token', form)
      assert.equal(status, 200, text)
      return String(body['access_token'])
    }
    const first = await ask()
    await world.upstream.control.revokeAccessToken(first)
    const later: string[] = []
    for (let call = 0; call < 4; call += 1) {
      later.push(await ask())
      world.forward(2_000)
    }
    assert.equal(new Set(later).size, 1)
    assert.equal(later[0] === first, unaskable)
  }
})

test('own credentials that always name the scope they have are no worse off', async () => {
  const { world } = await openAskingDesk()
  await using _ = world
  const scope = 'dealer-api'
  await world.keep.connections.import({ id: 'machine', client: 'app', grantType: 'client_credentials', scope })
  const key = await world.makeKey({ sources: { [REALM]: 'machine' } })
  const form = { grant_type: 'client_credentials', scope, client_id: key.id, client_secret: key.key }
  const first = await world.postForm('token', form)
  await world.upstream.control.revokeAccessToken(String(first.body['access_token']))
  const second = await world.postForm('token', form)
  assert.equal(second.status, 200)
  assert.notEqual(second.body['access_token'], first.body['access_token'])
})
