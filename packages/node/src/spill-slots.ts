/**
 * Space on local disk, written before it is needed, for granted answers that the store cannot take.
 *
 * One file for each owner: `slots` slots of 96 KiB, each empty or holding one answer (`slot.ts` has the bytes). It is made
 * by the first reservation, so that a process which only reads does not pay for it, and removed when its owner ends with
 * all of them empty.
 */
import { fdatasyncSync, writeSync } from 'node:fs'
import { open, readdir, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { TokenError } from '@tokenkeep/core'
import type { Kept, NoRoom, OwnerId, ProofOfDeath, Room, Sealed, Spill, Spilled } from '@tokenkeep/core'
import { makeFolder, syncFolder } from './durable-file.ts'
import { decodeSlot, encodeSlot, SLOT_BYTES, SLOT_HEADER_BYTES } from './slot.ts'
import { ownersFolder, slotsFile, spillFolder } from './state-folder.ts'
import { inWords, systemErrorCode } from './system-error.ts'

export interface SpillOptions {
  /** The state folder, on a local disk; the owner's liveness is there already. */
  readonly folder: string
  readonly owner: OwnerId
  /** How many refreshes can be in flight at once. */
  readonly slots?: number
}

export interface OwnSpill extends Spill {
  /** Ends it. The file stays where an answer still waits in it. */
  close(): Promise<void>
}

/** 6 MiB for each owner that refreshes. */
const SLOTS = 64

/** One reservation of a slot. `over`: the slot is somebody else's now. */
interface Use {
  readonly slot: number
  state: 'reserved' | 'kept' | 'over'
}

/** Where an answer lies: in a slot of ours, or in a dead owner's file. */
interface Lying {
  readonly path: string
  readonly slot: number
  readonly length: number
  readonly use: Use | null
}

export function createSpill({ folder, owner, slots = SLOTS }: SpillOptions): OwnSpill {
  const path = slotsFile(folder, owner)
  const free = Array.from({ length: slots }, (_, index) => slots - 1 - index)
  const uses = new WeakMap<Room, Use>()
  const lying = new WeakMap<Spilled, Lying>()
  let file: Promise<FileHandle | null> | null = null
  let keptCount = 0
  let closed = false

  const opened = async (): Promise<FileHandle | null> => {
    file ??= prepare(folder, owner, slots)
    const handle = await file
    // The disk may have room again at the next try.
    if (handle === null) file = null
    return handle
  }

  const giveBack = (use: Use): void => {
    use.state = 'over'
    free.push(use.slot)
  }

  const reserve: Spill['reserve'] = async (sealer) => {
    if (closed || (await opened()) === null || closed) return noRoom('disk')
    const slot = free.pop()
    if (slot === undefined) return noRoom('slots_in_use')
    const use: Use = { slot, state: 'reserved' }
    const room: Room = {
      sealer,
      release: () => {
        // An answer that is kept and not cleared may be the only copy: its slot comes back by clear alone.
        if (use.state === 'reserved') giveBack(use)
      },
    }
    uses.set(room, use)
    return room
  }

  const keep: Spill['keep'] = async (room, kept) => {
    const use = uses.get(room)
    const handle = await file
    if (use === undefined || use.state === 'over' || handle == null) {
      throw new Error('an answer can be kept only in a room that was reserved here and not given back')
    }
    const bytes = encodeSlot(kept)
    try {
      // At once, on this thread: in the pool it could wait behind name lookups, and until it is on disk a kill loses it.
      writeWhole(handle.fd, bytes, use.slot * SLOT_BYTES)
      fdatasyncSync(handle.fd)
    } catch (error) {
      throw new TokenError('store_unavailable', `cannot write to the spill file ${path}: ${inWords(error)}`)
    }
    if (use.state === 'reserved') keptCount += 1
    use.state = 'kept'
    const spilled = { ...kept } as Spilled
    lying.set(spilled, { path, slot: use.slot, length: bytes.length, use })
    return spilled
  }

  const clear: Spill['clear'] = async (entry) => {
    const at = lying.get(entry)
    if (at === undefined) throw new Error('only what this spill kept or found can be cleared')
    if (at.use?.state === 'over') return
    await erase(at)
    // Both await: another call for the same entry may have been first.
    if (at.use?.state !== 'kept') return
    keptCount -= 1
    giveBack(at.use)
  }

  async function* pending(proof: ProofOfDeath): AsyncGenerator<Spilled> {
    const left = slotsFile(folder, proof.owner)
    for await (const { slot, kept, length } of readSlots(left)) {
      const spilled = { ...kept } as Spilled
      lying.set(spilled, { path: left, slot, length, use: null })
      yield spilled
    }
  }

  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    const handle = await file
    if (handle == null) return
    await handle.close()
    if (keptCount === 0) await rm(path, { force: true })
  }

  return { reserve, keep, clear, pending, close }
}

const noRoom = (because: NoRoom['because']): NoRoom => ({ kind: 'no_room', because })

/** Makes the file in one write and one sync; null where the disk does not take it. */
async function prepare(folder: string, owner: OwnerId, slots: number): Promise<FileHandle | null> {
  const path = slotsFile(folder, owner)
  let handle: FileHandle | undefined
  try {
    await makeFolder(spillFolder(folder))
    handle = await open(path, 'wx', 0o600)
    await handle.writeFile(Buffer.alloc(slots * SLOT_BYTES))
    await handle.sync()
    await syncFolder(spillFolder(folder))
    // After a power cut the slots are found by their owner's file, so that has to be there as well.
    await syncFolder(ownersFolder(folder))
    return handle
  } catch {
    await handle?.close()
    // One that is there already is not ours to remove; an owner's name is never used twice.
    if (handle !== undefined) await rm(path, { force: true }).catch(() => undefined)
    return null
  }
}

function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
  }
}

/** Empties a slot, the sealed tokens too. It opens the file anew, so that it also works after the end of its owner. */
async function erase({ path, slot, length }: Lying): Promise<void> {
  try {
    const handle = await open(path, 'r+')
    try {
      await handle.write(Buffer.alloc(length), 0, length, slot * SLOT_BYTES)
      await handle.datasync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    // The whole file is gone, and the answer with it.
    if (systemErrorCode(error) === 'ENOENT') return
    throw new TokenError('store_unavailable', `cannot write to the spill file ${path}: ${inWords(error)}`)
  }
}

/** Every ciphertext that lies in a slot of any owner, the living ones too. */
export async function* sealedInSlots(folder: string): AsyncGenerator<Sealed> {
  const names = await readdir(spillFolder(folder)).catch(() => [])
  for (const name of names.filter((each) => each.endsWith('.slots'))) {
    for await (const { kept } of readSlots(join(spillFolder(folder), name))) {
      const { refreshToken, accessToken } = kept.granted
      for (const token of [refreshToken, accessToken]) if (token !== null) yield token.sealed
    }
  }
}

/**
 * How many answers lie in the slots of each owner.
 *
 * @throws TokenError `folder_unusable` where one cannot be read
 */
export async function answersInSlots(folder: string): Promise<ReadonlyMap<string, number>> {
  const counted = new Map<string, number>()
  const names = await readdir(spillFolder(folder)).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw unreadable(spillFolder(folder), error)
  })
  for (const name of names.filter((each) => each.endsWith('.slots'))) {
    let answers = 0
    for await (const _ of readSlots(join(spillFolder(folder), name))) answers += 1
    counted.set(name.slice(0, -'.slots'.length), answers)
  }
  return counted
}

async function* readSlots(path: string): AsyncGenerator<{ slot: number; kept: Kept; length: number }> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    // Its owner never refreshed anything, or had nothing left to tell.
    if (systemErrorCode(error) === 'ENOENT') return
    throw unreadable(path, error)
  }
  try {
    const buffer = Buffer.alloc(SLOT_BYTES)
    for (let slot = 0; ; slot += 1) {
      const { bytesRead } = await handle.read(buffer, 0, SLOT_BYTES, slot * SLOT_BYTES).catch((error: unknown) => {
        throw unreadable(path, error)
      })
      if (bytesRead < SLOT_HEADER_BYTES) return
      const kept = decodeSlot(buffer.subarray(0, bytesRead))
      if (kept !== null) yield { slot, kept, length: SLOT_HEADER_BYTES + buffer.readUInt32BE(12) }
    }
  } finally {
    await handle.close()
  }
}

/** Not the same as empty: whoever cannot read a dead owner's answers must not take over from it. */
const unreadable = (path: string, error: unknown): TokenError =>
  new TokenError('folder_unusable', `cannot read the spill file ${path}: ${inWords(error)}`)
