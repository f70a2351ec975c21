/** Editing over HTTP: labels, and who was first (ETag, If-Match, 412). */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { openApiWorld, type ApiWorld } from './api-world.ts'
import { codeOf, readAnswer } from './contract.ts'
import type { Answer } from './any-request.ts'

let api: ApiWorld
before(async () => {
  api = await openApiWorld()
})
after(() => api[Symbol.asyncDispose]())

const tagOf = (answer: Answer): string => String(answer.headers['etag'])
const labelsIn = (answer: Answer): unknown => readAnswer(answer).body['labels']

suite('labels', () => {
  before(async () => {
    await api.world.connect('a', {}, { labels: { team: 'blue', tier: '1' } })
    await api.world.connect('b', {}, { labels: { team: 'red' } })
  })
  const patch = (labels: unknown, more: Parameters<ApiWorld['ask']>[1] = {}) =>
    api.ask('labelConnection', { ids: { id: 'a' }, body: { labels }, ...more })

  test('are merged, and null takes one away (RFC 7396)', async () => {
    assert.deepEqual(labelsIn(await patch({ tier: null, region: 'north' })), { team: 'blue', region: 'north' })
    assert.deepEqual(labelsIn(await patch({ region: null })), { team: 'blue' })
    assert.deepEqual(labelsIn(await patch({})), { team: 'blue' })
    const headers = { 'content-type': 'application/merge-patch+json' }
    assert.deepEqual(labelsIn(await patch({ tier: '2' }, { headers })), { team: 'blue', tier: '2' })
  })

  test('of two who saw the same the second is told 412, and a refresh makes nobody second', async () => {
    const of = { ids: { id: 'a' } }
    const seen = tagOf(await api.ask('getConnection', of))
    assert.match(seen, /^"[\w-]{22}"$/)
    const { access_token } = readAnswer(await api.ask('getToken', of)).body
    await api.ask('rejectToken', { ...of, body: { access_token } })
    assert.equal((await api.ask('getToken', of)).status, 200)
    assert.equal(tagOf(await api.ask('getConnection', of)), seen, 'after a refresh')
    const first = await patch({ owner: 'anna' }, { headers: { 'if-match': seen } })
    assert.equal(first.status, 200)
    assert.notEqual(tagOf(first), seen)
    const second = await patch({ owner: 'bert' }, { headers: { 'if-match': seen } })
    assert.equal(codeOf(second), '412 changed_meanwhile')
    const again = await patch({ owner: 'bert' }, { headers: { 'if-match': `"other", ${tagOf(first)}` } })
    assert.equal(again.status, 200)
    assert.equal((await patch({ owner: null }, { headers: { 'if-match': '*' } })).status, 200)
    const weak = await patch({ x: 'y' }, { headers: { 'if-match': `W/${tagOf(await api.ask('getConnection', of))}` } })
    assert.equal(weak.status, 412, 'a weak one never matches')
    for (const malformed of ['x', '"x', '"a" "b"', '', `"${'x'.repeat(300)}"`]) {
      assert.equal((await patch({ x: 'y' }, { headers: { 'if-match': malformed } })).status, 400, malformed)
    }
  })

  test('a limited key changes only what it sees, and not what it is limited to', async () => {
    const { key } = await api.key(['connections:write'], { team: 'blue' })
    assert.equal((await patch({ tier: '3' }, { key })).status, 200)
    for (const labels of [{ team: 'red' }, { team: null }]) {
      const answer = await patch(labels, { key })
      assert.equal(codeOf(answer), '403 forbidden')
    }
    const hidden = await patch({ team: 'blue' }, { key, ids: { id: 'b' } })
    assert.equal(codeOf(hidden), '404 unknown_connection')
    assert.equal((await patch({ team: 'blue' }, { key: (await api.key(['connections:read'])).key })).status, 403)
  })

  test('what cannot be a label is refused, and what could be a script is text', async () => {
    const script = '<script>alert(1)</script>"\'&'
    const answer = await patch({ note: script })
    assert.equal((labelsIn(answer) as Record<string, string>)['note'], script)
    assert.match(String(answer.headers['content-type']), /^application\/json/)
    assert.equal(answer.headers['x-content-type-options'], 'nosniff')
    for (const [labels, status] of [
      [{ note: 'x'.repeat(201) }, 400],
      [{ ['n'.repeat(65)]: 'x' }, 400],
      [{ '<script>': 'x' }, 400],
      [{ note: 'a\u0000b' }, 400],
      [{ note: 5 }, 400],
      [['note'], 400],
      [null, 400],
      [Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`n${n}`, 'x'])), 400],
      [{ note: 'x'.repeat(10 * 1024 * 1024) }, 413],
    ] as const) {
      const refused = await patch(labels)
      assert.equal(refused.status, status, JSON.stringify(labels).slice(0, 80))
    }
    assert.equal((await api.ask('labelConnection', { ids: { id: 'a' }, body: { status: 'ready' } })).status, 400)
    assert.equal(
      (labelsIn(await api.ask('getConnection', { ids: { id: 'a' } })) as Record<string, string>)['note'],
      script,
    )
  })
})

suite('providers and clients', () => {
  test('of two who replace the same settings the second is told 412', async () => {
    for (const [get, put, body] of [
      [
        'getProvider',
        'putProvider',
        (n: number) => ({ token_endpoint: 'https://id.example.org/token', reuse: { kind: 'strict' }, concurrency: n }),
      ],
      ['getClient', 'putClient', (n: number) => ({ provider: 'edited', client_id: `app-${n}`, client_secret: 'x' })],
    ] as const) {
      const of = { ids: { id: 'edited' } }
      const putting = (n: number, ifMatch?: string) =>
        api.ask(put, { ...of, body: body(n), ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }) })
      const none = await putting(1, '*')
      assert.equal(codeOf(none), '412 changed_meanwhile', 'there is none yet')
      assert.equal(tagOf(await putting(1)), '"1"')
      const seen = tagOf(await api.ask(get, of))
      assert.equal(tagOf(await putting(2, seen)), '"2"')
      const second = await putting(3, seen)
      assert.equal(codeOf(second), '412 changed_meanwhile')
      assert.equal(tagOf(await api.ask(get, of)), '"2"')
      assert.equal((await putting(4, '*')).status, 200)
    }
  })
})
