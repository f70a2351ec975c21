/** A nonce as it can stand in a proof; undefined: there is none that can be used (RFC 9449 section 8.1). */
export const readNonce = (header: unknown): string | undefined =>
  typeof header === 'string' && /^[\x21\x23-\x5B\x5D-\x7E]{1,1000}$/.test(header) ? header : undefined
