/** The body of a request, sent while it arrives, and kept as far as it is small enough to be sent once more. */
import { Readable } from 'node:stream'

export interface KeptBody {
  /** Whether all that has passed is kept. */
  isKept(): boolean
  /**
   * The body from its beginning on; whoever read it before reads no further.
   *
   * @returns null: more has passed than was kept
   */
  open(): Readable | null
}

/**
 * @param source is read no faster than somebody takes it, and not ended when that somebody ends
 * @param bytesMost of which so many are kept
 */
export function keepBody(source: Readable, bytesMost: number): KeptBody {
  const chunks = source.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>
  let kept: Buffer[] | null = []
  let bytes = 0
  let readers = 0
  /** Asked for, and taken by nobody yet: the reader that asked may have ended meanwhile. */
  let asked: Promise<IteratorResult<Buffer, undefined>> | null = null

  const keep = (chunk: Buffer): void => {
    bytes += chunk.length
    if (bytes > bytesMost) kept = null
    kept?.push(chunk)
  }

  async function* read(reader: number, before: readonly Buffer[]): AsyncGenerator<Buffer, undefined> {
    yield* before
    for (;;) {
      const next = await (asked ??= chunks.next())
      if (reader !== readers) return
      asked = null
      if (next.done === true) return
      keep(next.value)
      yield next.value
    }
  }

  return {
    isKept: () => kept !== null,
    open() {
      if (kept === null) return null
      readers += 1
      return Readable.from(read(readers, [...kept]), { objectMode: false })
    },
  }
}
