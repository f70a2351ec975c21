/** A program that knows nothing of Tokenkeep: it sends the request that the origin page asks for. */

/** What a token endpoint answered. */
export interface TokenAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Sends a refresh request (RFC 6749 section 6) with the client's secret in the body, as the origin page has it. */
export async function askTokenEndpoint(
  tokenEndpoint: string,
  of: { readonly clientId: string; readonly clientSecret: string; readonly refreshToken: string },
): Promise<TokenAnswer> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: of.clientId,
    client_secret: of.clientSecret,
    refresh_token: of.refreshToken,
  })
  const response = await fetch(tokenEndpoint, { method: 'POST', body: form })
  return { status: response.status, body: (await response.json()) as TokenAnswer['body'] }
}
