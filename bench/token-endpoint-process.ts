/**
 * A token endpoint that does as little as one can: reads a form, waits, answers with tokens that were never there before.
 * In a process of its own, so that what it costs is not in the event loop of whoever is measured.
 */
import { createServer, type ServerResponse } from 'node:http'
import process from 'node:process'
import { ACCESS_TOKEN_BYTES, issueToken, REFRESH_TOKEN_BYTES } from './issued-token.ts'

const delayMs = Number(process.argv[2])
let issued = 0

const server = createServer((request, response) => {
  let form = ''
  request.setEncoding('latin1')
  request.on('data', (part: string) => (form += part))
  request.on('end', () => {
    if (!form.includes('grant_type=refresh_token') || !form.includes('refresh_token=rt-')) {
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_request"}')
    } else if (delayMs > 0) {
      setTimeout(() => grant(response), delayMs)
    } else {
      grant(response)
    }
  })
})
server.listen(0, '127.0.0.1', 1024, () => {
  const address = server.address()
  process.send?.(typeof address === 'object' ? address?.port : null)
})
process.once('disconnect', () => process.exit())

function grant(response: ServerResponse): void {
  issued += 1
  const body = JSON.stringify({
    access_token: issueToken(`at-${issued}`, ACCESS_TOKEN_BYTES),
    token_type: 'Bearer',
    expires_in: 3600,
    refresh_token: issueToken(`rt-${issued}`, REFRESH_TOKEN_BYTES),
    scope: 'openid offline_access',
  })
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
  })
  response.end(body)
}
