/** Tokens as long as those of a Keycloak realm, all different. They say nothing: neither side looks into them. */

export const ACCESS_TOKEN_BYTES = 1100
export const REFRESH_TOKEN_BYTES = 700

/** @param name 1 to 64 characters that no other token of this kind has */
export const issueToken = (name: string, bytes: number): string =>
  `${name}.${FILLING.slice(0, bytes - name.length - 1)}`

const FILLING = Array.from({ length: 2000 }, (_, index) => ((index * 7919) % 36).toString(36)).join('')
