import assert from 'node:assert/strict'
import { test } from 'node:test'
import { State } from '../src/state.ts'

const INSERT = 'INSERT INTO tally (name, count) VALUES (?, ?)'
const count = (state: State) => Number(state.row('SELECT count(*) AS n FROM tally')?.['n'])

test('what belongs together is committed at the end of the work, all of it', async () => {
  const state = new State(null)
  await state.together(async () => {
    state.write(INSERT, 'a', 1)
    await Promise.resolve()
    assert.equal(count(state), 0)
    state.write(INSERT, 'b', 1)
  })
  assert.equal(count(state), 2)
})

test('when one write fails, none of its unit is kept', async () => {
  const state = new State(null)
  const work = state.together(async () => {
    state.write(INSERT, 'a', 1)
    state.write(INSERT, 'a', 2)
  })
  await assert.rejects(work, /UNIQUE/)
  assert.equal(count(state), 0)
  state.write(INSERT, 'c', 1)
  assert.equal(count(state), 1)
})

test('work that fails, or gives up, leaves nothing behind', async () => {
  const state = new State(null)
  const failing = state.together(async () => {
    state.write(INSERT, 'a', 1)
    throw new Error('engine trouble')
  })
  await assert.rejects(failing, /engine trouble/)
  await state.together(async (unit) => {
    state.write(INSERT, 'b', 1)
    unit.discard()
  })
  assert.equal(count(state), 0)
})

test('units that run side by side do not mix', async () => {
  const state = new State(null)
  const { promise: release, resolve } = Promise.withResolvers<void>()
  const slow = state.together(async (unit) => {
    state.write(INSERT, 'slow', 1)
    await release
    unit.discard()
  })
  await state.together(async () => state.write(INSERT, 'quick', 1))
  resolve()
  await slow
  assert.equal(count(state), 1)
})
