import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AnswerFault } from './fault.ts'
import type { JsonObject } from './json-shape.ts'

/** A complete answer, not yet sent. */
export interface Answer {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: string
}

/** What a client saw of an answer: its status, or that the connection broke before one. */
export type Seen = number | 'dropped'

/** A fault that puts something in an answer's place; `delay` only makes one wait. */
export type Replacement = Exclude<AnswerFault, { kind: 'delay' }>

const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' } as const

export function jsonAnswer(status: number, body: unknown, headers: OutgoingHttpHeaders = {}): Answer {
  return { status, headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(body) }
}

export function send(response: ServerResponse, answer: Answer): Seen {
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const length = Buffer.byteLength(answer.body)
  response.writeHead(answer.status, { ...answer.headers, 'content-length': length }).end(answer.body)
  return answer.status
}

/**
 * Plays a fault in place of an answer.
 *
 * @param answer what would have been said; null when the request was not carried out
 * @param until aborted when the server closes: slow and endless bodies end then
 */
export async function play(
  fault: Replacement,
  { response, answer, until }: { response: ServerResponse; answer: Answer | null; until: AbortSignal },
): Promise<Seen> {
  switch (fault.kind) {
    case 'drop':
      response.socket?.resetAndDestroy()
      return 'dropped'
    case 'status': {
      const headers = { 'cache-control': 'no-store', ...fault.headers }
      return send(response, { status: fault.status, headers, body: fault.body ?? '' })
    }
    case 'html':
      return send(response, htmlAnswer(fault.status ?? 502))
    case 'broken_json':
      return send(response, { status: 200, headers: JSON_HEADERS, body: '{"access_token": broken, "expires_in"' })
    case 'error_in_200':
      return send(response, jsonAnswer(200, { error: fault.error, error_description: 'a fault of the devserver' }))
    case 'invalid_grant':
      return send(response, jsonAnswer(400, { error: 'invalid_grant', error_description: 'Token is not active' }))
    case 'use_dpop_nonce':
      return send(response, useNonce(answer))
    case 'omit':
      return send(
        response,
        changed(answer, (body) => without(body, fault.field)),
      )
    case 'replace':
      return send(
        response,
        changed(answer, (body) => (fault.field in body ? { ...body, [fault.field]: fault.value } : body)),
      )
    case 'truncated':
      return truncate(response, answer ?? STAND_IN, fault)
    case 'endless_body':
      return stream(response, endless(fault.bytes), { every: 0, until })
    case 'slow_body':
      return stream(response, slowly((answer ?? STAND_IN).body, fault.bytesPerSecond), {
        every: 1000 / Math.min(fault.bytesPerSecond, 10),
        until,
      })
  }
}

// What a request that was not carried out is answered with where a body is needed to spoil.
const STAND_IN = jsonAnswer(200, { access_token: 'never-issued', expires_in: 300, token_type: 'Bearer' })

function htmlAnswer(status: number): Answer {
  const body = `<!doctype html><html><head><title>${status}</title></head><body><h1>${status}</h1><hr>proxy</body></html>\n`
  return { status, headers: { 'content-type': 'text/html' }, body }
}

function useNonce(answer: Answer | null): Answer {
  const nonce = answer?.headers['dpop-nonce'] ?? 'a-nonce-of-a-realm-without-nonces'
  return jsonAnswer(400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': nonce })
}

function changed(answer: Answer | null, change: (body: JsonObject) => JsonObject): Answer {
  if (answer === null) throw new Error('an answer is changed only after the request was carried out')
  if (!answer.body.startsWith('{')) return answer // A revocation is answered with nothing; nothing lacks no member.
  return { ...answer, body: JSON.stringify(change(JSON.parse(answer.body) as JsonObject)) }
}

function without(body: JsonObject, member: string): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== member))
}

async function truncate(
  response: ServerResponse,
  answer: Answer,
  { keepBytes, keep }: { keepBytes?: number; keep?: 'after_refresh_token' },
): Promise<Seen> {
  const whole = Buffer.from(answer.body)
  const most = Math.max(0, whole.length - 1) // A whole body would not be truncated.
  const wanted = keep === undefined ? (keepBytes ?? Math.floor(whole.length / 2)) : afterRefreshToken(answer.body)
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  response.writeHead(answer.status, { ...answer.headers, 'content-length': whole.length })
  response.flushHeaders()
  await new Promise<void>((resolve) => void response.write(whole.subarray(0, Math.min(wanted, most)), () => resolve()))
  response.socket?.destroy()
  return answer.status
}

function afterRefreshToken(body: string): number {
  const found = /"refresh_token"\s*:\s*"[^"]*"/.exec(body)
  return found ? Buffer.byteLength(body.slice(0, found.index + found[0].length)) : Math.floor(body.length / 2)
}

function* endless(bytes: number): Generator<string> {
  yield '{"access_token":"'
  const block = 'A'.repeat(65_536)
  for (let left = bytes; left > 0; left -= block.length) yield left < block.length ? block.slice(0, left) : block
}

function* slowly(body: string, bytesPerSecond: number): Generator<string> {
  const step = Math.max(1, Math.round(bytesPerSecond / 10))
  for (let at = 0; at < body.length; at += step) yield body.slice(at, at + step)
}

async function stream(
  response: ServerResponse,
  pieces: Iterable<string>,
  { every, until }: { every: number; until: AbortSignal },
): Promise<Seen> {
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  response.writeHead(200, JSON_HEADERS)
  for (const piece of pieces) {
    if (response.destroyed || until.aborted) break
    const hasRoom = response.write(piece)
    if (!hasRoom) await roomOrEnd(response)
    if (every > 0) await sleep(every, undefined, { signal: until }).catch(() => undefined)
  }
  if (until.aborted) response.destroy()
  else response.end()
  return 200
}

function roomOrEnd(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
