/** A listener on this machine alone, for the one answer that a provider sends a browser back with (RFC 8252 section 7.3). */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TokenError, type ConnectFailure } from '@tokenkeep/core'
import type { Finished } from '@tokenkeep/node'
import { PAGE_HEADERS, pageHtml } from '../http/connect/page.ts'
import { answerTo } from '../http/connect/words.ts'

export interface LoopbackListener extends AsyncDisposable {
  readonly redirectUri: string
  /** What the person's attempt came to. Answers that are of no sign-in of ours do not end it. */
  readonly finished: Promise<
    { readonly kind: 'connected' } | { readonly kind: 'failed'; readonly because: ConnectFailure }
  >
}

/**
 * @param port 0: a free one
 * @param path where the answer comes to; everything else is not found
 * @throws TokenError `in_use`
 */
export async function listenForAnswer(of: {
  readonly port: number
  readonly path: string
  readonly finish: (answer: string) => Promise<Finished>
}): Promise<LoopbackListener> {
  const over = Promise.withResolvers<Awaited<LoopbackListener['finished']>>()
  // Nobody may be waiting yet, or any more.
  over.promise.catch(() => undefined)
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      send(
        response,
        503,
        pageHtml({ title: 'Not now', text: ['The answer could not be taken. Load this page again.'] }),
      )
      if (!(error instanceof TokenError)) over.reject(error)
    })
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { url = '/', method, headers } = request
    const address = server.address() as AddressInfo
    // A page of elsewhere can have a name re-bound to this machine, and cannot choose what the browser calls us.
    const ours = headers.host === `127.0.0.1:${address.port}`
    if (!ours || method !== 'GET' || url.split('?', 1)[0] !== of.path) {
      send(
        response,
        404,
        pageHtml({ title: 'There is nothing here', text: ['This waits for a sign-in to come back.'] }),
      )
      return
    }
    const finished = await of.finish(url)
    const { status, page } = answerTo(finished, 'begin again where you began')
    // First the page, then the end of this process.
    await new Promise<void>((resolve) => send(response, status, pageHtml(page), resolve))
    if (finished.kind === 'connected') over.resolve({ kind: 'connected' })
    else if (finished.kind === 'failed') over.resolve({ kind: 'failed', because: finished.because })
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' || error.code === 'EACCES'
          ? new TokenError('in_use', `port ${of.port} cannot be listened on: choose another one with --port`)
          : error,
      ),
    )
    server.listen(of.port, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    redirectUri: `http://127.0.0.1:${port}${of.path}`,
    finished: over.promise,
    async [Symbol.asyncDispose]() {
      server.closeIdleConnections()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const cut = setTimeout(() => server.closeAllConnections(), 500)
      await closed
      clearTimeout(cut)
    },
  }
}

function send(response: ServerResponse, status: number, html: string, done?: () => void): void {
  if (response.headersSent) return
  response.writeHead(status, {
    ...PAGE_HEADERS,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  })
  response.end(html, done)
}
