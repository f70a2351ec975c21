/** What an examination of slots, folders and clients sees, and that it leaves them as they are. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { OwnerId, UnixMs } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { countConnections } from '../src/examination/count-connections.ts'
import { lookAtFolder } from '../src/examination/look-at-folder.ts'
import { lookAtState } from '../src/examination/look-at-state.ts'
import type { DatabaseSeen } from '../src/examination/seen.ts'
import { openTokenkeep } from '../src/index.ts'
import { createLiveness } from '../src/liveness.ts'
import { createSpill } from '../src/spill-slots.ts'
import { answer, roomIn, sealerFor } from './spill-answers.ts'

const inFolder = async (job: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-examination-'))
  try {
    await job(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('an answer in a slot is counted by whether its owner lives, and stays where it is', () =>
  inFolder(async (folder) => {
    assert.deepEqual((await lookAtState(folder)).answers, { ofAlive: 0, ofDead: 0 })
    const owner = randomUUID() as OwnerId
    const liveness = await createLiveness({ folder, owner })
    const spill = createSpill({ folder, owner })
    const sealer = await sealerFor()
    await spill.keep(await roomIn(spill, sealer), answer(sealer))
    assert.deepEqual(await lookAtState(folder), {
      folder,
      alive: 1,
      dead: 0,
      unknown: 0,
      answers: { ofAlive: 1, ofDead: 0 },
    })
    liveness.close()
    for (const _ of [1, 2]) {
      const { alive, dead, answers } = await lookAtState(folder)
      assert.deepEqual([alive, dead, answers], [0, 1, { ofAlive: 0, ofDead: 1 }])
    }
    await spill.close()
  }))

test('a folder is tried by a write that reaches the disk, and nothing is left in it', () =>
  inFolder(async (folder) => {
    const clock = createSystemClock()
    const { missing, sync, fileSystem } = await lookAtFolder(folder, clock)
    assert.equal(missing, false)
    assert.ok(typeof sync === 'number' && sync >= 0)
    assert.ok(fileSystem.freeBytes > 0)
    assert.deepEqual(readdirSync(folder), [])
    const absent = await lookAtFolder(join(folder, 'a', 'b'), clock)
    assert.deepEqual([absent.missing, absent.sync], [true, null])
    assert.deepEqual(readdirSync(folder), [])
  }))

test('a folder in memory is told from one on a disk', async (t) => {
  const folder = `/dev/shm/tokenkeep-${randomUUID()}`
  try {
    mkdirSync(folder)
  } catch {
    t.diagnostic('NOT RUN: there is no /dev/shm to write to')
    return
  }
  const { fileSystem } = await lookAtFolder(folder, createSystemClock())
  rmSync(folder, { recursive: true })
  assert.deepEqual([fileSystem.kind, fileSystem.name], ['memory', 'tmpfs'])
})

test('connections are counted by statements of which none reads all of them', () =>
  inFolder(async (folder) => {
    const path = join(folder, 'tokens.db')
    const keep = await openTokenkeep({ path, keyFile: join(folder, 'key'), keyBesideData: true, background: false })
    await keep.close()
    const sql = new DatabaseSync(path, { readOnly: true })
    const plans: string[] = []
    const seen = { version: 1, newest: 1 } as DatabaseSeen
    await countConnections(
      {
        seen,
        table: (name) => name,
        all: async (text, values) => {
          const steps = sql.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values)
          plans.push(...steps.map(({ detail }) => String(detail)))
          return sql.prepare(text).all(...values)
        },
      },
      Date.now() as UnixMs,
    )
    sql.close()
    assert.ok(plans.some((step) => step.includes('connection_troubled')))
    assert.ok(plans.some((step) => step.includes('connection_expiring')))
    assert.deepEqual(
      plans.filter((step) => /^SCAN connection\b/.test(step)),
      [],
    )
  }))
