/** `GET /v1/events`: pages, and the stream of what happens. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { after, test } from 'node:test'
import { EVENT_TYPES, type RecordedEvent } from '@tokenkeep/node'
import { EVENT_DATA, EVENT_TYPES_WIRE, type EventWire } from '../src/api/event-wire.ts'
import { eventWire } from '../src/api/event-object.ts'
import { openApiWorld, type ApiServer } from './api-world.ts'
import { readAnswer } from './contract.ts'

interface Page {
  readonly events: readonly EventWire[]
  readonly next_cursor: string | null
  readonly more: boolean
}

interface Frame {
  readonly id: string | null
  readonly event: string
  readonly data: string
}

const BLUE = { team: 'blue' }
const api = await openApiWorld()
after(() => api[Symbol.asyncDispose]())
const { world, keep } = api
const reader = await api.key(['connections:read'])
const blue = await api.key(['connections:read'], BLUE)

async function page(query = '', key = reader.key): Promise<Page> {
  const answer = await api.ask('listEvents', { query, key })
  assert.equal(answer.status, 200, answer.text)
  return readAnswer(answer).body as unknown as Page
}

/** A stream of events as it is read, until it is left. */
async function listen(
  { port }: Pick<ApiServer, 'port'>,
  { query = '', key = reader.key, lastEventId }: { query?: string; key?: string; lastEventId?: string } = {},
) {
  const headers = {
    authorization: `Bearer ${key}`,
    accept: 'text/event-stream',
    ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
  }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request({ host: '127.0.0.1', port, path: `/v1/events${query}`, headers, agent: false }, resolve)
    .on('error', reject)
    .end()
  const answer = await promise
  const frames: Frame[] = []
  let text = ''
  let ended = false
  let news = Promise.withResolvers<void>()
  const tell = (): void => {
    news.resolve()
    news = Promise.withResolvers()
  }
  answer.setEncoding('utf8')
  answer.on('data', (chunk: string) => {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
      const data = fields.get('data')
      if (data !== undefined)
        frames.push({ id: fields.get('id') ?? null, event: fields.get('event') ?? 'message', data })
    }
    tell()
  })
  const over = (): void => {
    ended = true
    tell()
  }
  answer.on('close', over).on('error', over)
  return {
    answer,
    frames,
    async until(holds: () => boolean): Promise<void> {
      while (!holds()) {
        if (ended) assert.fail(`the stream ended after ${JSON.stringify(frames)}`)
        await news.promise
      }
    },
    async end(): Promise<void> {
      while (!ended) await news.promise
    },
    leave: () => answer.destroy(),
  }
}
const toldIn = ({ frames }: { readonly frames: readonly Frame[] }): EventWire[] =>
  frames.filter(({ event }) => event === 'message').map(({ data }) => JSON.parse(data) as EventWire)

test('the types on the wire are those that are recorded, in the same order', () => {
  assert.deepEqual(EVENT_TYPES_WIRE, EVENT_TYPES)
})

test('docs/events.md lists every type, with exactly what it says', () => {
  const text = readFileSync(new URL('../../../docs/events.md', import.meta.url), 'utf8')
  const rows = text.split('\n').filter((line) => /^\| `(connection|provider|installation)\./.test(line))
  const documented = rows.map((row) => {
    const cells = row.split('|').map((cell) => cell.trim())
    const words = (cell = ''): string[] => [...cell.matchAll(/`([a-z_.]+)`/g)].map(([, word = '']) => word)
    return [words(cells[1])[0], words(cells[3])] as const
  })
  const OF_CONNECTIONS = ['connection', 'provider', 'client', 'labels']
  const published = EVENT_TYPES_WIRE.map((type) => {
    const members = Object.keys(EVENT_DATA[type].shape)
    return [type, type.startsWith('connection.') ? members.filter((each) => !OF_CONNECTIONS.includes(each)) : members]
  })
  assert.deepEqual(documented, published)
})

test('a page tells what happened, with whose it is, and where to go on', async () => {
  await world.connect('first', {}, { labels: BLUE })
  await keep.token('first', { minTtlMs: 0 })
  await world.connect('second')
  const { events, next_cursor: cursor, more } = await page('?limit=1')
  assert.equal(more, true)
  const [event] = events
  assert.ok(event !== undefined)
  assert.equal(event.type, 'connection.created')
  assert.deepEqual(event.data['labels'], BLUE)
  assert.equal(event.data['connection'], 'first')
  assert.ok(Math.abs(Date.parse(event.timestamp) - Date.now()) < 60_000)
  const rest = await page(`?after=${cursor}`)
  assert.deepEqual(
    rest.events.map(({ type, data }) => [type, data['connection']]),
    [['connection.created', 'second']],
  )
  const newest = await page('?order=newest')
  assert.deepEqual(newest.events, [...events, ...rest.events].reverse())
  assert.equal(newest.next_cursor, null)
})

test('every type that came up holds exactly the members that are published for it', async () => {
  await world.connect('expiring')
  const { accessToken } = await keep.token('expiring')
  await keep.rejected('expiring', accessToken)
  await keep.token('expiring')
  await keep.connections.delete('expiring')
  const { events } = await page('?connection=expiring')
  assert.deepEqual(
    events.map(({ type }) => type),
    ['connection.created', 'connection.access_token_rejected', 'connection.refreshed', 'connection.revoked'],
  )
  for (const { type, data } of events) {
    assert.deepEqual(EVENT_DATA[type].strict().safeParse(data).error, undefined, type)
  }
})

test('moments are RFC 3339 and lengths seconds, whatever the type', () => {
  const of: Omit<RecordedEvent, 'type' | 'data'> = {
    id: 'evt_1',
    at: 0,
    connection: null,
    provider: 'p',
    client: 'c',
    labels: {},
  }
  const rated = eventWire({ ...of, type: 'provider.rate_limited', data: { waitMs: 1500 } })
  assert.deepEqual(rated.data, { provider: 'p', client: 'c', wait_seconds: 1.5 })
  const refused = eventWire({ ...of, type: 'provider.misconfigured', data: { word: null, retryAt: 0 } })
  assert.deepEqual(refused.data, { provider: 'p', client: 'c', word: null, retry_at: '1970-01-01T00:00:00.000Z' })
  for (const event of [rated, refused]) assert.ok(EVENT_DATA[event.type].strict().safeParse(event.data).success)
})

test('a key with a label hears of its connections alone, and of nothing else', async () => {
  const { events } = await page('', blue.key)
  assert.deepEqual(
    events.map(({ data }) => data['connection']),
    ['first'],
  )
  assert.deepEqual((await page('?label=team=red', blue.key)).events, [], 'a label that contradicts its own')
  const stream = await listen(api, { key: blue.key })
  await world.connect('red', {}, { labels: { team: 'red' } })
  await world.connect('bluer', {}, { labels: BLUE })
  await stream.until(() => stream.frames.length > 0)
  assert.deepEqual(
    toldIn(stream).map(({ data }) => data['connection']),
    ['bluer'],
  )
  stream.leave()
})

test('a stream tells what happens as it happens, and goes on after the event that was heard last', async () => {
  const stream = await listen(api)
  assert.equal(stream.answer.statusCode, 200)
  assert.equal(stream.answer.headers['content-type'], 'text/event-stream')
  assert.equal(stream.answer.headers['cache-control'], 'no-store')
  await world.connect('live')
  await stream.until(() => stream.frames.length > 0)
  const [frame] = stream.frames
  assert.equal(toldIn(stream)[0]?.data['connection'], 'live')
  stream.leave()
  await world.connect('missed')
  await keep.connections.delete('live')
  const again = await listen(api, { lastEventId: frame?.id ?? '' })
  await again.until(() => again.frames.length === 2)
  assert.deepEqual(
    toldIn(again).map(({ type, data }) => [type, data['connection']]),
    [
      ['connection.created', 'missed'],
      ['connection.revoked', 'live'],
    ],
  )
  again.leave()
})

test('a stream of one connection, or of some types, holds nothing else', async () => {
  const [one, types] = [
    await listen(api, { query: '?connection=only' }),
    await listen(api, { query: '?type=connection.revoked' }),
  ]
  await world.connect('other')
  await world.connect('only')
  await keep.connections.delete('other')
  await one.until(() => one.frames.length > 0)
  await types.until(() => types.frames.length > 0)
  assert.deepEqual(
    toldIn(one).map(({ data }) => data['connection']),
    ['only'],
  )
  assert.deepEqual(
    toldIn(types).map(({ type }) => type),
    ['connection.revoked'],
  )
  one.leave()
  types.leave()
})

test('whoever comes back with an id of another database is told of the gap, and hears what comes', async () => {
  const stream = await listen(api, { lastEventId: '1-ffffffff' })
  await world.connect('after-the-gap')
  await stream.until(() => stream.frames.length === 2)
  assert.deepEqual(
    stream.frames.map(({ event }) => event),
    ['gap', 'message'],
  )
  stream.leave()
})

test('what is wrong with what was asked is said before anything is streamed', async () => {
  for (const [query, says] of [
    ['?after=1-ffffffff', /cursor/],
    ['?type=connection.exploded', /type/],
    ['?order=newest', /order/],
    ['?connection=%20', /id/],
    ['?label=x', /NAME=VALUE/],
    ['?limit=0', /limit/],
  ] as const) {
    const headers = { accept: 'text/event-stream' }
    const answer = await api.ask('listEvents', { query, key: reader.key, headers })
    assert.equal(answer.status, 400, `${query} ${answer.text}`)
    assert.match(answer.text, says)
  }
  const wrong = await api.ask('listEvents', { key: 'tkk_wrong', headers: { accept: 'text/event-stream' } })
  assert.equal(wrong.status, 401)
})

test('a revoked key hears nothing from then on', async () => {
  const ends = await api.key(['connections:read'])
  const stream = await listen(api, { key: ends.key })
  await keep.apiKeys.revoke(ends.id)
  await stream.end()
  await world.connect('unheard')
  assert.deepEqual(stream.frames, [])
})

test('one key has so many streams at most, and a place is free as soon as one is left', async () => {
  const many = await api.key(['connections:read'])
  const streams = await Promise.all(Array.from({ length: 500 }, () => listen(api, { key: many.key })))
  assert.ok(streams.every(({ answer }) => answer.statusCode === 200))
  const ask = () => listen(api, { key: many.key })
  const refused = await ask()
  assert.equal(refused.answer.statusCode, 429)
  assert.ok(Number(refused.answer.headers['retry-after']) > 0)
  const other = await listen(api)
  assert.equal(other.answer.statusCode, 200, 'another key has its own')
  other.leave()
  streams[0]?.leave()
  for (let looks = 0; ; looks += 1) {
    const again = await ask()
    again.leave()
    if (again.answer.statusCode === 200) break
    assert.ok(looks < 100, 'the place is still taken')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (const stream of streams) stream.leave()
})

test('a server that ends lets its streams go, and does not wait for them', async () => {
  const server = await api.serve()
  const stream = await listen(server)
  const began = performance.now()
  server.app.stopping()
  await stream.end()
  await server.app.close(10_000)
  assert.ok(performance.now() - began < 5_000)
})

test('script in a label and in an id comes back as the text that it is, on one line', async () => {
  const label = '</script><img src=x onerror=alert(1)>\u2028data: {"type":"forged"}'
  const stream = await listen(api)
  await world.connect('<b>bold</b>', {}, { labels: { note: label } })
  await stream.until(() => stream.frames.length > 0)
  const [event, ...others] = toldIn(stream)
  assert.deepEqual(others, [])
  assert.deepEqual(event?.data['labels'], { note: label })
  assert.equal(event.data['connection'], '<b>bold</b>')
  stream.leave()
})
