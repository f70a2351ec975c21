import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { UnixMs } from '@tokenkeep/core'
import { aboutWhenBooted, createBootClock, timeNamespaceShiftMs } from '../src/boot.ts'

test('the boot is the one that the kernel names, where it does', () => {
  const file = '/proc/sys/kernel/random/boot_id'
  const clock = createBootClock()
  assert.equal(clock.exact, existsSync(file))
  if (clock.exact) assert.equal(clock.boot, readFileSync(file, 'utf8').trim())
  assert.equal(clock.now().boot, clock.boot)
})

test('store time is one clock for every process of the host', () => {
  const script = `
    import { createBootClock } from ${JSON.stringify(new URL('../src/boot.ts', import.meta.url).href)}
    console.log(JSON.stringify(createBootClock().now()))`
  const clock = createBootClock()
  const before = clock.now()
  const flags = ['--conditions=tokenkeep-source', '--input-type=module', '--eval', script]
  const there = JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' })) as ReturnType<typeof clock.now>
  const after = clock.now()
  assert.equal(there.boot, before.boot)
  assert.ok(before.at < there.at && there.at < after.at)
})

test('without a boot id the boot is named by its minute, and a wobble of the clocks does not rename it', () => {
  const wall = 1_763_900_000_000
  const named = (wobbleMs: number): string => aboutWhenBooted((wall + wobbleMs) as UnixMs, 5000)
  assert.equal(named(0), named(1500))
  assert.equal(named(0), named(-1500))
  assert.equal(aboutWhenBooted((wall + 3_600_000) as UnixMs, 8600), named(0))
  assert.notEqual(aboutWhenBooted((wall + 120_000) as UnixMs, 5000), named(0))
})

test('the shift of a time namespace is read from what the kernel says', () => {
  assert.equal(timeNamespaceShiftMs('monotonic           0         0\nboottime            0         0\n'), 0)
  assert.equal(timeNamespaceShiftMs('monotonic      172800 500000000\nboottime            0         0\n'), 172_800_500)
  assert.equal(timeNamespaceShiftMs('monotonic        -100 250000000\nboottime            7         0\n'), -99_750)
  assert.equal(timeNamespaceShiftMs(''), 0)
})
