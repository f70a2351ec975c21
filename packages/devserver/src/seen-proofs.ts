const KEPT_MS = 600_000 // Twice the age that a proof may have: an older one is refused for that.

/** The `jti` of every proof that the demo API took, so that none is taken twice; not kept over a restart. */
export class SeenProofs {
  readonly #seen = new Map<string, number>()

  /** True the first time. */
  take({ jkt, jti }: { readonly jkt: string; readonly jti: string }, nowMs: number): boolean {
    for (const [name, atMs] of this.#seen) {
      if (nowMs - atMs <= KEPT_MS) break // They are in the order of their arrival.
      this.#seen.delete(name)
    }
    const name = `${jkt} ${jti}`
    if (this.#seen.has(name)) return false
    this.#seen.set(name, nowMs)
    return true
  }
}
