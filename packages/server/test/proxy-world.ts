/** An API behind the proxy: a real server that records what reached it, and a caller that shall never see the token. */
import { createServer, request, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { HttpSettings } from '../src/http/settings.ts'
import { openServedWorld, REALM, type ServedKey, type ServedWorld, type ServedWorldOptions } from './served-world.ts'

/** A request as it reached the API. */
export interface Reached {
  readonly method: string
  /** The request target, as it stood on the request line. */
  readonly target: string
  /** Names in lower case and values, in their order. */
  readonly headers: readonly (readonly [string, string])[]
  header(name: string): string | undefined
}

export interface Api extends AsyncDisposable {
  readonly origin: string
  readonly reached: readonly Reached[]
  /** What it does from now on; at first it answers 200 to every token, with an empty body. */
  does(listener: RequestListener): void
}

export async function startApi(): Promise<Api> {
  const reached: Reached[] = []
  let listener: RequestListener = (incoming, response) => {
    incoming.resume()
    response.end()
  }
  const sockets = new Set<Socket>()
  const server = createServer((incoming, response) => {
    reached.push(reachedBy(incoming))
    listener(incoming, response)
  })
  // What it does by itself would hide what was sent.
  server.on('checkExpectation', (incoming, response) => server.emit('request', incoming, response))
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reached,
    does: (next) => void (listener = next),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function reachedBy({ method = '', url = '', rawHeaders }: IncomingMessage): Reached {
  const headers = rawHeaders.flatMap((name, at) =>
    at % 2 === 0 ? [[name.toLowerCase(), rawHeaders[at + 1] ?? ''] as const] : [],
  )
  return { method, target: url, headers, header: (name) => headers.find(([each]) => each === name)?.[1] }
}

export interface ProxyWorld extends AsyncDisposable {
  readonly world: ServedWorld
  readonly api: Api
  /** With the scope `proxy` alone. */
  readonly caller: ServedKey
  /** Asks through the proxy. */
  call(target: string, asking?: Calling): Promise<Called>
}

export interface Calling {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
  readonly key?: string
  /** Where it is asked; the world's own server where absent. */
  readonly url?: string
}

export interface Called {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly text: string
  /** Of a problem. */
  readonly code: unknown
}

/** One connection, `dealer`, of a provider whose tokens are for the API. */
export async function openProxyWorld(
  more: {
    readonly options?: ServedWorldOptions
    readonly settings?: Partial<HttpSettings>
    readonly base?: string
  } = {},
): Promise<ProxyWorld> {
  const api = await startApi()
  const world = await openServedWorld({
    ...more.options,
    provider: { apiBaseUrls: [`${api.origin}${more.base ?? '/v2'}`], ...more.options?.provider },
    settings: more.settings ?? {},
  })
  await world.connect('dealer')
  const caller = await world.makeKey({ scopes: ['proxy'] })
  return {
    world,
    api,
    caller,
    call: (target, asking) => call(target, { url: world.url, key: caller.key, ...asking }),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    },
  }
}

function call(target: string, asking: Calling & { readonly url: string }): Promise<Called> {
  return new Promise((resolve, reject) => {
    const outgoing = open(target, asking, (incoming) => {
      const parts: Buffer[] = []
      incoming.on('data', (part: Buffer) => parts.push(part))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        const problem = incoming.headers['content-type']?.startsWith('application/problem+json') === true
        const code = problem ? (JSON.parse(text) as { readonly code: unknown }).code : undefined
        const { statusCode: status = 0, headers, rawHeaders } = incoming
        resolve({ status, headers, rawHeaders, text, code })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(asking.body)
  })
}

/** A request that is not ended yet. */
export function open(
  target: string,
  { method = 'GET', headers = {}, body, key, url }: Calling & { readonly url: string },
  answered: (incoming: IncomingMessage) => void,
) {
  const { hostname, port } = new URL(url)
  const all = {
    host: `127.0.0.1:${port}`,
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  }
  const list = Object.entries(all).flatMap(([name, value]) => [value].flat().flatMap((each) => [name, each]))
  return request({ hostname, port, method, path: target, headers: list, agent: false }, answered)
}

/** Answers with 401 unless one of these tokens was sent. */
export const demanding =
  (good: () => string, then: (incoming: IncomingMessage, response: ServerResponse) => void): RequestListener =>
  (incoming, response) => {
    if (incoming.headers.authorization === `Bearer ${good()}`) then(incoming, response)
    else {
      incoming.resume()
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('who are you')
    }
  }

export { REALM }
