/** What every database does for the audit log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Actor } from '../../src/actor.ts'
import type { AuditRows, OpenLine } from '../../src/audit.ts'

export interface AuditBackend {
  /** The same database, opened once more. */
  open(): Promise<{ readonly rows: AuditRows; close(): Promise<void> }>
  end(): Promise<void>
}

const KEY: Actor = { kind: 'api_key', id: 'key_1', identity: 'idn_1' }
const PERSON: Actor = { kind: 'command', user: "o'hara", host: 'desk', pid: 7 }
const line = (at: number, more: Partial<OpenLine> = {}): OpenLine => ({
  at,
  actor: KEY,
  act: 'connection.import',
  subject: 'dealer-42',
  details: { labels: { note: '<script>alert(1)</script>' } },
  ...more,
})

export function auditContract(name: string, make: () => Promise<AuditBackend>): void {
  test(`${name}: a line is open until its end, which is written once, and is read by every process`, async () => {
    const backend = await make()
    const [one, two] = [await backend.open(), await backend.open()]
    const id = await one.rows.add(line(5), 0)
    const open = { id, ...line(5), outcome: 'open', endedAt: null }
    assert.deepEqual(await two.rows.list({ limit: 9 }), [open])
    await one.rows.end({ id, outcome: 'done', endedAt: 8, subject: null, details: null })
    await two.rows.end({ id, outcome: 'invalid_input', endedAt: 9, subject: 'another', details: { forged: true } })
    assert.deepEqual(
      await two.rows.list({ limit: 9 }),
      [{ ...open, outcome: 'done', endedAt: 8 }],
      'the first end stays',
    )
    const made = await two.rows.add(line(6, { actor: PERSON, act: 'api_key.create', subject: null, details: {} }), 0)
    assert.ok(made > id)
    await two.rows.end({ id: made, outcome: 'done', endedAt: 9, subject: 'key_2', details: { name: 'x' } })
    assert.deepEqual((await one.rows.list({ limit: 1 }))[0], {
      id: made,
      at: 6,
      actor: PERSON,
      act: 'api_key.create',
      subject: 'key_2',
      details: { name: 'x' },
      outcome: 'done',
      endedAt: 9,
    })
    for (const { close } of [one, two]) await close()
    await backend.end()
  })

  test(`${name}: lines are found by subject and actor, newest first, page by page`, async () => {
    const backend = await make()
    const { rows, close } = await backend.open()
    const ids: number[] = []
    for (const [at, actor, subject] of [
      [1, KEY, 'a'],
      [2, PERSON, 'a'],
      [3, KEY, 'b'],
      [4, KEY, 'a'],
    ] as const)
      ids.push(await rows.add(line(at, { actor, subject }), 0))
    const at = async (query: Parameters<AuditRows['list']>[0]) => (await rows.list(query)).map((each) => each.at)
    assert.deepEqual(await at({ limit: 9 }), [4, 3, 2, 1])
    assert.deepEqual(await at({ limit: 9, subject: 'a' }), [4, 2, 1])
    assert.deepEqual(await at({ limit: 9, actor: 'key_1' }), [4, 3, 1])
    assert.deepEqual(await at({ limit: 9, actor: 'command', subject: 'a' }), [2])
    assert.deepEqual(await at({ limit: 2 }), [4, 3])
    assert.deepEqual(await at({ limit: 2, before: ids[2] }), [2, 1])
    assert.deepEqual(await at({ limit: 9, after: ids[1], before: ids[3] }), [3])
    await close()
    await backend.end()
  })

  test(`${name}: what is over is forgotten, ten lines with each that is written`, async () => {
    const backend = await make()
    const { rows, close } = await backend.open()
    for (let at = 1; at <= 25; at += 1) await rows.add(line(at), 0)
    await rows.add(line(100), 21)
    assert.equal((await rows.list({ limit: 99 })).length, 16)
    for (const at of [101, 102]) await rows.add(line(at), 21)
    assert.deepEqual(
      (await rows.list({ limit: 99 })).map((each) => each.at),
      [102, 101, 100, 25, 24, 23, 22, 21],
    )
    await close()
    await backend.end()
  })
}
