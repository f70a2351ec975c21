import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { Browser } from '../src/browser.ts'
import { CLIENT, OWN_CREDENTIALS, type TokenReply, type Trial } from './trial.ts'

export const CALLBACK = 'http://127.0.0.1:9/callback'
export const WEB_CLIENT = { ...CLIENT, redirectUris: [CALLBACK] }
export const PUBLIC_CLIENT = { clientId: 'spa', tokenEndpointAuthMethod: 'none', redirectUris: [CALLBACK] } as const

export function authorization(trial: Trial, more: Readonly<Record<string, string>> = {}) {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(`${trial.devserver.issuer('external')}/protocol/openid-connect/auth`)
  url.search = new URLSearchParams({
    client_id: 'app',
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid dealer-api',
    state: 'st',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  }).toString()
  return { url: url.href, verifier }
}

/** @returns where the sign-in sent the browser: back to the client */
export async function signIn(browser: Browser, url: string, login: string): Promise<URL> {
  const end = await browser.signIn(url, login, CALLBACK)
  assert.ok('left' in end)
  return end.left
}

export function redeem(
  trial: Trial,
  code: string,
  verifier: string,
  client: Readonly<Record<string, string>> = OWN_CREDENTIALS,
): Promise<TokenReply> {
  return trial.post('token', {
    grant_type: 'authorization_code',
    ...client,
    code,
    redirect_uri: CALLBACK,
    code_verifier: verifier,
  })
}
