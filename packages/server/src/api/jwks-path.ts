/** Where a client's public keys are: the URL that its provider is told (`jwks_uri`). No API key is asked for there. */
export const jwksPath = (client: string): string => `/clients/${encodeURIComponent(client)}/jwks.json`
