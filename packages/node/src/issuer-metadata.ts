/**
 * What an issuer says about itself where OpenID Connect Discovery 1.0 section 4 and RFC 8414 section 3 look for it.
 */
import type { DurationMs } from '@tokenkeep/core'
import { processDiscoveryResponse, type AuthorizationServer } from 'oauth4webapi'
import type { Exchange } from './single-exchange.ts'

export interface AskedIssuer {
  readonly issuer: string
  readonly allowPrivateNetwork: boolean
}

/**
 * Asks one place after the other.
 *
 * @param read what is wanted of the metadata; null: it is not there
 * @returns null: it is not there, or no place has metadata. Never rejects.
 */
export async function askIssuer<Wanted>(
  { exchange, headers }: { readonly exchange: Exchange; readonly headers: Readonly<Record<string, string>> },
  { issuer, allowPrivateNetwork }: AskedIssuer,
  deadlineMs: DurationMs,
  read: (metadata: AuthorizationServer) => Wanted | null,
): Promise<Wanted | null> {
  for (const url of metadataUrls(new URL(issuer))) {
    const to = { url, method: 'GET', allowPrivateNetwork } as const
    const answer = await exchange(to, { headers, body: null }, deadlineMs)
    if (answer === null) continue
    const metadata = await readMetadata(issuer, answer.status, answer.body.reveal())
    // The first metadata counts, also where it lacks what is wanted.
    if (metadata !== null) return read(metadata)
  }
  return null
}

/** OpenID Connect appends the well-known path to the issuer's; RFC 8414 section 3.1 inserts it before. */
export function metadataUrls(issuer: URL): readonly URL[] {
  const path = issuer.pathname.replace(/\/$/, '')
  return [`${path}/.well-known/openid-configuration`, `/.well-known/oauth-authorization-server${path}`].map(
    (pathname) => new URL(`${issuer.origin}${pathname}`),
  )
}

/** @returns null where it is no metadata, or that of another issuer */
export async function readMetadata(issuer: string, status: number, body: string): Promise<AuthorizationServer | null> {
  try {
    // The content type is not compared: some servers send metadata as text, and what counts is the issuer within.
    const response = new Response(body, { status, headers: { 'content-type': 'application/json' } })
    return await processDiscoveryResponse(new URL(issuer), response)
  } catch {
    // Not metadata, or another issuer's (RFC 8414 section 3.3). The library's error holds the body and stays here.
    return null
  }
}
