/** One request to a server, and its answer: sent once, to nobody else, and believed only where Tokenkeep wrote it. */
import { TICK_MS, TokenError, type Secret } from '@tokenkeep/core'
import { UnlikeTheWire } from './members.ts'
import { refusalOf } from './refusal.ts'
import { transmit, type Received } from './transmission.ts'
import { tooLate, unreachable, type Lost } from './unreachable.ts'

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Behind the server's URL, with every id escaped. */
  readonly path: string
  readonly query?: URLSearchParams
  /** Sent as JSON, without what is undefined. */
  readonly body?: object
  /** RFC 7240. */
  readonly prefer?: string
  /** When it is given up, milliseconds. */
  readonly withinMs?: number
}

export interface Exchange {
  /**
   * @param read makes our object of the JSON that was answered; `UnlikeTheWire` from it is an answer of somebody else
   * @throws TokenError what the server said, or `server_unreachable`
   */
  ask<Result>(asked: Asked, read: (answer: unknown, receivedAtMs: number) => Result): Promise<Result>
  /** Gives up what is on its way. The server goes on with it. */
  close(): void
}

export interface Server {
  /** Without a slash at the end. */
  readonly url: string
  readonly apiKey: Secret<'api_key'>
  /** Epoch milliseconds. */
  now(): number
}

/** What a server does by itself takes milliseconds. Longer than it gives a request to arrive, and a proxy to wait. */
const WITHIN_MS = 30_000
/** A page of 1000 connections with all their labels fits several times. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

export function createExchange({ url: server, apiKey, now }: Server): Exchange {
  const closing = new AbortController()

  const answerTo = async (asked: Asked, lost: Lost): Promise<Received & { readonly receivedAtMs: number }> => {
    const { method, path, query, body, prefer, withinMs = WITHIN_MS } = asked
    const ending = new AbortController()
    const deadline = startDeadline(withinMs, () => ending.abort())
    let receivedAtMs = 0
    try {
      const received = await transmit(
        new URL(`${server}${path}${search(query)}`),
        {
          method,
          headers: {
            accept: 'application/json, application/problem+json',
            authorization: `Bearer ${apiKey.reveal()}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...(prefer === undefined ? {} : { prefer }),
          },
          body: body === undefined ? '' : JSON.stringify(body),
          signal: AbortSignal.any([closing.signal, ending.signal]),
        },
        { onHead: () => (receivedAtMs = now()), bytesMax: ANSWER_BYTES_MAX },
      )
      return { ...received, receivedAtMs }
    } catch (error) {
      if (closing.signal.aborted) throw new TokenError('closed', 'this client of a server is closed.')
      throw deadline.passed() ? tooLate(lost, withinMs) : unreachable(error, lost)
    } finally {
      deadline.cancel()
    }
  }

  return {
    async ask(asked, read) {
      let status = 0
      try {
        const answer = await answerTo(asked, { server, changes: asked.method !== 'GET' })
        status = answer.status
        const { mediaType, receivedAtMs, location, text } = answer
        // Whoever redirects would choose who gets the key.
        if (status >= 300 && status < 400) throw redirected(server, location, status)
        if (text === null) throw new UnlikeTheWire('it does not end')
        if (status < 300 && mediaType === 'application/json') return read(jsonOf(text), receivedAtMs)
        if (status >= 400 && mediaType === 'application/problem+json') {
          // An echo of somebody else must not bring the key into an error.
          throw refusalOf(jsonOf(text.replaceAll(apiKey.reveal(), `[${apiKey.kind}]`)), { status, server })
        }
        throw new UnlikeTheWire('it is not of the media type that Tokenkeep answers with')
      } catch (error) {
        throw error instanceof UnlikeTheWire ? notTokenkeep(error, status, server) : error
      }
    },
    close: () => closing.abort(),
  }
}

const search = (query: URLSearchParams | undefined): string =>
  query === undefined || query.size === 0 ? '' : `?${query.toString()}`

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, and with it perhaps a token.
    throw new UnlikeTheWire('it is not JSON')
  }
}

const notTokenkeep = ({ message }: UnlikeTheWire, status: number, server: string): TokenError =>
  new TokenError(
    'server_unreachable',
    `what answered at ${server}${status === 0 ? '' : ` (status ${status})`} is no Tokenkeep, or of another version: ` +
      `${message}. Look at the URL, and at what stands before the server.`,
  )

function redirected(server: string, location: string | null, status: number): TokenError {
  const target = location === null ? null : URL.parse(location, server)
  const there = target === null || !/^https?:$/.test(target.protocol) ? '' : ` to ${target.origin}`
  return new TokenError(
    'invalid_input',
    `${server} redirects${there} (status ${status}), and the API key goes nowhere else by itself: ` +
      'give the URL at which the server answers.',
  )
}

interface Deadline {
  passed(): boolean
  cancel(): void
}

/**
 * Counted in ticks of the running event loop: after this machine has slept, an answer that is there already is read before
 * it is called late.
 */
function startDeadline(withinMs: number, end: () => void): Deadline {
  let ticks = Math.ceil(withinMs / TICK_MS)
  let timer: NodeJS.Timeout | undefined
  let cancelled = false
  const tick = (): void => {
    timer = setTimeout(() => setImmediate(count), TICK_MS)
  }
  const count = (): void => {
    if (cancelled) return
    ticks -= 1
    if (ticks <= 0) end()
    else tick()
  }
  tick()
  return {
    passed: () => ticks <= 0,
    cancel() {
      cancelled = true
      clearTimeout(timer)
    },
  }
}
