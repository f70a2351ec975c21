import type { IncomingMessage, ServerResponse } from 'node:http'
import { jsonAnswer, send } from './answer.ts'
import type { Control } from './control.ts'
import { isOperation, OPERATIONS, READING, type Operation } from './control-operations.ts'
import { InvalidInput, type JsonObject } from './json-shape.ts'
import { readBody } from './request-body.ts'

export const CONTROL_PATH = '/control'

/**
 * Serves the control API to programs on this machine, and to nobody else.
 *
 * Besides the address of the caller, `Host` must be a loopback name (a page whose name was rebound to 127.0.0.1 sends its
 * own), `Origin` must be absent or ours, and a POST must say that it is JSON (a form of another site cannot).
 */
export async function serveControl(
  control: Control,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refusal = whyRefused(callerOf(request))
  if (refusal !== null) {
    send(response, jsonAnswer(403, { error: 'forbidden', message: refusal }))
    return
  }
  const name = path.slice(1)
  if (name === '') {
    send(response, jsonAnswer(200, { operations: OPERATIONS, reading: READING }))
    return
  }
  if (!isOperation(name)) {
    const known = Object.keys(OPERATIONS).join(', ')
    send(response, jsonAnswer(404, { error: 'not_found', message: `no operation ${name}; known: ${known}` }))
    return
  }
  try {
    const given = await readArguments(name, request)
    const result = await call(control, name, given)
    send(response, jsonAnswer(200, result === undefined ? {} : result))
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    send(response, jsonAnswer(400, { error: 'invalid_input', message: error.message }))
  }
}

/** Who asks, as far as the socket and the headers tell. */
export interface Caller {
  readonly remoteAddress: string
  readonly localPort: number
  readonly host: string
  /** null: no `Origin` header. */
  readonly origin: string | null
}

/** Says why a caller may not use the control API; null when it may. */
export function whyRefused({ remoteAddress, localPort, host, origin }: Caller): string | null {
  if (!isLoopback(remoteAddress)) return 'the control API answers on this machine only'
  const names = ['127.0.0.1', 'localhost', '[::1]'].map((name) => `${name}:${localPort}`)
  if (!names.includes(host)) return `Host ${host} is not a loopback name of this server`
  if (origin !== null && !names.some((name) => origin === `http://${name}`)) return `Origin ${origin} is foreign`
  return null
}

function callerOf({ socket, headers }: IncomingMessage): Caller {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    localPort: socket.localPort ?? 0,
    host: headers.host ?? '',
    origin: headers.origin ?? null,
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

async function readArguments(name: Operation, request: IncomingMessage): Promise<JsonObject> {
  if (request.method === 'GET' && READING.includes(name)) {
    return Object.fromEntries(new URL(request.url ?? '/', 'http://localhost').searchParams)
  }
  if (request.method !== 'POST') throw new InvalidInput(`${name} is called with POST`)
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new InvalidInput('content-type must be application/json')
  }
  const body = await readBody(request)
  if (body === null) throw new InvalidInput('body too large')
  const given = parse(body === '' ? '{}' : body)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidInput(`the body must be a JSON object with: ${OPERATIONS[name].join(', ') || 'nothing'}`)
  }
  const known: readonly string[] = OPERATIONS[name]
  const stranger = Object.keys(given).find((key) => !known.includes(key))
  if (stranger !== undefined) {
    throw new InvalidInput(`${name} knows no ${stranger}; it takes: ${known.join(', ') || 'nothing'}`)
  }
  return given as JsonObject
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new InvalidInput('the body is not JSON')
  }
}

function call(control: Control, name: Operation, given: JsonObject): Promise<unknown> {
  const values = OPERATIONS[name].map((key) => given[key])
  const nameless = OPERATIONS[name].findIndex((key) => isName(key) && typeof given[key] !== 'string')
  const missing = OPERATIONS[name][nameless]
  if (missing !== undefined) throw new InvalidInput(`${missing} must be a text`)
  // The methods check the shape of everything that is not a name themselves.
  const method = control[name] as (...given: readonly unknown[]) => Promise<unknown>
  return method.apply(control, values)
}

function isName(key: string): boolean {
  return ['realm', 'clientId', 'sessionId', 'token', 'userCode'].includes(key)
}
