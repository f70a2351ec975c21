/** What every database does for what is counted by the minute. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Uid } from '@tokenkeep/core'
import { nothingTook } from '../../src/minute-counts.ts'
import { MINUTE_MS, type HandOutMinute, type MinuteRows, type RefreshMinute } from '../../src/minute-rows.ts'
import { createWorld, type Backend } from './store-world.ts'

export interface MinutesBackend extends Backend {
  /** The same database, opened once more, as another process would. */
  openMinutes(): Promise<{ readonly rows: MinuteRows; close(): Promise<void> }>
}

const FIRST = 1_800_000_000_000
const minute = (n: number): number => FIRST + n * MINUTE_MS
const handOut = (n: number, uid: string, count: number, more: Partial<HandOutMinute> = {}): HandOutMinute => ({
  minute: minute(n),
  caller: 'key_1',
  identity: '',
  uid,
  count,
  ...more,
})
const refresh = (n: number, more: Partial<RefreshMinute> = {}): RefreshMinute => ({
  minute: minute(n),
  provider: 'ext',
  outcome: 'granted',
  count: 2,
  took: [1, 0, 1, ...nothingTook().slice(3)],
  ...more,
})
const ALL = { from: 0, to: minute(10_000), uid: null, behind: null, most: 1000 }

export function minutesContract(name: string, make: () => Promise<MinutesBackend>): void {
  test(`${name}: what processes count in the same minute is added up, and nothing else is touched`, async () => {
    const backend = await make()
    const [one, two] = [await backend.openMinutes(), await backend.openMinutes()]
    const other = handOut(0, 'b', 1)
    await one.rows.addHandOuts([
      handOut(0, 'a', 3),
      other,
      handOut(1, 'a', 5),
      handOut(0, 'a', 7, { identity: 'idn_1' }),
    ])
    await Promise.all([
      one.rows.addHandOuts([handOut(0, 'a', 10)]),
      two.rows.addHandOuts([handOut(0, 'c', 1), handOut(0, 'a', 100)]),
      one.rows.addRefreshes([refresh(0)]),
      two.rows.addRefreshes([refresh(0), refresh(0, { outcome: 'in_doubt', count: 1, took: nothingTook() })]),
    ])
    const found = await two.rows.handOuts(ALL)
    assert.deepEqual(
      found.map((row) => [(row.minute - FIRST) / MINUTE_MS, row.identity, row.uid, row.count]),
      [
        [1, '', 'a', 5],
        [0, 'idn_1', 'a', 7],
        [0, '', 'c', 1],
        [0, '', 'b', 1],
        [0, '', 'a', 113],
      ],
      'newest first',
    )
    const refreshes = await one.rows.refreshes({ from: minute(0), to: minute(0), stepMs: MINUTE_MS, provider: null })
    assert.deepEqual(
      refreshes.toSorted((a, b) => b.count - a.count),
      [
        refresh(0, { count: 4, took: [2, 0, 2, ...nothingTook().slice(3)] }),
        refresh(0, { outcome: 'in_doubt', count: 1, took: nothingTook() }),
      ],
    )
    for (const { close } of [one, two]) await close()
    await backend.end()
  })

  test(`${name}: what is over is forgotten a few at a time, the oldest first`, async () => {
    const backend = await make()
    const { rows, close } = await backend.openMinutes()
    await rows.addHandOuts(Array.from({ length: 25 }, (_, n) => handOut(n, 'a', 1)))
    await rows.addRefreshes(Array.from({ length: 5 }, (_, n) => refresh(n)))
    assert.equal(await rows.forgetHandOuts(minute(20), 15), 15)
    assert.equal((await rows.handOuts(ALL)).at(-1)?.minute, minute(15))
    assert.equal(await rows.forgetHandOuts(minute(20), 15), 5)
    assert.equal(await rows.forgetHandOuts(minute(20), 15), 0, 'what is not over stays')
    assert.equal((await rows.handOuts(ALL)).length, 5)
    assert.equal(await rows.forgetRefreshes(minute(2), 15), 2)
    assert.equal((await rows.refreshes({ from: 0, to: minute(9), stepMs: MINUTE_MS, provider: null })).length, 3)
    await close()
    await backend.end()
  })

  test(`${name}: a page goes on where the one before ended, of all connections or of one`, async () => {
    const backend = await make()
    const { rows, close } = await backend.openMinutes()
    const uids = ['a', 'b', 'c']
    const callers = ['key_1', 'key_2', 'library']
    const all = [0, 1].flatMap((n) => uids.flatMap((uid) => callers.map((caller) => handOut(n, uid, 1, { caller }))))
    await rows.addHandOuts(all)
    for (const uid of [null, 'b']) {
      const whole = await rows.handOuts({ ...ALL, uid })
      assert.equal(whole.length, uid === null ? 18 : 6)
      const found: (typeof whole)[number][] = []
      for (let behind: (typeof whole)[number] | null = null; ;) {
        const page = await rows.handOuts({ ...ALL, uid, behind, most: 4 })
        found.push(...page)
        if (page.length < 4) break
        behind = page.at(-1) ?? null
      }
      assert.deepEqual(found, whole)
    }
    assert.deepEqual(
      (await rows.handOuts({ ...ALL, from: minute(1), to: minute(1), uid: 'a' })).map((row) => row.caller),
      ['library', 'key_2', 'key_1'],
    )
    await close()
    await backend.end()
  })

  test(`${name}: a hand-out says what its connection is called, also after its deletion, and its labels while it lives`, async () => {
    const backend = await make()
    const world = await createWorld(async () => backend)
    const { rows, close } = await backend.openMinutes()
    const kept = await world.connect('kept', { labels: { team: 'sales' } })
    const gone = await world.connect('gone', { client: 'grace', labels: { team: 'sales' } })
    const deletion = await world.one.store.beginDelete(gone.at)
    assert.ok(deletion.kind === 'deleting')
    await world.one.store.finishDelete(deletion, true)
    await rows.addHandOuts([kept.row.uid, gone.row.uid, '', 'nobody'].map((uid) => handOut(0, uid, 1)))
    const named = new Map((await rows.handOuts(ALL)).map((row) => [row.uid, [row.connection, row.labels]]))
    assert.deepEqual(named.get(kept.row.uid), ['kept', { team: 'sales' }])
    assert.deepEqual(named.get(gone.row.uid), ['gone', {}])
    assert.deepEqual(
      [named.get(''), named.get('nobody')],
      [
        [null, {}],
        [null, {}],
      ],
    )
    assert.deepEqual(
      [await rows.uidOf('kept'), await rows.uidOf('gone'), await rows.uidOf('none')],
      [kept.row.uid, gone.row.uid, null],
    )
    const again = await world.connect('gone', { client: 'grace', uid: 'another' as Uid })
    assert.equal(await rows.uidOf('gone'), again.row.uid, 'who has the id now')
    await close()
    await world.end()
  })

  test(`${name}: refreshes are added up over a step, of one provider where that is asked`, async () => {
    const backend = await make()
    const { rows, close } = await backend.openMinutes()
    const elsewhere = { provider: 'other-one', count: 1, took: [0, 1, ...nothingTook().slice(2)] }
    await rows.addRefreshes([refresh(0), refresh(4), refresh(5), refresh(5, elsewhere), refresh(10)])
    const stepMs = 5 * MINUTE_MS
    // The first is a multiple of the step, as all that is asked for.
    assert.equal(FIRST % stepMs, 0)
    const asked = { from: minute(0), to: minute(9), stepMs, provider: null }
    const sorted = (list: readonly RefreshMinute[]) =>
      list.toSorted((a, b) => a.minute - b.minute || a.provider.localeCompare(b.provider))
    assert.deepEqual(sorted(await rows.refreshes(asked)), [
      refresh(0, { count: 4, took: [2, 0, 2, ...nothingTook().slice(3)] }),
      refresh(5),
      refresh(5, elsewhere),
    ])
    assert.deepEqual(await rows.refreshes({ ...asked, provider: 'other-one' }), [refresh(5, elsewhere)])
    await close()
    await backend.end()
  })
}
