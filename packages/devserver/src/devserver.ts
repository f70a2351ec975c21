import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { jsonAnswer, send } from './answer.ts'
import type { Control } from './control.ts'
import { CONTROL_PATH, serveControl } from './control-api.ts'
import { createControl } from './control-desk.ts'
import { DEMO_API_PATH, serveDemoApi } from './demo-api.ts'
import { FaultMenu } from './fault.ts'
import type { DevserverOptions } from './options.ts'
import { readDevserverOptions } from './options-shape.ts'
import { openRealm, type Realm } from './realm.ts'
import { serveRealm } from './realm-routes.ts'
import { RequestLog } from './request-log.ts'
import { SeenProofs } from './seen-proofs.ts'
import { State } from './state.ts'
import { Tally } from './totals.ts'
import { Turns } from './turns.ts'
import type { World } from './world.ts'

/** Where a running devserver is found. */
export interface Addresses {
  /** `http://127.0.0.1:port`, or https */
  readonly origin: string
  /** `{origin}/control` */
  readonly controlUrl: string
  /** The full URL of the offers. */
  readonly demoApi: string
  issuer(realm: string): string
  tokenEndpoint(realm: string): string
}

/** A devserver in this process. */
export interface Devserver extends Addresses, AsyncDisposable {
  readonly control: Control
  /** Resolves when it is closed, by whomever. */
  readonly closed: Promise<void>
  /** Answers what is in hand (waits at most a second), then closes; state is durable already. */
  close(): Promise<void>
}

/** The port is taken; the message says which and what to do. */
export class PortInUse extends Error {
  override readonly name = 'PortInUse'
}

const PATIENCE_MS = 1000 // Requests in hand at close need milliseconds; what takes longer is a client that went away.

/**
 * Starts a devserver in this process.
 *
 * @throws {PortInUse} another program holds the port
 * @throws {StateUnusable} the state file is held by another devserver, not ours, or not writable
 * @throws {InvalidInput} an option has the wrong shape
 */
export async function startDevserver(options: DevserverOptions = {}): Promise<Devserver> {
  const settled = readDevserverOptions(options)
  const state = new State(settled.stateFile ?? null)
  const server = serverFor(settled)
  try {
    await listen(server, settled.host ?? '127.0.0.1', settled.port ?? 0)
    return await open(server, state, settled)
  } catch (error) {
    server.close()
    state.close()
    throw error
  }
}

export function addressesAt(origin: string): Addresses {
  return {
    origin,
    controlUrl: `${origin}${CONTROL_PATH}`,
    demoApi: `${origin}${DEMO_API_PATH}`,
    issuer: (realm) => `${origin}/realms/${realm}`,
    tokenEndpoint: (realm) => `${origin}/realms/${realm}/protocol/openid-connect/token`,
  }
}

async function open(server: Server, state: State, options: DevserverOptions): Promise<Devserver> {
  const origin = originOf(server, options.tls === undefined ? 'http' : 'https')
  const closing = new AbortController()
  const world: World = {
    origin,
    state,
    realms: await openRealms(state, origin, options),
    faults: new FaultMenu(),
    tally: new Tally(state),
    log: new RequestLog(),
    turns: new Turns(),
    proofs: new SeenProofs(),
    closing: closing.signal,
  }
  const inHand = new Set<Promise<void>>()
  let closed: Promise<void> | null = null
  const { promise: whenClosed, resolve: tellClosed } = Promise.withResolvers<void>()

  const shut = async () => {
    closing.abort()
    server.close()
    server.closeIdleConnections()
    const patience = AbortSignal.timeout(PATIENCE_MS)
    const outOfPatience = new Promise<void>((resolve) => void patience.addEventListener('abort', () => resolve()))
    await Promise.race([Promise.allSettled(inHand), outOfPatience])
    server.closeAllConnections()
    await Promise.allSettled(inHand)
    world.tally.close()
    state.close()
    tellClosed()
  }
  const close = () => (closed ??= shut())
  const control = createControl(world, () => void setImmediate(() => void close()))

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const work = serve(world, control, request, response).catch((error: unknown) => fail(response, error))
    inHand.add(work)
    void work.finally(() => inHand.delete(work))
  })
  return { ...addressesAt(origin), control, closed: whenClosed, close, [Symbol.asyncDispose]: close }
}

async function serve(world: World, control: Control, request: IncomingMessage, response: ServerResponse) {
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  if (path === DEMO_API_PATH) return serveDemoApi(world, request, response)
  if (path === CONTROL_PATH || path.startsWith(`${CONTROL_PATH}/`)) {
    return serveControl(control, path.slice(CONTROL_PATH.length), request, response)
  }
  const [, name, rest] = /^\/realms\/([^/]+)(\/.*)$/.exec(path) ?? []
  const realm = name === undefined ? undefined : world.realms.get(name)
  if (realm && rest !== undefined) return serveRealm(world, { realm, path: rest, request, response })
  const realms = [...world.realms.values()].map(({ issuer }) => issuer)
  const here = { devserver: 'tokenkeep', realms, demoApi: `${world.origin}${DEMO_API_PATH}` }
  if (path === '/') send(response, jsonAnswer(200, here))
  else send(response, jsonAnswer(404, { error: 'not_found', message: `nothing at ${path}`, ...here }))
}

function fail(response: ServerResponse, error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
  if (!response.headersSent) send(response, jsonAnswer(500, { error: 'server_error' }))
  else response.destroy()
}

async function openRealms(state: State, origin: string, options: DevserverOptions): Promise<Map<string, Realm>> {
  const known = state.rows('SELECT name FROM realm ORDER BY rowid').map((row) => ({ name: String(row['name']) }))
  const given = options.realms ?? (known.length === 0 ? [{ name: 'external' }] : [])
  const untouched = known.filter(({ name }) => !given.some((realm) => realm.name === name))
  const realms = new Map<string, Realm>()
  for (const realm of [...untouched, ...given]) realms.set(realm.name, await openRealm(state, origin, realm))
  return realms
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject).listen(port, host, resolve)
  try {
    await promise
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new PortInUse(
        `port ${port} on ${host} is in use: stop the program that holds it, or choose another port (0 takes a free one)`,
      )
    }
    if (error instanceof Error && 'code' in error && error.code === 'EACCES') {
      throw new PortInUse(
        `port ${port} on ${host} may not be opened by this user, as it is with ports below 1024: choose another port (0 takes a free one)`,
      )
    }
    throw error
  } finally {
    server.off('error', reject)
  }
}

/** Every certificate is taken, and judged by the client that shows it. */
function serverFor({ tls }: DevserverOptions): Server {
  if (tls === undefined) return createServer()
  const { cert, key, clientCa } = tls
  return createTlsServer({
    cert,
    key,
    requestCert: true,
    rejectUnauthorized: false,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
  })
}

function originOf(server: Server, scheme: 'http' | 'https'): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no TCP address')
  const everywhere = address.address === '0.0.0.0' || address.address === '::'
  const host = everywhere ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${scheme}://${host}:${address.port}`
}
