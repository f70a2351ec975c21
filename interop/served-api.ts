/** What a program of yours asks of `tokenkeep serve`, with an API key. */
import assert from 'node:assert/strict'
import type { Served } from './installation.ts'

export interface Link {
  readonly id: string
  /** For one person. */
  readonly url: string
}

export interface LinkState {
  readonly status: string
  readonly renewed: boolean | null
  readonly failure: { readonly because: string } | null
}

export interface Handed {
  readonly status: number
  /** Null: none was handed out. */
  readonly accessToken: string | null
  readonly expiresInSeconds: number
  /** Why there is none, as `needs_user` says it. */
  readonly reason: string | null
}

export interface ServedApi {
  readonly link: (session: Readonly<Record<string, unknown>>) => Promise<Link>
  readonly linkState: (link: Link) => Promise<LinkState>
  readonly token: (connection: string) => Promise<Handed>
}

export function servedApi({ url }: Served, key: string): ServedApi {
  const authorization = `Bearer ${key}`
  const asked = async <Answer>(path: string, body?: unknown): Promise<{ status: number; body: Answer }> => {
    const answer = await fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
    return { status: answer.status, body: (await answer.json()) as Answer }
  }
  return {
    async link(session) {
      const { status, body } = await asked<Link>('/v1/connect-sessions', session)
      assert.equal(status, 201, `tokenkeep serve made no link: ${JSON.stringify(body)}`)
      return body
    },
    linkState: async ({ id }) => (await asked<LinkState>(`/v1/connect-sessions/${id}`)).body,
    async token(connection) {
      const { status, body } = await asked<{
        readonly access_token?: string
        readonly expires_in?: number
        readonly reason?: string
      }>(`/v1/connections/${connection}/token`)
      const { access_token: accessToken = null, expires_in: expiresInSeconds = 0, reason = null } = body
      return { status, accessToken, expiresInSeconds, reason }
    },
  }
}
