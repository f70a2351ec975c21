/** What the bytes of an answer's body say, whatever they are packed in. */
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'

export interface ReadBody {
  readonly text: string
  /** False: it could not be unpacked to its end. */
  readonly whole: boolean
}

/**
 * Unpacks and decodes a body.
 *
 * We ask for `identity`; some servers and proxies compress all the same. What cannot be unpacked counts as cut.
 *
 * @param encoding the `Content-Encoding` header; empty: none
 * @param bytesMax of the unpacked body: a small body that unpacks to a huge one is given up
 * @see RFC 9110 section 8.4
 */
export function readBody(bytes: Buffer, encoding: string, bytesMax: number): ReadBody {
  const unpacked = unpack(bytes, encoding.trim().toLowerCase(), bytesMax)
  return unpacked === null ? { text: '', whole: false } : { text: new TextDecoder().decode(unpacked), whole: true }
}

function unpack(bytes: Buffer, encoding: string, bytesMax: number): Buffer | null {
  if (encoding === '' || encoding === 'identity' || bytes.length === 0) return bytes
  // Flushing instead of finishing: what came of a body that was cut is read as far as it goes.
  const zlib = { maxOutputLength: bytesMax, finishFlush: constants.Z_SYNC_FLUSH }
  const brotli = { maxOutputLength: bytesMax, finishFlush: constants.BROTLI_OPERATION_FLUSH }
  try {
    if (encoding === 'gzip' || encoding === 'x-gzip') return gunzipSync(bytes, zlib)
    if (encoding === 'br') return brotliDecompressSync(bytes, brotli)
    if (encoding === 'deflate') return inflate(bytes, zlib)
  } catch {
    // Broken, or longer than we read.
  }
  return null
}

/** RFC 9110 means the zlib format by `deflate`; some servers send the bare stream. */
function inflate(bytes: Buffer, options: { maxOutputLength: number; finishFlush: number }): Buffer {
  try {
    return inflateSync(bytes, options)
  } catch {
    return inflateRawSync(bytes, options)
  }
}
