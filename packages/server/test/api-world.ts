/** The world of the drop-in's tests, asked through the API: every answer is compared with the published contract. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MonoMs, UnixMs } from '@tokenkeep/core'
import { openTokenkeep, type ApiKeyScope, type Tokenkeep } from '@tokenkeep/node'
import { OPERATIONS, type Operation, type OperationId } from '../src/api/operations.ts'
import { createApp, type App, type AppSetup, type ListenOptions } from '../src/http/app.ts'
import { HTTP_SETTINGS, type HttpSettings } from '../src/http/settings.ts'
import { createLog } from '../src/serve/log.ts'
import { createMetrics } from '../src/serve/metrics-prometheus.ts'
import { openAnyRequests, type Answer, type Sent } from './any-request.ts'
import { readContract, type Contract } from './contract.ts'
import { openServedWorld, PATIENT, type ServedKey, type ServedWorld, type ServedWorldOptions } from './served-world.ts'

/** One HTTP server, and how it is asked. */
export interface ApiServer {
  readonly app: App
  readonly url: string
  readonly port: number
  /** One operation of the API, by its name. */
  ask(operation: OperationId, asking?: Asking): Promise<Answer>
  /** Any request. */
  send(request: Sent): Promise<Answer>
}

export interface Asking {
  /** What stands in the path. */
  readonly ids?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: unknown
  /** The API key; that of `admin` where absent, none where null. */
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export interface ApiWorld extends ApiServer, AsyncDisposable {
  readonly world: ServedWorld
  readonly keep: Tokenkeep
  readonly folder: string
  readonly path: string
  readonly keyFile: string
  readonly contract: Contract
  /** Everything that was asked, and what came. */
  readonly heard: readonly { readonly sent: Sent; readonly answer: Answer }[]
  /** Everything that was logged. */
  logged(): string
  /** Another HTTP server, on the same Tokenkeep unless another is given. */
  serve(
    settings?: Partial<HttpSettings>,
    setup?: Partial<Pick<AppSetup, 'keep' | 'clock'> & ListenOptions>,
  ): Promise<ApiServer>
  /** Another Tokenkeep on the same file, as another process would open it. */
  reopen(): Promise<Tokenkeep>
  key(scopes: readonly ApiKeyScope[], labels?: Readonly<Record<string, string>>): Promise<ServedKey>
}

export async function openApiWorld(options: ServedWorldOptions = {}): Promise<ApiWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-api-'))
  const file = { path: join(folder, 'data', 'tokenkeep.db'), keyFile: join(folder, 'config', 'test.key') }
  const metrics = createMetrics({ version: '0.0.0' })
  const lines: string[] = []
  const log = createLog({ level: 'debug', to: collecting(lines) })
  const world = await openServedWorld({ ...options, open: { ...file, ...options.open, onEvent: metrics.heard } })
  const { keep, admin } = world
  const opened: { close(): Promise<void> }[] = []
  const heard: { readonly sent: Sent; readonly answer: Answer }[] = []

  let contract: Contract | null = null
  const requests = openAnyRequests({
    heard(sent, answer) {
      heard.push({ sent, answer })
      contract?.check(sent, answer)
    },
  })
  const serve: ApiWorld['serve'] = async (settings = {}, { host = '127.0.0.1', tls, ...setup } = {}) => {
    const app = createApp({
      keep,
      settings: { ...HTTP_SETTINGS, ...PATIENT, ...options.settings, ...settings },
      metrics,
      log,
      clock: systemClock,
      version: '0.0.0',
      ...setup,
    })
    const { url, port } = await app.listen({ host, port: 0, tls })
    opened.push({ close: () => app.close(0) })
    const send: ApiServer['send'] = (sent) => requests.send(port, sent)
    return { app, url, port, send, ask: (operation, asking) => send(sentBy(operation, { key: admin.key, ...asking })) }
  }
  const first = await serve()
  contract = readContract((await first.send({ target: '/openapi.json' })).text)

  return {
    ...first,
    world,
    keep,
    folder,
    path: file.path,
    keyFile: file.keyFile,
    contract,
    heard,
    logged: () => lines.join(''),
    serve,
    async reopen() {
      const another = await openTokenkeep({ ...file, background: false })
      opened.push(another)
      return another
    },
    key: (scopes, labels = {}) => world.makeKey({ scopes, labels }),
    async [Symbol.asyncDispose]() {
      requests.close()
      for (const each of opened) await each.close()
      await world[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export const systemClock: AppSetup['clock'] = {
  now: () => ({ wall: Date.now() as UnixMs, mono: performance.now() as MonoMs }),
}

/** The request that the table of operations describes. */
export function sentBy(id: OperationId, { ids = {}, query, body, key, headers = {} }: Asking): Sent {
  const { method, path }: Operation = OPERATIONS[id]
  const target = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(ids[name] ?? `no-${name}`))
  return {
    method,
    target: query === undefined ? target : `${target}?${query}`,
    headers: {
      ...(key == null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }
}

/** Keeps the event loop of this process, and so of its servers, from turning in time, until it is disposed of. */
export function busyLoop(): Disposable {
  const timer = setInterval(() => {
    const until = performance.now() + 80
    while (performance.now() < until);
  }, 1)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Asks until it is answered with this status, for ten seconds at most. */
export async function askUntil(status: number, ask: () => Promise<Answer>): Promise<Answer> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const answer = await ask()
    if (answer.status === status || Date.now() > deadline) return answer
    await sleep(20)
  }
}

const collecting = (lines: string[]): Writable =>
  new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      lines.push(line)
      done()
    },
  })
