// Node's hook for `console.log` and friends, named without importing Node.
const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never

/**
 * A secret that refuses to print: in templates, JSON, `util.inspect`, spreads and structured clones it is its kind.
 *
 * `reveal()` is the only way to its value; a test lists the files that may call it.
 */
export class Secret<Kind extends string> {
  readonly kind: Kind
  readonly #value: string

  constructor(kind: Kind, value: string) {
    this.kind = kind
    this.#value = value
  }

  /** The value itself. Only for files that send, seal or hand out. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return `[${this.kind}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect](): string {
    return this.toString()
  }
}

export type RefreshToken = Secret<'refresh_token'>
export type AccessToken = Secret<'access_token'>
/** The private key that tokens of one grant are bound to (RFC 9449), a JWK as JSON. */
export type DpopKey = Secret<'dpop_key'>
export type ClientSecret = Secret<'client_secret'>
/** The body of a token endpoint's answer: it holds tokens until it is judged. */
export type AnswerBody = Secret<'answer_body'>

declare const sealed: unique symbol
/** A ciphertext with the name of its key, nonce and tag: opens only in the `Place` it was made for. */
export type Sealed = Uint8Array & { readonly [sealed]: true }
