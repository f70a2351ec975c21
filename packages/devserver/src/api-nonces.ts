import { createHmac } from 'node:crypto'

const STEP_MS = 60_000

/**
 * The nonces that the demo API wants in the proofs for a realm's tokens: another one each minute, the last one still
 * good, none of them an authorization server's (RFC 9449 section 9).
 */
export class ApiNonces {
  readonly #secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  next(nowMs: number): string {
    return this.#at(Math.floor(nowMs / STEP_MS))
  }

  knows(nonce: string, nowMs: number): boolean {
    const step = Math.floor(nowMs / STEP_MS)
    return [step, step - 1].some((it) => this.#at(it) === nonce)
  }

  #at(step: number): string {
    return createHmac('sha256', this.#secret).update(`demo API ${step}`).digest('base64url')
  }
}
