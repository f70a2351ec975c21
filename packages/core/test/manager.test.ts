import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createManager,
  ms,
  NUMBERS,
  startScheduler,
  TokenError,
  variantOf,
  type AttemptId,
  type OwnerId,
  type TokenOptions,
  type VariantKey,
} from '@tokenkeep/core'
import { S, MIN, START, type Process, createWorld, type World, withX, type Fate, follow } from './manager-world.ts'

// ---- sharing -------------------------------------------------------------------------------------------------------

test('a thousand simultaneous requests on an expired token are one presentation and one token', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  const fates = Array.from({ length: 1_000 }, () => follow(manager.token('x')))
  await world.pass(100)
  assert.deepEqual(new Set(fates.map(({ token }) => token)), new Set(['at-1']))
  assert.equal(world.presented.length, 1)
})

test('requests of one turn are one where they ask for the same, and never where they do not', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  const asked: readonly TokenOptions[] = [{}, { scope: 'undefined' }, { scope: '' }, { minTtlMs: 1 }, { waitMs: 5 * S }]
  const twice = [...asked, ...asked].map((options) => manager.token('x', options))
  const odd = [manager.token('x\n'), manager.token('x\n\nundefined'), manager.token('y')]
  const settled = Promise.allSettled([...twice, ...odd])
  await world.pass(3 * S)
  const ends = (await settled).map((end) =>
    end.status === 'fulfilled' ? end.value.scope : end.reason instanceof TokenError ? end.reason.code : 'other',
  )
  const once = ['a b', 'undefined', 'invalid_input', 'a b', 'a b']
  assert.deepEqual(ends, [...once, ...once, 'invalid_input', 'invalid_input', 'unknown_connection'])
})

test('an id that looks like the key of a remembered narrower token is not an id', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  void manager.token('x', { scope: 'a' })
  await world.pass(3 * S)
  const { key } = variantOf('a\n\n' as VariantKey)
  const fates = [`\nx\n${key}`, `x\n${key}`].map((id) => follow(manager.token(id)))
  await world.pass(0)
  assert.deepEqual(
    fates.map(({ code }) => code),
    ['invalid_input', 'invalid_input'],
  )
})

test('without room for the answer nothing is presented, the store is blamed and not the provider, and it is told once', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('room')
  const told = (): number => world.events.filter(({ type }) => type === 'store_unavailable').length
  for (let time = 0; time < 2; time += 1) {
    const fate = follow(manager.token('x'))
    await world.pass(S)
    assert.deepEqual([fate.code, told(), world.presented.length], ['store_unavailable', 1, 0])
  }
  world.fails.delete('room')
  const fate = follow(manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.token, told()], ['at-1', 1])
})

test('who asks after a 401 was reported gets no answer from before it', async () => {
  const world = createWorld()
  const process = await withX(world, 40 * S)
  const early = process.manager.token('x', { minTtlMs: 1 })
  const { accessToken } = await early
  await process.custody.rejected('x', accessToken)
  const late = follow(process.manager.token('x', { minTtlMs: 1 }))
  await world.pass(S)
  assert.notEqual(late.token, accessToken)
  assert.equal(world.presented.length, 1)
})

test('different variants come one after another, and nobody receives the token of another one', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  const asked = [undefined, 'a', 'b'].flatMap((scope) => Array.from({ length: 20 }, () => scope))
  const requests = asked.map((scope) => manager.token('x', scope === undefined ? {} : { scope }))
  await world.pass(3 * S)
  const got = (await Promise.all(requests)).map(({ accessToken, scope }) => `${scope}: ${accessToken}`)
  assert.equal(new Set(got).size, 3)
  got.forEach((each, index) => assert.ok(each.startsWith(`${asked[index] ?? 'a b'}: `)))
  assert.deepEqual(
    world.presented.map(({ open }) => open),
    [1, 1, 1],
  )
  assert.equal(world.server.dead, false)
})

test("a caller's limit ends its waiting, not the refresh", async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ afterMs: 3 * S })
  const impatient = follow(manager.token('x', { waitMs: 100 }))
  await world.pass(200)
  assert.equal(impatient.code, 'unavailable')
  await world.pass(3 * S)
  const next = follow(manager.token('x'))
  await world.pass(0)
  assert.deepEqual([next.token, world.presented.length], ['at-1', 1])
})

// ---- a living token ------------------------------------------------------------------------------------------------

/** A token with 15 of its 40 seconds left, and a caller who wants 18: a refresh is due, and the old one still lives. */
async function wantMore(before: (world: World, process: Process) => Promise<void> | void): Promise<[World, Fate]> {
  const world = createWorld()
  const process = await withX(world, 40 * S)
  await world.pass(25 * S)
  await before(world, process)
  return [world, follow(process.manager.token('x', { minTtlMs: 18 * S }))]
}

test('a living token is handed out while its refresh is slow: after half of what is left of it', async () => {
  const [world, fate] = await wantMore(({ scripts }) => void scripts.push({ afterMs: 14 * S }))
  await world.pass(7 * S)
  assert.deepEqual(fate, {})
  await world.pass(S)
  assert.equal(fate.token, 'at-0')
  await world.pass(10 * S)
  assert.equal(world.row().generation, 2)
})

for (const answer of [
  { status: 503, body: {} },
  { status: 400, body: { error: 'invalid_grant' } },
  { status: 401, body: { error: 'invalid_client' } },
  { status: 429, body: {}, retryAfter: '60' },
]) {
  test(`a living token is handed out when its refresh fails with ${answer.status}`, async () => {
    const [world, fate] = await wantMore(({ scripts }) => void scripts.push({ answer }))
    await world.pass(S)
    assert.deepEqual([fate.token, world.presented.length], ['at-0', 1])
  })
}

test('a living token is handed out while no sealing key can be had, and nothing is sent', async () => {
  const [world, fate] = await wantMore(({ fails }) => void fails.add('sealer'))
  await world.pass(S)
  assert.deepEqual([fate.token, fate.code, world.presented.length], ['at-0', undefined, 0])
})

test('a living token is handed out when the store has just gone away, however long ago it was read', async () => {
  const world = createWorld()
  const { manager } = await withX(world, 60 * MIN)
  follow(manager.token('x'))
  await world.pass(55 * MIN)
  world.fails.add('read')
  const fate = follow(manager.token('x'))
  await world.pass(0)
  assert.deepEqual([fate.token, fate.code], ['at-0', undefined])
})

test('a living token is handed out when the store goes away while another process refreshes', async () => {
  const [world, fate] = await wantMore(async (of) => {
    await acquireBy(of, of.start('B'))
    of.fails.add('changes')
  })
  await world.pass(8 * S)
  assert.deepEqual([fate.token, fate.code], ['at-0', undefined])
})

// ---- what the server says ------------------------------------------------------------------------------------------

test('a 503 three times on an expired token is waited for, and the caller succeeds', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push(...[1, 2, 3].map(() => ({ answer: { status: 503, body: {} } })))
  const fate = follow(manager.token('x'))
  await world.pass(20 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 4])
})

test('Retry-After is obeyed, and one beyond the limit of a caller is answered at once', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 429, body: {}, retryAfter: '60' } })
  const fate = follow(manager.token('x'))
  await world.pass(100)
  assert.equal(fate.code, 'unavailable')
  assert.ok(fate.error instanceof TokenError && Math.abs((fate.error.retryAt ?? 0) - START - MIN) < S)
  const patient = follow(manager.token('x', { waitMs: 2 * MIN }))
  await world.pass(MIN - S)
  assert.equal(world.presented.length, 1)
  await world.pass(2 * S)
  assert.equal(patient.token, 'at-1')
})

test('a refusal is confirmed 15 s and 60 s after it, and only the third one is believed', async () => {
  const world = createWorld()
  const { manager, ports, custody } = await withX(world)
  const scheduler = startScheduler(ports, manager, custody.finishDeletion)
  world.scripts.push(...[1, 2, 3].map(() => ({ answer: { status: 400, body: { error: 'invalid_grant' } } })))
  const fate = follow(manager.token('x', { waitMs: 5 * S }))
  await world.pass(100)
  assert.equal(fate.code, 'suspect')
  await world.pass(2 * MIN)
  const [first = 0, second = 0, third = 0] = world.presented.map(({ at }) => at)
  assert.ok(second - first >= 15 * S && second - first < 17 * S && third - first >= 60 * S && third - first < 62 * S)
  const last = follow(manager.token('x'))
  await world.pass(0)
  assert.ok(last.error instanceof TokenError)
  assert.deepEqual([last.error.code, last.error.reason, world.presented.length], ['needs_user', 'revoked', 3])
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

test('a spurious refusal costs a caller 15 s and nobody a sign-in', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 400, body: { error: 'invalid_grant' } } })
  const fate = follow(manager.token('x'))
  await world.pass(16 * S)
  assert.equal(fate.token, 'at-1')
})

test('an answer lost after the rotation is recovered inside the grace window', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 10, winner: 'any' } })
  world.server.graceMs = 10 * S
  const { manager } = await withX(world)
  world.scripts.push({ reset: 'after' })
  const fate = follow(manager.token('x'))
  await world.pass(7_500)
  assert.deepEqual([fate.token, world.presented.map(({ refreshToken }) => refreshToken)], ['at-2', ['rt-0', 'rt-0']])
  assert.equal(world.server.dead, false)
})

test('a wrong client is the fault of the operator, and the error names what to mend', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 401, body: { error: 'invalid_client' } } })
  const fate = follow(manager.token('x', { waitMs: 5 * S }))
  await world.pass(S)
  assert.ok(fate.error instanceof TokenError)
  assert.deepEqual([fate.error.code, fate.error.blocked], ['blocked', 'client'])
})

test('a provider that sends no access tokens is not stormed', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push(...Array.from({ length: 300 }, () => ({ with: { access_token: undefined } })))
  follow(manager.token('x'))
  await world.pass(20 * S)
  assert.ok(world.presented.length <= 21, `${world.presented.length} presentations in 20 s`)
})

test('an API that refuses a token and the one that replaced it forces no further refresh for 5 minutes', async () => {
  const world = createWorld()
  const { manager, custody } = await withX(world, 3_600 * S)
  const refuse = async (token: string): Promise<number> => {
    await custody.rejected('x', token)
    follow(manager.token('x'))
    await world.pass(20 * S)
    return world.presented.length
  }
  assert.equal(await refuse('at-0'), 1)
  assert.equal(await refuse('at-1'), 1)
  await world.pass(5 * MIN)
  assert.equal(await refuse('at-1'), 2)
})

// ---- the store, the slots, the lease -------------------------------------------------------------------------------

test('an answer that the store does not take is handed out from its slot, and committed when it does', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('commit')
  const fate = follow(manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.token, world.slots.size, world.row().state.status], ['at-1', 1, 'presenting'])
  world.fails.delete('commit')
  await world.pass(30 * S)
  assert.deepEqual([world.slots.size, world.row().state.status, world.row().generation], [0, 'ready', 2])
  assert.equal(world.presented.length, 1)
})

test('an answer that is durable nowhere is handed out to nobody until it is', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('commit').add('keep')
  const fate = follow(manager.token('x'))
  await world.pass(3 * S)
  assert.equal(fate.token, undefined)
  world.fails.delete('commit')
  await world.pass(10 * S)
  assert.deepEqual([fate.token, world.row().generation], ['at-1', 2])
})

test('a refusal that the store does not take at first is committed a moment later, not taken for a doubt', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 400, body: { error: 'invalid_grant' } } })
  world.fails.add('commit')
  follow(manager.token('x'))
  await world.pass(300)
  assert.equal(world.row().state.status, 'presenting')
  world.fails.delete('commit')
  await world.pass(S)
  assert.equal(world.row().state.status, 'suspect')
})

test('what was not sent, and could not be written down while the store was away, is said when it is back: nobody waits for patience', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const { manager } = await withX(world)
  world.connectIn(16 * S)
  world.fails.add('renew').add('commit')
  follow(manager.token('x'))
  await world.pass(22 * S)
  assert.deepEqual([world.row().state.status, world.presented.length], ['presenting', 0])
  world.fails.delete('renew')
  world.fails.delete('commit')
  world.connectIn(0)
  await world.pass(2 * S)
  assert.equal(world.row().state.status, 'ready')
  const fate = follow(manager.token('x'))
  await world.pass(2 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
})

test('an intent that the store never took is not made later, to be taken back: nothing is written for it', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const { manager } = await withX(world)
  world.fails.add('acquire')
  follow(manager.token('x', { waitMs: 10 }))
  await world.pass(5)
  const { fence, revision } = world.row()
  world.fails.delete('acquire')
  await world.pass(40 * S)
  assert.deepEqual([world.row().fence, world.row().revision, world.row().state.status], [fence, revision, 'ready'])
})

test('an intent whose acknowledgement was lost is taken back when the store is back: nobody waits for patience', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const { ports, owner } = await withX(world)
  let away = true
  const store: typeof ports.store = {
    ...ports.store,
    async acquire(...args) {
      const acquired = await ports.store.acquire(...args)
      if (away) throw new TokenError('store_unavailable', 'the reply was lost')
      return acquired
    },
  }
  const manager = createManager({ ...ports, store }, { owner, numbers: NUMBERS, cacheBytes: 1_000 })
  follow(manager.token('x', { waitMs: S }))
  await world.pass(5 * S)
  assert.equal(world.row().state.status, 'presenting')
  away = false
  await world.pass(2 * S)
  assert.deepEqual([world.row().state.status, world.row().refreshToken?.presentations], ['ready', 0])
  const fate = follow(manager.token('x'))
  await world.pass(2 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
})

test('a slot that could not be written is tried again: an answer is handed out while the store is still away', async () => {
  const world = createWorld({ reuse: { kind: 'strict' } })
  const { manager } = await withX(world)
  world.fails.add('commit').add('keep')
  const fate = follow(manager.token('x'))
  await world.pass(S)
  assert.deepEqual([fate.token, world.slots.size, world.presented.length], [undefined, 0, 1])
  world.fails.delete('keep')
  await world.pass(3 * S)
  assert.deepEqual([fate.token, world.slots.size, world.row().state.status], ['at-1', 1, 'presenting'])
  world.fails.delete('commit')
  await world.pass(3 * S)
  assert.deepEqual([world.slots.size, world.row().state.status, world.presented.length], [0, 'ready', 1])
})

test('an answer that the store does not take is handed out to everybody here who waits for it, also who came while it was on its way', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.scripts.push({ afterMs: 5 * S })
  world.fails.add('commit')
  const first = follow(a.manager.token('x'))
  await world.pass(S)
  const second = follow(a.manager.token('x'))
  await world.pass(S)
  const other = follow(a.manager.token('x', { scope: 'a' }))
  await world.pass(4 * S)
  assert.deepEqual([first.token, second.token, other.token], ['at-1', 'at-1', undefined])
  assert.equal(world.presented.length, 1)
  world.fails.delete('commit')
  await world.pass(10 * S)
  assert.deepEqual(
    [other.token, world.presented.length],
    ['at-2', 2],
    'who asked for another scope waits for the store',
  )
})

test('slots of a dead owner are replayed before anybody doubts its attempt', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.fails.add('commit')
  follow(a.manager.token('x'))
  await world.pass(3 * S)
  world.dead.add(a.owner)
  world.fails.delete('commit')
  const fate = follow(world.start('B').manager.token('x'))
  await world.pass(50)
  assert.deepEqual([fate.token, world.presented.length, world.slots.size], ['at-1', 1, 0])
  assert.deepEqual(
    world.events.filter(({ type }) => type === 'in_doubt' || type === 'replayed').map(({ type }) => type),
    ['replayed'],
  )
})

test('slots of a dead owner that cannot be read are told once, and its attempt waits until they can', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.fails.add('commit')
  follow(a.manager.token('x'))
  await world.pass(3 * S)
  world.kill(a)
  world.fails.delete('commit')
  const { ports, owner } = world.start('B')
  let readable = false
  const spill: typeof ports.spill = {
    ...ports.spill,
    async *pending(proof) {
      if (!readable) throw new TokenError('folder_unusable', 'permission denied')
      yield* ports.spill.pending(proof)
    },
  }
  const manager = createManager({ ...ports, spill }, { owner, numbers: NUMBERS, cacheBytes: 1_000 })
  for (let time = 0; time < 3; time += 1) {
    follow(manager.token('x', { waitMs: S }))
    await world.pass(2 * S)
  }
  const told = world.events.filter(({ type }) => type === 'slots_unreadable')
  assert.deepEqual(
    told.map((event) => 'owner' in event && event.owner),
    [a.owner],
  )
  assert.deepEqual([world.row().state.status, world.presented.length], ['presenting', 1])
  readable = true
  const fate = follow(manager.token('x'))
  await world.pass(2 * S)
  assert.deepEqual([fate.token, world.presented.length, world.slots.size], ['at-1', 1, 0])
})

test('an answer in the slot of a dead owner whose connection was deleted meanwhile is revoked, and forgotten', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.fails.add('commit')
  follow(a.manager.token('x'))
  await world.pass(3 * S)
  assert.equal(world.slots.size, 1)
  world.freeze(a)
  world.fails.delete('commit')
  const b = world.start('B')
  const deleted = b.custody.delete('x')
  // As long as anybody waits for an attempt: its lease and patience.
  await world.pass(3 * MIN)
  await deleted
  assert.deepEqual([world.row().state.status, world.revoked], ['erased', ['rt-0']])
  world.kill(a)
  await world.start('C').manager.watches.buryTheDead()
  await world.pass(1)
  assert.deepEqual([world.slots.size, world.revoked], [0, ['rt-0', 'rt-1']])
})

test('a dead process is noticed within a second or so, also where nobody asks for what it was refreshing', async () => {
  const world = createWorld({ reuse: { kind: 'grace', seconds: 10, winner: 'any' } })
  world.server.graceMs = 10 * S
  const a = await withX(world)
  const { ports, manager, custody } = world.start('B')
  const scheduler = startScheduler(ports, manager, custody.finishDeletion)
  world.scripts.push({ afterMs: 3 * S })
  follow(a.manager.token('x'))
  await world.pass(500)
  world.kill(a)
  await world.pass(1_100)
  assert.deepEqual(
    world.events.flatMap((event) => (event.type === 'in_doubt' ? [event.because] : [])),
    ['owner_dead'],
  )
  await world.pass(6 * S)
  assert.deepEqual([world.row().state.status, world.server.dead], ['ready', false])
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

test('of many others only some are probed at a time, and nobody is left out for ever', async () => {
  const world = createWorld()
  const { ports } = await withX(world)
  const judged = new Set<string>()
  let draws = 0
  const random: typeof ports.random = { ...ports.random, fraction: () => ((draws += 1) % 10) / 10 }
  const others = Array.from({ length: 30 }, (_, n) => `other-${n}` as OwnerId)
  const liveness: typeof ports.liveness = {
    others: async () => others,
    judge: async (of) => {
      judged.add(of)
      return 'alive'
    },
  }
  const { watches } = createManager(
    { ...ports, liveness, random },
    { owner: 'me' as OwnerId, numbers: NUMBERS, cacheBytes: 1_000 },
  )
  await watches.buryTheDead(8)
  assert.equal(judged.size, 8)
  for (let round = 0; round < 10; round += 1) await watches.buryTheDead(8)
  assert.equal(judged.size, 30)
})

test('a lease that was lost meanwhile costs the answer nothing: it is committed by its ancestry', async () => {
  const world = createWorld()
  const a = await withX(world)
  world.fails.add('renew')
  world.scripts.push({ afterMs: 45 * S })
  const first = follow(a.manager.token('x', { waitMs: 100 * S }))
  await world.pass(20)
  const other = follow(world.start('B').manager.token('x', { waitMs: 100 * S }))
  await world.pass(31 * S)
  assert.equal(world.row().state.status, 'in_doubt')
  await world.pass(15 * S)
  assert.deepEqual([first.token, other.token, world.presented.length], ['at-1', 'at-1', 1])
  assert.deepEqual([world.row().state.status, world.row().generation], ['ready', 2])
})

test('past the send limit nothing is sent, unless the lease can be renewed', async () => {
  for (const renewable of [true, false]) {
    const world = createWorld()
    const { manager } = await withX(world)
    if (!renewable) world.fails.add('renew')
    world.connectIn(16 * S)
    follow(manager.token('x'))
    await world.pass(16 * S + 20)
    assert.equal(world.presented.length, renewable ? 1 : 0)
    assert.equal(world.row().refreshToken?.presentations, 0)
  }
})

test('what was sent after a renewal is listened to as long as what was sent at once', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.connectIn(16 * S)
  world.scripts.push({ afterMs: 80 * S })
  const fate = follow(manager.token('x', { waitMs: 2 * MIN }))
  await world.pass(97 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
})

async function acquireBy(world: World, process: Process): Promise<void> {
  const { store, cipher, spill } = process.ports
  const view = await store.read('x' as Parameters<typeof store.read>[0])
  const room = await spill.reserve(await cipher.sealer())
  assert.ok(!('kind' in view) && !('kind' in room))
  const acquired = await store.acquire(view.at, 'fresh', `raw-${world.at()}` as AttemptId, room, null)
  assert.equal(acquired.kind, 'acquired')
}

test('a silent owner is watched for one whole lease, and waited for with patience, before anybody presents', async () => {
  const world = createWorld()
  const b = await withX(world, -1, 'B')
  await acquireBy(world, world.start('A'))
  await world.pass(20 * S)
  const fate = follow(b.manager.token('x', { waitMs: 3 * MIN }))
  // Over by the store's clock at 30 s, but B has seen it for 10 s only.
  await world.pass(29_900)
  assert.equal(world.row().state.status, 'presenting')
  await world.pass(400)
  assert.equal(world.row().state.status, 'in_doubt')
  await world.pass(90 * S - world.at() - 1)
  assert.equal(world.presented.length, 0)
  await world.pass(2 * S)
  assert.deepEqual([fate.token, world.presented.length], ['at-1', 1])
})

test('what nobody asks for is not kept fresh for ever', async () => {
  const world = createWorld()
  const { manager, ports, custody } = await withX(world)
  world.scripts.push(...Array.from({ length: 500 }, () => ({ with: { expires_in: 60 } })))
  const scheduler = startScheduler(ports, manager, custody.finishDeletion)
  follow(manager.token('x'))
  await world.pass(5 * MIN)
  assert.ok(world.presented.length > 3)
  await world.pass(10 * MIN)
  const before = world.presented.length
  await world.pass(20 * MIN)
  assert.equal(world.presented.length, before)
  const stopped = scheduler.stop()
  await world.pass(S)
  await stopped
})

// ---- closing -------------------------------------------------------------------------------------------------------

test('closing waits for the refresh on its way and begins no other', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ afterMs: 3 * S })
  const fate = follow(manager.token('x'))
  await world.pass(100)
  let closed = false
  void manager.close(ms(12 * S)).then(() => (closed = true))
  await world.pass(2 * S)
  assert.equal(closed, false)
  await world.pass(S)
  assert.deepEqual([closed, fate.token, world.row().generation], [true, 'at-1', 2])
  const late = follow(manager.token('x'))
  await world.pass(0)
  assert.equal(late.code, 'closed')
})

test('once it stops refreshing, what lives is handed out, a refresh on its way is shared, and nothing else is presented', async () => {
  const world = createWorld()
  const { manager } = await withX(world, 40 * S)
  await world.pass(25 * S)
  manager.stopRefreshing()
  // Within the window of a refresh ahead, and with more asked for than is left.
  const living = [follow(manager.token('x')), follow(manager.token('x', { minTtlMs: 18 * S }))]
  await world.pass(0)
  assert.deepEqual([living.map(({ token }) => token !== undefined), world.presented.length], [[true, true], 0])
  await world.pass(20 * S)
  const late = follow(manager.token('x'))
  await world.pass(0)
  assert.deepEqual([late.code, world.presented.length], ['closed', 0])
})

test('who waits for a refresh when it stops refreshing gets its token, and so does who comes before it ends', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ afterMs: 3 * S })
  const first = follow(manager.token('x'))
  await world.pass(S)
  manager.stopRefreshing()
  const second = follow(manager.token('x'))
  await world.pass(5 * S)
  assert.deepEqual([first.token, second.token, world.presented.length], ['at-1', 'at-1', 1])
})

test('a caller that still waits when it is closed presents nothing any more', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.scripts.push({ answer: { status: 429, body: {}, retryAfter: '2' } })
  const fate = follow(manager.token('x'))
  await world.pass(500)
  void manager.close(ms(12 * S))
  await world.pass(30 * S)
  assert.deepEqual([world.presented.length, fate.code], [1, 'closed'])
})

test('a caller that watches another process when it is closed does not spin', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  await acquireBy(world, world.start('B'))
  const fate = follow(manager.token('x'))
  await world.pass(500)
  const before = world.reads()
  void manager.close(ms(12 * S))
  await world.pass(S)
  assert.ok(world.reads() - before < 10, `${world.reads() - before} reads`)
  assert.equal(fate.code, 'closed')
})

test('closing waits for an answer that is durable nowhere yet', async () => {
  const world = createWorld()
  const { manager } = await withX(world)
  world.fails.add('commit').add('keep')
  follow(manager.token('x'))
  await world.pass(S)
  let closed = false
  void manager.close(ms(12 * S)).then(() => (closed = true))
  await world.pass(2 * S)
  assert.equal(closed, false)
  world.fails.delete('commit')
  await world.pass(9 * S)
  assert.deepEqual([closed, world.row().generation], [true, 2])
})
