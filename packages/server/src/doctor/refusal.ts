/** What could not be looked at because Tokenkeep refuses it: a finding of its own, in the words of the error. */
import { TokenError } from '@tokenkeep/core'

export interface Refusal {
  readonly refused: { readonly code: string; readonly message: string }
}

/** @returns what came, or the refusal; whatever is no `TokenError` goes on its way */
export async function unlessRefused<Result>(look: () => Promise<Result>): Promise<Result | Refusal> {
  try {
    return await look()
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    return { refused: { code: error.code, message: error.message } }
  }
}

export const isRefusal = (value: object): value is Refusal => 'refused' in value
