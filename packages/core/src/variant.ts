declare const brand: unique symbol

/** Which access token of a connection is meant: sorted scopes, sorted resources, key binding (`PROTOCOL.md` section 11). */
export type VariantKey = string & { readonly [brand]: 'VariantKey' }

/** The scopes and resources that one request narrows its token to; both empty: the token as it was granted. */
export interface Variant {
  readonly key: VariantKey
  /** RFC 6749 section 3.3 scope tokens, sorted, without repetition. */
  readonly scopes: readonly string[]
  /** RFC 8707 resource indicators, sorted, without repetition. */
  readonly resources: readonly string[]
}

export const FULL: Variant = { key: '' as VariantKey, scopes: [], resources: [] }

// RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const SCOPE_TOKEN = /^[\x21\x23-\x5B\x5D-\x7E]+$/
// No scope token and no URI can hold a line feed, so a key can be taken apart again.
const SEPARATOR = '\n'
// A granted answer must fit into its spill slot together with the variant that it is for.
const KEY_LENGTH_MAX = 8 * 1024
const SCOPES_MAX = 100
const RESOURCES_MAX = 20
const VALUE_LENGTH_MAX = 2000

const sorted = (values: readonly string[]): string[] => [...new Set(values)].sort()

/**
 * Reads the `scope` and `resource` of a request.
 *
 * @param scope scope tokens separated by spaces, in any order; absent: the original scope
 * @param resource absolute URIs without a fragment
 * @returns the variant, or a sentence that says what is wrong
 * @see RFC 6749 section 3.3 (scope); RFC 8707 section 2 (resource)
 */
export function parseVariant(
  scope: string | undefined,
  resource: readonly string[] | undefined,
): { variant: Variant } | { wrong: string } {
  const scopes = sorted((scope ?? '').split(' ').filter((token) => token !== ''))
  if (scope !== undefined && scopes.length === 0) {
    return { wrong: 'scope is empty: leave it out to ask for the original scope' }
  }
  if (scopes.length > SCOPES_MAX) return { wrong: `at most ${SCOPES_MAX} scopes can be asked for` }
  if (scopes.some((token) => !SCOPE_TOKEN.test(token) || token.length > VALUE_LENGTH_MAX)) {
    return { wrong: 'scope has characters that no scope token may have (RFC 6749 section 3.3)' }
  }
  const resources = sorted(resource ?? [])
  if (resources.length > RESOURCES_MAX) return { wrong: `at most ${RESOURCES_MAX} resources can be asked for` }
  for (const value of resources) {
    if (
      value.length > VALUE_LENGTH_MAX ||
      !/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7E]+$/.test(value) ||
      value.includes('#')
    ) {
      return { wrong: 'resource is not an absolute URI without a fragment (RFC 8707 section 2)' }
    }
  }
  if (scopes.length === 0 && resources.length === 0) return { variant: FULL }
  // The third part is for a key binding (RFC 9449), and empty: all tokens of a grant have one key (ADR 0021).
  if (scopes.join(' ').length + resources.join(' ').length > KEY_LENGTH_MAX) {
    return { wrong: `scope and resource together have at most ${KEY_LENGTH_MAX} characters` }
  }
  const key = [scopes.join(' '), resources.join(' '), ''].join(SEPARATOR) as VariantKey
  return { variant: { key, scopes, resources } }
}

/** The variant that a key names; the reverse of `parseVariant`, for keys that the store kept. */
export function variantOf(key: VariantKey): Variant {
  if (key === '') return FULL
  const [scopes = '', resources = ''] = key.split(SEPARATOR)
  const parts = (text: string): string[] => (text === '' ? [] : text.split(' '))
  return { key, scopes: parts(scopes), resources: parts(resources) }
}
