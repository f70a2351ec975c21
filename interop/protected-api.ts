/** An API that a token is for: it checks Keycloak's signature by its JWKS, and asks whether the token was revoked. */
import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { accepts } from './api.ts'

export interface Call {
  readonly status: 200 | 401
  /** Of the body. */
  readonly bytes: number
}

export interface ProtectedApi {
  readonly url: string
  /** Oldest first. */
  readonly calls: () => readonly Call[]
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export async function startProtectedApi(issuer: string): Promise<ProtectedApi> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/protocol/openid-connect/certs`))
  const isGood = async (token: string): Promise<boolean> => {
    try {
      await jwtVerify(token, keys, { issuer })
      return await accepts(issuer, token)
    } catch {
      return false
    }
  }
  const calls: Call[] = []
  const server = createServer((request, response) => {
    void (async () => {
      let bytes = 0
      for await (const chunk of request) bytes += (chunk as Buffer).length
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
      const status = (await isGood(token)) ? 200 : 401
      calls.push({ status, bytes })
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ bytes }))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the API could not be started on 127.0.0.1')
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls: () => calls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
