import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Kept, OwnerId, ProofOfDeath, Spill, Spilled } from '@tokenkeep/core'
import { createLiveness } from '../src/liveness.ts'
import { decodeSlot, encodeSlot, SLOT_BYTES, SLOT_HEADER_BYTES } from '../src/slot.ts'
import { createSpill, type OwnSpill } from '../src/spill-slots.ts'
import { answer, roomIn, sealerFor } from './spill-answers.ts'

const newOwner = (): OwnerId => randomUUID() as OwnerId
const fileOf = (folder: string, owner: OwnerId): string => join(folder, 'spill', `${owner}.slots`)

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-spill-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** An owner with a spill of a few slots, which ends with the test. */
async function ownerIn(t: TestContext, folder: string, slots = 4) {
  const owner = newOwner()
  const liveness = await createLiveness({ folder, owner })
  const spill: OwnSpill = createSpill({ folder, owner, slots })
  t.after(async () => {
    await spill.close()
    liveness.close()
  })
  return { owner, liveness, spill, file: fileOf(folder, owner), sealer: await sealerFor() }
}

async function all(entries: AsyncIterable<Spilled>): Promise<Spilled[]> {
  const found: Spilled[] = []
  for await (const entry of entries) found.push(entry)
  return found
}

/** What whoever proves the death of this owner finds, without ending it: the file is read as it lies on disk. */
const onDisk = (spill: Spill, owner: OwnerId): Promise<Spilled[]> => all(spill.pending({ owner } as ProofOfDeath))

const plain = (kept: Kept): Kept => ({ ...kept })

test('the file of slots is made by the first reservation, whole, for its owner alone', async (t) => {
  const folder = await folderFor(t)
  const { spill, file, sealer } = await ownerIn(t, folder, 64)
  assert.equal(existsSync(join(folder, 'spill')), false)
  const room = await roomIn(spill, sealer)
  const made = await stat(file)
  assert.equal(made.size, 64 * 96 * 1024)
  assert.ok(made.blocks * 512 >= made.size, 'its space is taken already')
  assert.equal(made.mode & 0o777, 0o600)
  assert.equal(room.sealer, sealer)
})

test('a kept answer is on disk as it was, and shows no token', async (t) => {
  const { spill, owner, file, sealer } = await ownerIn(t, await folderFor(t))
  const answers = [
    answer(sealer),
    answer(sealer, { refreshToken: null, scope: null, variant: 'read write\n\n' }),
    answer(sealer, { accessToken: null, scope: 'ünïcode "quoted" \\' }),
  ]
  for (const kept of answers) {
    const spilled = await spill.keep(await roomIn(spill, sealer), kept)
    assert.deepEqual(plain(spilled), kept)
  }
  const found = await onDisk(spill, owner)
  assert.deepEqual(found.map(plain), answers)
  const bytes = await readFile(file)
  for (const token of ['rt-canary', 'at-canary']) assert.equal(bytes.includes(token), false)
})

test('clearing empties the slot, gives the room back, and may be repeated', async (t) => {
  const { spill, owner, file, sealer } = await ownerIn(t, await folderFor(t), 1)
  const room = await roomIn(spill, sealer)
  const entry = await spill.keep(room, answer(sealer))
  assert.deepEqual(await spill.reserve(sealer), { kind: 'no_room', because: 'slots_in_use' })
  room.release()
  assert.deepEqual(
    await spill.reserve(sealer),
    { kind: 'no_room', because: 'slots_in_use' },
    'an answer that is kept and not cleared may be the only copy',
  )
  await Promise.all([spill.clear(entry), spill.clear(entry)])
  assert.deepEqual(await onDisk(spill, owner), [])
  assert.ok((await readFile(file)).every((byte) => byte === 0))
  const again = await roomIn(spill, sealer)
  const tenant = await spill.keep(again, answer(sealer, { attempt: 'tenant' }))
  await spill.clear(entry)
  room.release()
  assert.equal((await onDisk(spill, owner))[0]?.attempt, 'tenant')
  assert.deepEqual(
    await spill.reserve(sealer),
    { kind: 'no_room', because: 'slots_in_use' },
    'the room has a new tenant',
  )
  await spill.clear(tenant)
  await roomIn(spill, sealer)
})

test('a room given back unused is free again, once', async (t) => {
  const { spill, sealer } = await ownerIn(t, await folderFor(t), 2)
  const [a, b] = [await roomIn(spill, sealer), await roomIn(spill, sealer)]
  assert.deepEqual(await spill.reserve(sealer), { kind: 'no_room', because: 'slots_in_use' })
  a.release()
  a.release()
  await roomIn(spill, sealer)
  assert.deepEqual(await spill.reserve(sealer), { kind: 'no_room', because: 'slots_in_use' })
  await assert.rejects(spill.keep(a, answer(sealer)), /given back/)
  b.release()
})

test('as many rooms as slots are reserved at the same time, and no two share one', async (t) => {
  const { spill, owner, sealer } = await ownerIn(t, await folderFor(t), 8)
  const rooms = await Promise.all(Array.from({ length: 10 }, () => spill.reserve(sealer)))
  const got = rooms.filter((room) => 'sealer' in room)
  assert.equal(got.length, 8)
  await Promise.all(got.map((room, n) => spill.keep(room, answer(sealer, { attempt: `a${n}` }))))
  assert.equal(new Set((await onDisk(spill, owner)).map(({ attempt }) => attempt)).size, 8)
})

test('keeping again in the same room replaces the answer, as after a write that failed', async (t) => {
  const { spill, owner, file, sealer } = await ownerIn(t, await folderFor(t), 1)
  const room = await roomIn(spill, sealer)
  await spill.keep(room, answer(sealer, { attempt: 'first', refreshToken: 'x'.repeat(5000) }))
  const entry = await spill.keep(room, answer(sealer, { attempt: 'second' }))
  assert.deepEqual(
    (await onDisk(spill, owner)).map(({ attempt }) => attempt),
    ['second'],
  )
  await spill.clear(entry)
  assert.deepEqual(await onDisk(spill, owner), [])
  await roomIn(spill, sealer)
  await spill.close()
  assert.equal(existsSync(file), false, 'it was one answer, and it is cleared')
})

test('rooms and entries of another spill are refused', async (t) => {
  const folder = await folderFor(t)
  const [a, b] = [await ownerIn(t, folder), await ownerIn(t, folder)]
  const room = await roomIn(a.spill, a.sealer)
  await roomIn(b.spill, b.sealer)
  await assert.rejects(b.spill.keep(room, answer(b.sealer)), /reserved here/)
  const entry = await a.spill.keep(room, answer(a.sealer))
  await assert.rejects(b.spill.clear(entry), /this spill/)
  await assert.rejects(a.spill.clear({ ...entry }), /this spill/)
})

test('two owners in one folder do not see or touch the slots of each other', async (t) => {
  const folder = await folderFor(t)
  const [a, b] = [await ownerIn(t, folder), await ownerIn(t, folder)]
  const ours = await a.spill.keep(await roomIn(a.spill, a.sealer), answer(a.sealer, { attempt: 'a' }))
  await b.spill.keep(await roomIn(b.spill, b.sealer), answer(b.sealer, { attempt: 'b' }))
  await a.spill.clear(ours)
  assert.deepEqual(await onDisk(a.spill, a.owner), [])
  assert.deepEqual(
    (await onDisk(a.spill, b.owner)).map(({ attempt }) => attempt),
    ['b'],
  )
})

test('an end with all slots empty removes the file, an end with an answer in one leaves it', async (t) => {
  const folder = await folderFor(t)
  const [a, b, c] = [await ownerIn(t, folder), await ownerIn(t, folder), await ownerIn(t, folder)]
  await a.spill.clear(await a.spill.keep(await roomIn(a.spill, a.sealer), answer(a.sealer)))
  await b.spill.keep(await roomIn(b.spill, b.sealer), answer(b.sealer))
  for (const { spill, liveness, sealer } of [a, b, c]) {
    await spill.close()
    await spill.close()
    liveness.close()
    assert.deepEqual(await spill.reserve(sealer), { kind: 'no_room', because: 'disk' })
  }
  assert.equal(existsSync(a.file), false)
  assert.equal(existsSync(c.file), false)
  assert.equal(existsSync(b.file), true)
  const d = await ownerIn(t, folder)
  assert.deepEqual(await d.liveness.others(), [b.owner])
})

test('no answer of up to 64 KiB is too long, and a longer one is refused before anything is written', async (t) => {
  const { spill, owner, sealer } = await ownerIn(t, await folderFor(t))
  const longest: readonly Kept[] = [
    answer(sealer, { refreshToken: 'r'.repeat(64 * 1024), accessToken: null, variant: 'v'.repeat(8 * 1024) }),
    answer(sealer, {
      refreshToken: 'r'.repeat(32 * 1024),
      accessToken: 'a'.repeat(32 * 1024),
      variant: 'v'.repeat(8 * 1024),
    }),
    answer(sealer, { scope: 's'.repeat(40 * 1024) }),
  ]
  for (const kept of longest) await spill.keep(await roomIn(spill, sealer), kept)
  assert.deepEqual((await onDisk(spill, owner)).map(plain), longest)
  const room = await roomIn(spill, sealer)
  await assert.rejects(spill.keep(room, answer(sealer, { refreshToken: 'r'.repeat(100 * 1024) })), {
    name: 'TokenError',
    code: 'invalid_input',
    message: /does not fit/,
  })
  assert.equal((await onDisk(spill, owner)).length, 3)
  await spill.keep(room, answer(sealer))
})

test('without a place for the file there is no room, and there is one as soon as the place is there', async (t) => {
  const folder = await folderFor(t)
  const { spill, sealer } = await ownerIn(t, folder)
  await writeFile(join(folder, 'spill'), 'a file in the way')
  assert.deepEqual(await spill.reserve(sealer), { kind: 'no_room', because: 'disk' })
  await rm(join(folder, 'spill'))
  await roomIn(spill, sealer)
})

test('in a folder that cannot be written there is no room', async (t) => {
  const folder = await folderFor(t)
  const { spill, sealer } = await ownerIn(t, folder)
  await mkdir(join(folder, 'spill'), { mode: 0o500 })
  await chmod(folder, 0o755)
  // Permissions do not bind root, so an ordinary user tries.
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65534)
  try {
    assert.deepEqual(await spill.reserve(sealer), { kind: 'no_room', because: 'disk' })
  } finally {
    if (root) process.seteuid?.(0)
    await chmod(join(folder, 'spill'), 0o700)
  }
  await roomIn(spill, sealer)
})

test('a torn answer is skipped and its whole neighbours are found, wherever it is torn', async (t) => {
  const folder = await folderFor(t)
  const { spill, owner, file, sealer } = await ownerIn(t, folder, 3)
  const kept = ['a', 'b', 'c'].map((attempt) => answer(sealer, { attempt }))
  for (const one of kept) await spill.keep(await roomIn(spill, sealer), one)
  const good = await readFile(file)
  const attempts = async (): Promise<string[]> => (await onDisk(spill, owner)).map(({ attempt }) => attempt)
  assert.deepEqual(await attempts(), ['a', 'b', 'c'])

  const length = good.readUInt32BE(SLOT_BYTES + 12)
  const end = SLOT_HEADER_BYTES + length
  for (const at of [0, 7, 8, 11, 12, 15, 16, 47, 48, 51, 52, 200, end - 1]) {
    const torn = Buffer.from(good)
    torn.writeUInt8(torn.readUInt8(SLOT_BYTES + at) ^ 0x80, SLOT_BYTES + at)
    await writeFile(file, torn)
    assert.deepEqual(await attempts(), ['a', 'c'], `byte ${at}`)
  }
  // A write that stopped in the middle: the new beginning over what was there before.
  for (const written of [1, 16, 48, 60, end - 1]) {
    const torn = Buffer.from(good)
    torn.fill(0, SLOT_BYTES + written, 2 * SLOT_BYTES)
    await writeFile(file, torn)
    assert.deepEqual(await attempts(), ['a', 'c'], `${written} bytes written`)
  }
  await writeFile(file, good)
  await truncate(file, 2 * SLOT_BYTES + 100)
  assert.deepEqual(await attempts(), ['a', 'b'])
  await truncate(file, SLOT_BYTES + 20)
  assert.deepEqual(await attempts(), ['a'])
  await truncate(file, 0)
  assert.deepEqual(await attempts(), [])
})

test('a shorter answer over a longer one is whole', async (t) => {
  const { spill, owner, sealer } = await ownerIn(t, await folderFor(t), 1)
  const long = await spill.keep(await roomIn(spill, sealer), answer(sealer, { refreshToken: 'r'.repeat(30_000) }))
  await spill.clear(long)
  const short = answer(sealer, { attempt: 'short' })
  await spill.keep(await roomIn(spill, sealer), short)
  assert.deepEqual((await onDisk(spill, owner)).map(plain), [short])
})

test('bytes with a right checksum and wrong content are skipped', async () => {
  const sealer = await sealerFor()
  const kept = answer(sealer)
  const whole = encodeSlot(kept)
  assert.deepEqual(decodeSlot(whole), kept)
  assert.equal(decodeSlot(Buffer.alloc(SLOT_BYTES)), null)
  assert.equal(decodeSlot(Buffer.alloc(0)), null)
  const odd: readonly unknown[] = [
    { ...kept, uid: 7 },
    { ...kept, fence: '17' },
    { ...kept, granted: {} },
    { ...kept, granted: { ...kept.granted, variant: null } },
    { ...kept, granted: { ...kept.granted, refreshToken: { sealed: new Uint8Array(3) } } },
  ]
  for (const [index, value] of odd.entries()) {
    assert.equal(decodeSlot(encodeSlot(value as Kept)), null, `case ${index}`)
  }
})

test('a file that cannot be read is not taken for an empty one', async (t) => {
  const folder = await folderFor(t)
  const { spill, sealer } = await ownerIn(t, folder)
  await roomIn(spill, sealer)
  const other = newOwner()
  assert.deepEqual(await onDisk(spill, other), [], 'no file: nothing was kept')
  await mkdir(fileOf(folder, other))
  await assert.rejects(onDisk(spill, other), { name: 'TokenError', code: 'folder_unusable' })
  await rm(fileOf(folder, other), { recursive: true })
  await symlink(fileOf(folder, other), fileOf(folder, other))
  await assert.rejects(onDisk(spill, other), { name: 'TokenError', code: 'folder_unusable' })
})
