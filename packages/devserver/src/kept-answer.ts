import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { TokenAnswer } from './token-answer.ts'

/** An answer that a `same` grace window repeats, with the moments its lifetimes are counted from. */
export interface KeptAnswer {
  readonly answer: TokenAnswer
  readonly accessExpiresMs: number
  /** null = no fixed end. */
  readonly refreshExpiresMs: number | null
}

/** Seals an answer so that only the refresh token it answered opens it: the state file holds no usable token. */
export function sealAnswer(kept: KeptAnswer, presented: string): Uint8Array {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', keyFrom(presented), nonce)
  const body = Buffer.concat([cipher.update(JSON.stringify(kept)), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

export function openAnswer(sealed: Uint8Array, presented: string): KeptAnswer {
  const decipher = createDecipheriv('aes-256-gcm', keyFrom(presented), sealed.subarray(0, 12))
  decipher.setAuthTag(sealed.subarray(12, 28))
  return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString()) as KeptAnswer
}

/** The kept tokens once more, with what is left of their lifetimes in whole seconds. */
export function repeatAnswer(kept: KeptAnswer, nowMs: number): TokenAnswer {
  const left = (untilMs: number) => Math.max(0, Math.floor((untilMs - nowMs) / 1000))
  return {
    ...kept.answer,
    expires_in: left(kept.accessExpiresMs),
    refresh_expires_in: kept.refreshExpiresMs === null ? 0 : left(kept.refreshExpiresMs),
  }
}

function keyFrom(presented: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', presented, '', 'devserver repeated answer', 32))
}
