import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { ms, TokenError } from '@tokenkeep/core'
import { openWorld } from './world.ts'

const codeOf = (error: unknown): string => (error instanceof TokenError ? error.code : String(error))

test('an answer that comes after closing is still kept: its refresh token is the only living one', async () => {
  await using world = await openWorld({
    realm: { rotation: { kind: 'strict' } },
    provider: { reuse: { kind: 'strict' } },
    open: { numbers: { grantDeadlineMs: ms(300), commitDeadlineMs: ms(300) } },
  })
  const { accessToken } = await world.connect('dealer-42')
  await world.keep.rejected('dealer-42', accessToken)
  await world.server.control.addFault({ fault: { kind: 'delay', ms: 2_500 }, when: 'after', times: 1 })
  await assert.rejects(world.keep.token('dealer-42', { waitMs: 200 }), (error) => codeOf(error) === 'unavailable')
  await world.keep.close()

  const next = await world.reopen()
  const { accessToken: kept } = await next.token('dealer-42')
  assert.notEqual(kept, accessToken)
  const { status, generation } = await next.connections.get('dealer-42')
  assert.deepEqual([status, generation], ['ready', 2])
})

test('without work in the background it still hears what other processes write to what it remembers', async () => {
  await using world = await openWorld()
  const { accessToken } = await world.connect('dealer-42')
  const other = await world.reopen()
  assert.equal((await other.token('dealer-42')).accessToken, accessToken)
  await world.keep.connections.delete('dealer-42')
  let heard = ''
  for (let tries = 0; heard === '' && tries < 100; tries += 1) {
    await pause(100)
    heard = await other.token('dealer-42').then(() => '', codeOf)
  }
  assert.equal(heard, 'unknown_connection')
})

test('once it stops refreshing it still hears what other processes delete', async () => {
  await using world = await openWorld({ open: { background: true } })
  const { accessToken } = await world.connect('dealer-42')
  const other = await world.reopen()
  assert.equal((await other.token('dealer-42')).accessToken, accessToken)
  other.stopRefreshing()
  assert.equal((await other.token('dealer-42')).accessToken, accessToken)
  await world.keep.connections.delete('dealer-42')
  let heard = ''
  for (let tries = 0; heard === '' && tries < 100; tries += 1) {
    await pause(100)
    heard = await other.token('dealer-42').then(() => '', codeOf)
  }
  assert.equal(heard, 'unknown_connection')
})
