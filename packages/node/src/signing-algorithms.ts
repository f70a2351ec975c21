/**
 * What a token that is sent to us may be signed with. Never `none`, and no shared secret where keys are public: whoever has
 * the public keys could sign with them as one (RFC 8725 section 2.1).
 */
export const SIGNING_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]
