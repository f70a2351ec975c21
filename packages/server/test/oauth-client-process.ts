/**
 * A program that uses an OAuth client library as its documentation shows, and keeps its tokens to itself: started many
 * times, it is the fleet of workers that shares one sign-in.
 *
 * It is told what to do by one JSON argument, asks for a token, uses it until it has ended, and asks again with the
 * refresh token that it was given last. It prints one JSON line when it is done.
 */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as openid from 'openid-client'
import { AuthorizationCode } from 'simple-oauth2'

export const LIBRARIES = ['openid-client', 'simple-oauth2', 'curl'] as const
export type Library = (typeof LIBRARIES)[number]

export interface Instructions {
  readonly library: Library
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: string
  readonly refreshToken: string
  /** A protected API, to see whether a token works. */
  readonly api: string
  /** How often to live through the end of an access token. */
  readonly expiries: number
  /** A token that has less left than this is replaced, seconds. */
  readonly marginSeconds: number
}

export interface Report {
  /** Tokens that were asked for and came. */
  readonly granted: number
  /** Calls of the API that were refused within the life that the token was said to have. */
  readonly refusedCalls: number
  /** Why the login was lost, in the words of the token endpoint; null: it lives. */
  readonly lost: string | null
}

interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresInSeconds: number
}
type Refresh = (refreshToken: string) => Promise<Tokens>

const told = process.argv[2]
if (told !== undefined) process.stdout.write(`${JSON.stringify(await live(JSON.parse(told) as Instructions))}\n`)

async function live(instructions: Instructions): Promise<Report> {
  const refresh = await refreshWith(instructions)
  let { refreshToken } = instructions
  let granted = 0
  let refusedCalls = 0
  for (let expiry = 0; expiry < instructions.expiries; expiry += 1) {
    let tokens: Tokens
    const askedAt = performance.now()
    try {
      tokens = await refresh(refreshToken)
    } catch (error) {
      return { granted, refusedCalls, lost: wordOf(error) }
    }
    granted += 1
    refreshToken = tokens.refreshToken
    const answer = await fetch(instructions.api, { headers: { authorization: `Bearer ${tokens.accessToken}` } })
    await answer.arrayBuffer()
    // On a busy machine the call can come after the token's end, which says nothing about the token.
    const inTime = performance.now() - askedAt < tokens.expiresInSeconds * 1000
    if (answer.status !== 200 && inTime) refusedCalls += 1
    await sleep(Math.max(0, tokens.expiresInSeconds - instructions.marginSeconds) * 1000)
  }
  return { granted, refusedCalls, lost: null }
}

async function refreshWith(instructions: Instructions): Promise<Refresh> {
  const { library, issuer, tokenEndpoint, clientId, clientSecret } = instructions
  switch (library) {
    case 'openid-client': {
      const config = await openid.discovery(
        new URL(issuer),
        clientId,
        clientSecret,
        openid.ClientSecretPost(clientSecret),
        {
          execute: [openid.allowInsecureRequests],
        },
      )
      return async (refreshToken) => {
        const tokens = await openid.refreshTokenGrant(config, refreshToken)
        return {
          accessToken: tokens.access_token,
          refreshToken: tokens.refresh_token ?? refreshToken,
          expiresInSeconds: tokens.expires_in ?? 0,
        }
      }
    }
    case 'simple-oauth2': {
      const { origin, pathname } = new URL(tokenEndpoint)
      const client = new AuthorizationCode({
        client: { id: clientId, secret: clientSecret },
        auth: { tokenHost: origin, tokenPath: pathname },
        options: { authorizationMethod: 'body' },
      })
      return async (refreshToken) => {
        const { token } = await client.createToken({ refresh_token: refreshToken, expires_in: 0 }).refresh()
        return {
          accessToken: String(token['access_token']),
          refreshToken: String(token['refresh_token'] ?? refreshToken),
          expiresInSeconds: Number(token['expires_in']),
        }
      }
    }
    case 'curl':
      return async (refreshToken) => {
        const form = {
          grant_type: 'refresh_token',
          client_id: clientId,
          client_secret: clientSecret,
          refresh_token: refreshToken,
        }
        const data = Object.entries(form).flatMap(([name, value]) => ['--data-urlencode', `${name}=${value}`])
        const { stdout } = await promisify(execFile)('curl', ['--silent', '--request', 'POST', ...data, tokenEndpoint])
        const answer = JSON.parse(stdout) as Record<string, unknown>
        if (typeof answer['access_token'] !== 'string')
          throw Object.assign(new Error('refused'), { error: answer['error'] })
        return {
          accessToken: answer['access_token'],
          refreshToken: String(answer['refresh_token'] ?? refreshToken),
          expiresInSeconds: Number(answer['expires_in']),
        }
      }
  }
}

/** The `error` of the token endpoint, wherever the library puts it. */
function wordOf(error: unknown): string {
  const said = error as { error?: unknown; data?: { payload?: { error?: unknown } }; name?: string }
  return String(said.error ?? said.data?.payload?.error ?? said.name)
}
