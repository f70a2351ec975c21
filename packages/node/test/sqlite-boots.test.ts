import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Moment, MonoMs, UnixMs } from '@tokenkeep/core'
import type { SqliteDatabase } from '../src/sqlite-database.ts'
import { newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

const S = 1_000
const START = Date.UTC(2026, 0, 15, 12)

/** Machines that one database is reached from, each up for a day. */
async function sharedDatabase() {
  const folder = await newFolder()
  const keys = newKeyring()
  const opened: SqliteDatabase[] = []
  let passed = 0
  const machine = (boot: string, { upMs = 86_400_000, aheadMs = 0 } = {}) => {
    const bootedAt = passed - upMs
    return (): Moment => ({
      boot,
      at: (passed - bootedAt) as MonoMs,
      wall: (START + passed + aheadMs) as UnixMs,
    })
  }
  return {
    machine,
    pass: (elapsedMs: number) => void (passed += elapsedMs),
    open: async (on: () => Moment): Promise<SqliteDatabase> => {
      const database = await openDatabase(folder.database, keys, on)
      opened.push(database)
      return database
    },
    end: async () => {
      for (const database of opened) await database.close()
      await folder.remove()
    },
  }
}

const write = (database: SqliteDatabase): Promise<unknown> =>
  database.write(() => database.sql.exec('UPDATE installation SET created_at = created_at'))
const ELSEWHERE = { code: 'store_unavailable', message: /in use on another machine/ }

test('a database that another machine uses is refused, and what that one does goes on', async () => {
  const { machine, pass, open, end } = await sharedDatabase()
  const [one, other] = [machine('boot-one'), machine('boot-two')]
  const database = await open(one)
  pass(29 * S)
  await write(database)
  pass(29 * S)
  await assert.rejects(open(other), ELSEWHERE)
  await write(database)
  await end()
})

test('once the other machine has been silent for a lease it is taken over, and then that one writes nothing more', async () => {
  const { machine, pass, open, end } = await sharedDatabase()
  const [one, other] = [machine('boot-one'), machine('boot-two')]
  const first = await open(one)
  pass(30 * S)
  const second = await open(other)
  pass(5 * S)
  await assert.rejects(write(first), ELSEWHERE)
  await write(second)
  await end()
})

test('a write that is refused leaves nothing behind, and the next one is as good as ever', async () => {
  const { machine, pass, open, end } = await sharedDatabase()
  const first = await open(machine('boot-one'))
  pass(30 * S)
  await open(machine('boot-two'))
  const refused = first.write(() => first.sql.exec('UPDATE installation SET created_at = 7'))
  await assert.rejects(refused, ELSEWHERE)
  assert.notEqual(first.sql.prepare('SELECT created_at FROM installation').get()?.['created_at'], 7)
  pass(30 * S)
  await write(first)
  await end()
})

test('the same machine after a restart, however quick, is not another one', async () => {
  const { machine, pass, open, end } = await sharedDatabase()
  await write(await open(machine('boot-one')))
  pass(3 * S)
  await write(await open(machine('boot-two', { upMs: 2 * S })))
  await end()
})

test('a clock that was far ahead before a restart holds nobody up', async () => {
  const { machine, pass, open, end } = await sharedDatabase()
  await write(await open(machine('boot-one', { aheadMs: 3_600_000 })))
  pass(3 * S)
  await write(await open(machine('boot-two', { upMs: 2 * S })))
  await end()
})

test('where the kernel does not name its boots, another name proves nothing', async () => {
  const { machine, open, end } = await sharedDatabase()
  await write(await open(machine('about-29000000')))
  await write(await open(machine('about-29000001')))
  await write(await open(machine('boot-two')))
  await end()
})
