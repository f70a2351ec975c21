/** A part of what `npm run explore` plays: the same every time, and small enough for each run of the tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exploreInThread } from '../exhaustive/explore-thread.ts'
import { FIELDS, type Field } from '../exhaustive/fields.ts'

function fieldOf(name: string): Field {
  const field = FIELDS.find((each) => each.name === name)
  assert.ok(field !== undefined, `no field is called ${name}`)
  return field
}

test('in every interleaving of two callers at a strict provider each refresh token is presented once, and nothing is lost', async () => {
  const explored = await exploreInThread({
    ...fieldOf('strict/callers/2-hosts'),
    bounds: { faultsMost: 0, preemptionsMost: null },
  })
  assert.deepEqual({ broken: explored.broken, losses: [...explored.losses] }, { broken: [], losses: [] })
  assert.ok(explored.states > 20, `${explored.states} states are no interleavings`)
})

test('where two callers are never interrupted, a crash, a freeze or a loss at every place breaks nothing', async () => {
  const explored = await exploreInThread({
    ...fieldOf('grace-same/callers/2-hosts'),
    bounds: { faultsMost: 1, preemptionsMost: 0 },
  })
  assert.deepEqual({ broken: explored.broken, losses: [...explored.losses] }, { broken: [], losses: [] })
  assert.ok(explored.ended > 100, `${explored.ended} stories are too few`)
})

test('a server that is stricter than it is said to be is found out', async () => {
  const field = fieldOf('grace-same/callers/2-hosts')
  const explored = await exploreInThread({ ...field, setting: { ...field.setting, behaviour: { kind: 'strict' } } })
  assert.ok(explored.broken.length > 0)
})
