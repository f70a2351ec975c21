import assert from 'node:assert/strict'
import { test } from 'node:test'
import { begunAnew, goesOn, reasonToHold, type Incarnation, type Marker, type UnixMs } from '@tokenkeep/core'

const KEPT: Incarnation = { installation: 'i', place: 'here', epoch: 5, branch: 'b5', hold: null }
const around = (placeNow: string | null, ...markers: readonly Marker[]) => ({
  placeNow,
  markers,
  now: 1_000 as UnixMs,
  branch: 'next',
})
const marker = (epoch: number, branch: string | null, installation = 'i'): Marker => ({ installation, epoch, branch })

const CASES: readonly (readonly [string, ReturnType<typeof around>, string | null])[] = [
  ['its place, and no marker', around('here'), null],
  ['its place, and the marker of this epoch', around('here', marker(5, 'b5')), null],
  ['a marker that is behind: a crash came before it was written', around('here', marker(4, 'b4')), null],
  ['another place', around('there', marker(5, 'b5')), 'another_place'],
  ['a place that nobody can say', around(null, marker(5, 'b5')), null],
  ['a marker that is ahead', around('here', marker(6, 'b6')), 'older_epoch'],
  ['one of two markers is ahead', around('here', marker(5, 'b5'), marker(6, 'b6')), 'older_epoch'],
  ['the same epoch by another name', around('here', marker(5, 'other')), 'another_branch'],
  ['the marker of another installation', around('here', marker(9, 'b9', 'j')), null],
]

for (const [what, surroundings, expected] of CASES) {
  test(`${what}: ${expected ?? 'goes on'}`, () => {
    assert.equal(reasonToHold(KEPT, surroundings), expected)
    const after = goesOn(KEPT, surroundings)
    assert.deepEqual(
      after,
      expected === null
        ? { ...KEPT, epoch: 6, branch: 'next' }
        : { ...KEPT, hold: { since: 1_000, because: expected } },
    )
  })
}

test('a place that was not noted yet is noted, and one that nobody can say takes none away', () => {
  assert.equal(goesOn({ ...KEPT, place: null }, around('here')).place, 'here')
  assert.equal(goesOn(KEPT, around(null)).place, 'here')
})

test('a hold stays, whatever is looked at later: raising epochs would end it by itself', () => {
  const held = goesOn(KEPT, around('there'))
  assert.equal(goesOn(held, around('here')), held)
  assert.equal(goesOn(held, around('there', marker(9, 'b9'))), held)
})

test('a new incarnation is at its place, beyond every marker, and not on hold', () => {
  const held = goesOn(KEPT, around('there'))
  assert.deepEqual(begunAnew(held, around('there', marker(7, 'b7'), marker(3, 'b3'))), {
    installation: 'i',
    place: 'there',
    epoch: 8,
    branch: 'next',
    hold: null,
  })
})
