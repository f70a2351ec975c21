/**
 * One request to an API, with a connection's token on it: streamed, and made once more after a 401.
 *
 * What it goes to is one of the provider's `apiBaseUrls` and a path below it; the address that the name resolves to is
 * checked and used. Redirects are answers like any other.
 *
 * @see RFC 6750 section 3.1 (401); RFC 9110 section 7.6 (forwarding), section 9.2.2 (what may be repeated)
 */
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { pipeline, type Readable } from 'node:stream'
import { NUMBERS, TokenError, type NotSentBecause, type Provider } from '@tokenkeep/core'
import { createApiAgents, NotConnected, type ApiAgents, type ApiRequestOptions } from './api-agents.ts'
import { saidOfProof } from './api-proofs.ts'
import { baseUrlOf, pathBelow } from './api-base-url.ts'
import { createOpenSocket, type DialSetup } from './dial.ts'
import { keepBody, type KeptBody } from './kept-body.ts'
import { anotherToken, unlessAborted, type RefusedTokenSetup } from './refused-token.ts'
import { TOKEN_HEADERS, tokenHeaders, type TokenWritten } from './token-header.ts'

/** Names and values, in their order; a name may come more than once. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

/** A request to an API, as a server took it over from its caller. */
export interface ApiRequest {
  /** Any but CONNECT, which is for proxies, and TRACE, whose answer would show the token. */
  readonly method: string
  /** What follows the base URL: empty, or from its slash on, escaped. */
  readonly path: string
  /** What stands behind the question mark; absent: there is none. */
  readonly query?: string | undefined
  /** One of the provider's `apiBaseUrls`; absent: the first. */
  readonly baseUrl?: string | undefined
  /** Those that the API shall see. Host, the framing of the body and what carries the token are written here. */
  readonly headers: HeaderList
  readonly body: Readable | null
  /** Ends the call when nothing has moved for so long, milliseconds. */
  readonly idleMs: number
  readonly signal?: AbortSignal | undefined
  /** Called between the hand-out of the token and the sending; what it throws is thrown. */
  readonly beforeSending?: (() => Promise<unknown>) | undefined
}

export type Forwarded = ApiAnswer | NotAnswered

export interface ApiAnswer {
  readonly kind: 'answer'
  readonly provider: string
  readonly status: number
  /** As they came, those of the connection included; without any that repeats the token. */
  readonly headers: HeaderList
  /** To be read to its end, or destroyed. It fails where the API breaks off, or nothing moves any longer. */
  readonly body: Readable
}

export interface NotAnswered {
  readonly kind: 'not_answered'
  readonly provider: string
  readonly because: NotAnsweredBecause
}

/** The first five: nothing was sent. */
export type NotAnsweredBecause =
  /** The name of the API was not found. */
  | 'dns'
  /** The name leads into a private network, and the provider is not allowed there. */
  | 'address_refused'
  | 'refused'
  | 'tls'
  | 'connect_timeout'
  /** The connection ended. */
  | 'closed'
  /** That was no HTTP. */
  | 'malformed'
  /** Nothing came for `idleMs`. */
  | 'silent'
  /** The body did not go on for `idleMs`. */
  | 'body_late'

export interface ForwardSetup extends RefusedTokenSetup, DialSetup {
  /** The connection, by its id, and its provider. */
  readonly connection: (connectionId: string) => Promise<Forwarding>
}

export interface Forwarding {
  readonly uid: string
  readonly provider: Pick<Provider, 'id' | 'apiBaseUrls' | 'allowPrivateNetwork'>
}

export interface Forward extends Disposable {
  /**
   * @param token hands out to whoever asks; as the setup does it where absent
   * @throws TokenError `invalid_input`: no such base URL, a path that leads out of it, a method that is not forwarded, a
   *   token that cannot be written; and whatever handing out a token throws
   * @throws unknown the reason of the signal, once it is aborted
   */
  (connectionId: string, asked: ApiRequest, token?: ForwardSetup['token']): Promise<Forwarded>
}

/** A body of so many bytes is kept, to be sent once more after a 401: forms and JSON, no files. */
const KEPT_BYTES_MOST = 64 * 1024
const REMEMBERED_MOST = 10_000
/** RFC 9110 section 9.2.2. */
const REPEATABLE: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']

export function createForward(setup: ForwardSetup): Forward {
  const agents = createApiAgents(createOpenSocket(setup), NUMBERS.connectDeadlineMs)
  const connection = remembering(setup.connection)
  const forward = (connectionId: string, asked: ApiRequest, token = setup.token) =>
    forwarded({ ...setup, connection, token }, agents, connectionId, asked)
  return Object.assign(forward, { [Symbol.dispose]: () => agents.close() })
}

/** While the store is away, what it said last: where tokens are handed out from memory, they can be used, too. */
function remembering(read: ForwardSetup['connection']): ForwardSetup['connection'] {
  const known = new Map<string, Forwarding>()
  return async (id) => {
    try {
      const found = await read(id)
      if (known.size >= REMEMBERED_MOST) known.clear()
      known.set(id, found)
      return found
    } catch (error) {
      const last = known.get(id)
      if (last === undefined || !(error instanceof TokenError) || error.code !== 'store_unavailable') throw error
      return last
    }
  }
}

async function forwarded(
  setup: ForwardSetup,
  agents: ApiAgents,
  connectionId: string,
  asked: ApiRequest,
): Promise<Forwarded> {
  const { signal = new AbortController().signal } = asked
  const { uid, provider } = await setup.connection(connectionId)
  const target = targetOf(asked, provider, connectionId)
  const body = asked.body === null ? null : keepBody(asked.body, KEPT_BYTES_MOST)

  /** The id may have been given to another connection meanwhile, whose token is not for this API. */
  const stillThis = async (): Promise<void> => {
    await asked.beforeSending?.()
    if ((await setup.connection(connectionId)).uid === uid) return
    throw new TokenError('unknown_connection', `connection "${connectionId}" was deleted meanwhile.`, {
      subject: connectionId,
    })
  }
  const use = { connectionId, provider: provider.id, method: asked.method, url: new URL(target.path, target.url) }
  const sendOnce = async (token: TokenWritten): Promise<IncomingMessage | Failed> => {
    const way = { target, method: asked.method, idleMs: asked.idleMs, signal }
    const over = async (agent: ApiAgents['kept' | 'single']): Promise<IncomingMessage | Failed> => {
      // A proof serves once, also where nobody knows whether it was read (RFC 9449 section 11.1).
      const headers = headersOf(target, asked, await tokenHeaders(token, use, setup.proofs))
      return exchange({ ...way, headers, agent, body: body?.open() ?? null })
    }
    const first = await over(agents[REPEATABLE.includes(asked.method) ? 'kept' : 'single'])
    // A connection that was kept, and had ended before it was used.
    if (!('because' in first) || !first.onKept || (body !== null && !body.isKept())) return first
    return over(agents.single)
  }
  /** Where only the nonce of its proof was wanting, once more with it. */
  const send = async (token: TokenWritten): Promise<IncomingMessage | Failed> => {
    const first = hear(await sendOnce(token))
    if ('because' in first || saidOfProofIn(first) !== 'nonce' || (body !== null && !body.isKept())) return first
    first.destroy()
    await stillThis()
    return hear(await sendOnce(token))
  }
  const hear = (response: IncomingMessage | Failed): IncomingMessage | Failed => {
    if (!('because' in response)) setup.proofs.heard(provider.id, use.url, response.headers['dpop-nonce'])
    return response
  }
  const answer = (response: IncomingMessage | Failed, { accessToken }: TokenWritten): Forwarded =>
    'because' in response
      ? { kind: 'not_answered', provider: provider.id, because: response.because }
      : {
          kind: 'answer',
          provider: provider.id,
          status: response.statusCode ?? 0,
          headers: pairsOf(response.rawHeaders).filter(([, value]) => !value.includes(accessToken)),
          body: response,
        }

  const token = await unlessAborted(setup.token(connectionId), signal)
  await stillThis()
  const first = await send(token)
  if ('because' in first || first.statusCode !== 401) return answer(first, token)
  // About the proof, not about the token: another token would fare no better.
  if (token.dpopJkt !== undefined && saidOfProofIn(first) !== null) return answer(first, token)
  const another = await whenRefused(setup, connectionId, token.accessToken, { body, signal })
  // Asked again: more of the body may have passed while the other token was waited for.
  if (another === null || (body !== null && !body.isKept())) return answer(first, token)
  first.destroy()
  await stillThis()
  const second = await send(another)
  // Once more would be one report too many for a request that it cannot help.
  if (!('because' in second) && second.statusCode === 401 && saidOfProofIn(second) === null)
    await report(setup, connectionId, another.accessToken)
  return answer(second, another)
}

const saidOfProofIn = ({ statusCode, headers }: IncomingMessage): ReturnType<typeof saidOfProof> =>
  statusCode === 401 ? saidOfProof(headers['www-authenticate'] ?? null, headers['dpop-nonce']) : null

/** Reports the token; another one is waited for only where it is of use. */
async function whenRefused(
  setup: ForwardSetup,
  connectionId: string,
  refused: string,
  { body, signal }: { readonly body: KeptBody | null; readonly signal: AbortSignal },
): Promise<TokenWritten | null> {
  if (body === null || body.isKept()) return anotherToken(setup, connectionId, refused, signal)
  await report(setup, connectionId, refused)
  return null
}

/** The caller gets the 401 all the same, which says more about its request than that we could not keep this in mind. */
const report = (setup: ForwardSetup, connectionId: string, refused: string): Promise<unknown> =>
  setup.rejected(connectionId, refused).catch(() => undefined)

// ---- what is asked -------------------------------------------------------------------------------------------------

interface Target {
  readonly url: URL
  readonly allowPrivateNetwork: boolean
  /** As it stands on the request line. */
  readonly path: string
}

function targetOf(asked: ApiRequest, provider: Forwarding['provider'], connectionId: string): Target {
  const refuse = (sentence: string): never => {
    throw new TokenError('invalid_input', sentence, { subject: connectionId })
  }
  const { method, query } = asked
  if (method === 'TRACE' || method === 'CONNECT') return refuse(`a request with the method ${method} is not forwarded`)
  const chosen = baseUrlOf(provider, asked.baseUrl)
  if ('wrong' in chosen) return refuse(chosen.wrong)
  const below = pathBelow(chosen.base, asked.path)
  if ('wrong' in below) return refuse(`the path for the API ${below.wrong}`)
  if (query !== undefined && !/^[\x21-\x7e]*$/.test(query)) {
    return refuse('the query for the API has a character that must be escaped')
  }
  return {
    url: new URL(chosen.base),
    allowPrivateNetwork: provider.allowPrivateNetwork,
    path: query === undefined ? below.path : `${below.path}?${query}`,
  }
}

/** Of this connection, or of the token. */
const WRITTEN_HERE: ReadonlySet<string> = new Set([
  ...TOKEN_HEADERS,
  'host',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
])

function headersOf(target: Target, asked: ApiRequest, written: Readonly<Record<string, string>>): readonly string[] {
  const length = asked.headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? null
  return [
    ['host', target.url.host] as const,
    ...asked.headers.filter(([name]) => !WRITTEN_HERE.has(name.toLowerCase())),
    ...Object.entries(written),
    ...framing(asked, length),
  ].flat()
}

/** Said in any case: with some methods Node would send a body whose end nobody could tell. */
function framing({ method, body }: ApiRequest, length: string | null): HeaderList {
  if (body === null) return ['POST', 'PUT', 'PATCH'].includes(method) ? [['content-length', '0']] : []
  return length !== null && /^\d+$/.test(length) ? [['content-length', length]] : [['transfer-encoding', 'chunked']]
}

const pairsOf = (raw: readonly string[]): HeaderList =>
  raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as const] : []))

// ---- one exchange --------------------------------------------------------------------------------------------------

interface Sending {
  readonly target: Target
  readonly method: string
  readonly headers: readonly string[]
  readonly body: Readable | null
  readonly agent: ApiAgents['kept']
  readonly idleMs: number
  readonly signal: AbortSignal
}

interface Failed {
  readonly because: NotAnsweredBecause
  /** It ended on a connection that had been used before, without a word. */
  readonly onKept: boolean
}

/** Sends, and waits for the head of the answer. @throws unknown the reason of the signal */
function exchange(sending: Sending): Promise<IncomingMessage | Failed> {
  const { target, method, body, agent, idleMs, signal } = sending
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      body?.destroy()
      reject(signal.reason as Error)
      return
    }
    const options: ApiRequestOptions = {
      agent,
      method,
      path: target.path,
      headers: sending.headers,
      setHost: false,
      to: { url: target.url, allowPrivateNetwork: target.allowPrivateNetwork },
    }
    const outgoing = request(options)
    const abort = (): void => {
      outgoing.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort)
    let failed: Error | null = null
    let silent: NotAnsweredBecause | null = null
    outgoing.setTimeout(idleMs, () => {
      silent = isBodyAwaited(outgoing) ? 'body_late' : 'silent'
      outgoing.destroy()
    })
    outgoing.once('response', (response) => {
      // Its end is told to whoever reads it; until somebody does, nobody must be hurt.
      response.on('error', () => undefined)
      resolve(response)
    })
    // To what nobody asked for.
    outgoing.once('upgrade', (_response, socket) => socket.destroy())
    outgoing.on('error', (error) => (failed ??= error))
    outgoing.once('close', () => {
      signal.removeEventListener('abort', abort)
      const because = silent ?? reasonOf(failed)
      resolve({ because, onKept: because === 'closed' && outgoing.reusedSocket })
    })
    if (body === null) outgoing.end()
    else pipeline(body, outgoing, () => undefined)
  })
}

/** Whether all that we have of the body is sent, and the rest does not come. */
const isBodyAwaited = (outgoing: ClientRequest): boolean => !outgoing.writableEnded && outgoing.writableLength === 0

function reasonOf(error: NodeJS.ErrnoException | null): NotAnsweredBecause {
  if (error instanceof NotConnected) return ofConnecting(error.because)
  return error?.code?.startsWith('HPE_') === true ? 'malformed' : 'closed'
}

function ofConnecting(because: NotSentBecause): NotAnsweredBecause {
  switch (because) {
    case 'dns':
    case 'address_refused':
    case 'refused':
    case 'tls':
      return because
    case 'timeout':
      return 'connect_timeout'
    case 'discovery':
    case 'send_limit':
    case 'client':
    case 'client_assertion_file':
    case 'client_certificate_expired':
    case 'grant_file':
    case 'source_connection':
    case 'closed':
      return 'closed'
  }
}
