/** The same protocol call as ours, and nothing else: a fresh connection, one form, one JSON answer; nothing is kept. */
import { request } from 'node:http'

export interface Granted {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
}

/** @returns exchanges each refresh token once, `atOnce` at a time, and returns exchanges a second */
export function prepareExchanges(endpoint: string, client: { readonly id: string; readonly secret: string }) {
  const exchange = (refreshToken: string): Promise<Granted> =>
    new Promise((resolve, reject) => {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        client_id: client.id,
        client_secret: client.secret,
      }).toString()
      const sent = request(
        endpoint,
        {
          method: 'POST',
          agent: false,
          headers: {
            accept: 'application/json',
            'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
            'content-length': Buffer.byteLength(form),
          },
        },
        (response) => {
          let body = ''
          response.setEncoding('utf8')
          response.on('data', (part: string) => (body += part))
          response.on('end', () => {
            if (response.statusCode === 200) resolve(JSON.parse(body) as Granted)
            else reject(new Error(`the token endpoint answered ${response.statusCode ?? 'nothing'}`))
          })
        },
      )
      sent.on('error', reject)
      sent.end(form)
    })

  return async (refreshTokens: readonly string[], atOnce: number): Promise<number> => {
    const startedAt = performance.now()
    const left = [...refreshTokens]
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const { access_token: accessToken } = await exchange(next)
        if (accessToken === '') throw new Error('the token endpoint granted nothing')
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    return (refreshTokens.length / (performance.now() - startedAt)) * 1000
  }
}
