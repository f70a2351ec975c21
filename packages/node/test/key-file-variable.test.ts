import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKeyFile } from '../src/key-file.ts'
import { readKeyVariable } from '../src/key-variable.ts'
import { checkOf } from '../src/keyring.ts'

const read = (value: string | undefined) => readKeyVariable({ TOKENKEEP_KEY: value })
const key = (): string => randomBytes(32).toString('base64url')

test('without the variable there is no key, and an empty one is none', () => {
  assert.equal(readKeyVariable({}), null)
  for (const value of [undefined, '', ' ', '\n']) assert.equal(read(value), null)
})

test('a key is read as base64url and base64, with or without padding and white space around it', () => {
  const bytes = Buffer.from('fbefbe'.repeat(10) + 'ffff', 'hex')
  const spellings = [bytes.toString('base64url'), bytes.toString('base64'), `${bytes.toString('base64url')}=`]
  const ids = [...spellings, ` ${spellings[0] ?? ''}\n`].map((value) => read(value)?.current.id)
  assert.equal(new Set(ids).size, 1)
  assert.match(ids[0] ?? '', /^[0-9a-f]{16}$/)
})

test('a value that is no key is refused without showing it', () => {
  const canary = 'canary-canary-canary'
  const interrupted = `${key().slice(0, 20)}!${key().slice(20)}`
  for (const value of [
    canary,
    interrupted,
    key().slice(1),
    `${key()}A`,
    `${key().slice(0, -1)}!`,
    `${key()},`,
    `,${key()}`,
  ]) {
    assert.throws(
      () => read(value),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'key_wrong')
        assert.match(error.message, /TOKENKEEP_KEY/)
        for (const part of value.split(',')) {
          if (part !== '') assert.equal(error.message.includes(part.slice(0, 12)), false)
        }
        return true
      },
    )
  }
})

test('of several keys the first seals, all open, and the last, the oldest, makes the fingerprints', () => {
  const [old, newer] = [key(), key()]
  const before = read(old)
  const after = read(`${newer},${old}`)
  assert.ok(before !== null && after !== null)
  assert.equal(after.current.id, read(newer)?.current.id)
  assert.deepEqual(
    after.keys.map(({ id }) => id),
    [read(newer)?.current.id, before.current.id],
  )
  assert.equal(checkOf(after).value, checkOf(before).value)
  assert.notEqual(checkOf(after).value, read(newer) === null ? '' : checkOf(after).sealedWith)
})

test('a new key between the old one and the old one only opens, so that every host can have it before one seals with it', () => {
  const [old, newer] = [key(), key()]
  const [before, between] = [read(old), read(`${old},${newer},${old}`)]
  assert.ok(before !== null && between !== null)
  assert.deepEqual(checkOf(between), checkOf(before))
  assert.ok(between.keys.some(({ id }) => id === read(newer)?.current.id))
})

test('the key of a key file, given in the variable instead, opens the same database', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-key-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'tokens.key')
  const fromFile = await createKeyFile({ path, notBelow: null })
  const text = (/^key first (.*)$/m.exec(await readFile(path, 'utf8')) ?? [])[1]
  const fromVariable = read(text)
  assert.ok(fromVariable !== null)
  assert.deepEqual(checkOf(fromVariable), checkOf(fromFile))
})
