/**
 * The bytes of one spill slot: a granted answer on local disk, and how to tell a whole one from a torn one.
 *
 *     0   magic, 8 bytes: "TKSPILL" and 0; all zero: the slot is empty
 *     8   format version, 4 bytes big endian: 1
 *     12  length of the payload, 4 bytes big endian
 *     16  SHA-256 of the payload, 32 bytes
 *     48  payload: length of the JSON (4 bytes big endian), the JSON, sealed refresh token, sealed access token
 *
 * The JSON is the answer as it is, with the lengths of the sealed tokens in their places; no token is in clear.
 */
import { createHash } from 'node:crypto'
import { TokenError } from '@tokenkeep/core'
import type { Kept, Sealed } from '@tokenkeep/core'

/**
 * An answer is read up to 64 KiB, and its tokens lie here as they are, 37 bytes of sealing added to each. That leaves
 * 32 KiB for names, scope and variant.
 */
export const SLOT_BYTES = 96 * 1024
export const SLOT_HEADER_BYTES = 48
const PAYLOAD_BYTES_MAX = SLOT_BYTES - SLOT_HEADER_BYTES

const MAGIC = Buffer.from('TKSPILL\0', 'latin1')
const VERSION = 1
const SUM_AT = 16

/** @throws TokenError `invalid_input`: it is longer than a slot; no answer of up to 64 KiB is, with a variant of up to 8 KiB */
export function encodeSlot(kept: Kept): Buffer {
  const { refreshToken, accessToken } = kept.granted
  const granted = {
    ...kept.granted,
    refreshToken: refreshToken && { ...refreshToken, sealed: refreshToken.sealed.length },
    accessToken: accessToken && { ...accessToken, sealed: accessToken.sealed.length },
  }
  const { uid, grant, answers, fence, attempt } = kept
  const json = Buffer.from(JSON.stringify({ uid, grant, answers, fence, attempt, granted }))
  const jsonLength = Buffer.alloc(4)
  jsonLength.writeUInt32BE(json.length)
  const none = new Uint8Array()
  const payload = Buffer.concat([jsonLength, json, refreshToken?.sealed ?? none, accessToken?.sealed ?? none])
  if (payload.length > PAYLOAD_BYTES_MAX) {
    throw new TokenError(
      'invalid_input',
      `an answer of ${payload.length} bytes does not fit into a spill slot of ${PAYLOAD_BYTES_MAX}`,
    )
  }
  const header = Buffer.alloc(SLOT_HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32BE(VERSION, 8)
  header.writeUInt32BE(payload.length, 12)
  checksum(payload).copy(header, SUM_AT)
  return Buffer.concat([header, payload])
}

/** @returns null for an empty, torn or foreign slot */
export function decodeSlot(slot: Buffer): Kept | null {
  if (slot.length < SLOT_HEADER_BYTES || !slot.subarray(0, 8).equals(MAGIC)) return null
  if (slot.readUInt32BE(8) !== VERSION) return null
  const payload = slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + slot.readUInt32BE(12))
  const sum = slot.subarray(SUM_AT, SLOT_HEADER_BYTES)
  return sum.equals(checksum(payload)) ? readPayload(payload) : null
}

const checksum = (payload: Buffer): Buffer => createHash('sha256').update(payload).digest()

function readPayload(payload: Buffer): Kept | null {
  if (payload.length < 4) return null
  const sealedFrom = 4 + payload.readUInt32BE(0)
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8', 4, sealedFrom))
  } catch {
    return null
  }
  if (!hasMembers(value, KEPT) || !hasMembers(value['granted'], GRANTED)) return null
  let at = sealedFrom
  const take = (token: unknown): unknown => {
    if (!hasMembers(token, TOKEN)) return null
    const length = token['sealed'] as number
    const sealed = new Uint8Array(payload.subarray(at, at + length)) as Sealed
    at += length
    return { ...token, sealed }
  }
  const { granted } = value
  const refreshToken = take(granted['refreshToken'])
  const accessToken = take(granted['accessToken'])
  if (at !== payload.length) return null
  // The checksum vouches that this is what encodeSlot wrote; the members were looked at in case a newer one wrote it.
  return { ...value, granted: { ...granted, refreshToken, accessToken } } as unknown as Kept
}

const KEPT = { uid: 'string', grant: 'number', fence: 'number', attempt: 'string', granted: 'object' } as const
const GRANTED = { variant: 'string', refreshToken: 'object', accessToken: 'object' } as const
const TOKEN = { sealed: 'number', serial: 'string', fingerprint: 'string' } as const

const hasMembers = (value: unknown, types: Readonly<Record<string, string>>): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(types).every(([name, type]) => typeof (value as Record<string, unknown>)[name] === type)
