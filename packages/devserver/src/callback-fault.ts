import { oneOf, optional, text, type Members } from './json-shape.ts'

/** One thing that can be wrong with an authorization answer, on its way to the client's redirect URI. */
export type CallbackFault =
  /** A `state` that the client did not send. */
  | { readonly kind: 'wrong_state' }
  /** An `iss` of another server (RFC 9207). */
  | { readonly kind: 'wrong_iss' }
  /** A parameter twice, the second time with another value. */
  | { readonly kind: 'doubled_parameter'; readonly parameter: 'code' | 'state' | 'iss' }
  /** An error in place of the code: `login_required`, `access_denied`, ... */
  | { readonly kind: 'authorization_error'; readonly error: string; readonly description?: string }

export const CALLBACK_FAULTS = ['wrong_state', 'wrong_iss', 'doubled_parameter', 'authorization_error'] as const

export function isCallbackFault(fault: { readonly kind: string }): fault is CallbackFault {
  return CALLBACK_FAULTS.some((kind) => kind === fault.kind)
}

export function readCallbackFault(kind: CallbackFault['kind'], only: (...known: string[]) => Members): CallbackFault {
  switch (kind) {
    case 'wrong_state':
    case 'wrong_iss':
      only()
      return { kind }
    case 'doubled_parameter':
      return { kind, parameter: oneOf(only('parameter'), 'parameter', ['code', 'state', 'iss']) }
    case 'authorization_error': {
      const from = only('error', 'description')
      return { kind, error: text(from, 'error'), ...optional(from, 'description', text) }
    }
  }
}

/** Spoils the URL that a browser is sent back to. Pure. */
export function spoilCallback(fault: CallbackFault, callback: URL): URL {
  const url = new URL(callback)
  const { searchParams } = url
  switch (fault.kind) {
    case 'wrong_state':
      searchParams.set('state', 'a-state-of-nobody')
      return url
    case 'wrong_iss':
      searchParams.set('iss', 'https://elsewhere.example/realms/other')
      return url
    case 'doubled_parameter':
      searchParams.append(fault.parameter, 'another')
      return url
    case 'authorization_error':
      searchParams.delete('code')
      searchParams.set('error', fault.error)
      if (fault.description !== undefined) searchParams.set('error_description', fault.description)
      return url
  }
}
