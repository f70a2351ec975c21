import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import test from 'node:test'
import { keepBody } from '../src/kept-body.ts'

async function next(body: Readable): Promise<string> {
  for (;;) {
    const part: unknown = body.read()
    if (part !== null) return String(part)
    await once(body, 'readable')
  }
}

const whole = async (body: Readable | null): Promise<string> => {
  assert.ok(body)
  let text = ''
  for await (const part of body) text += String(part)
  return text
}

test('whoever opens it again gets it from the beginning, and the rest as it arrives', async () => {
  const source = new PassThrough()
  const body = keepBody(source, 100)
  const first = body.open()
  assert.ok(first)
  source.write('one ')
  assert.equal(await next(first), 'one ')
  first.destroy()
  const second = body.open()
  source.write('two ')
  source.end('three')
  assert.equal(await whole(second), 'one two three')
  assert.equal(await whole(body.open()), 'one two three')
})

test('what one reader asked for and the next one takes is there once for the third', async () => {
  const source = new PassThrough()
  const body = keepBody(source, 100)
  // Both ask, and nothing is there.
  const readers = [body.open(), body.open()]
  for (const reader of readers) reader?.once('readable', () => undefined)
  await new Promise((resolve) => setImmediate(resolve))
  source.end('once')
  assert.equal(await whole(readers[1] ?? null), 'once')
  assert.equal(await whole(body.open()), 'once')
})

test('a body that is larger than what is kept is read once', async () => {
  const source = new PassThrough()
  const body = keepBody(source, 4)
  const first = body.open()
  source.write('four')
  assert.ok(first)
  assert.equal(await next(first), 'four')
  assert.ok(body.isKept())
  source.end('!')
  assert.equal(await whole(first), '!')
  assert.ok(!body.isKept())
  assert.equal(body.open(), null)
})

test('a body that breaks off breaks off for its reader', async () => {
  const source = new PassThrough()
  const body = keepBody(source, 100)
  const first = body.open()
  source.write('half')
  assert.ok(first)
  assert.equal(await next(first), 'half')
  source.destroy(new Error('gone'))
  await assert.rejects(whole(first), /gone/)
})
