/** Load on an HTTP server, from a process of its own so that it does not sit in the server's event loop. */
import { startProcess } from './other-process.ts'

export interface Load {
  /** http, with a port. */
  readonly url: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Kept alive, each with one request at a time. */
  readonly connections: number
  readonly forMs: number
}

export interface Loaded {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface LoadDriver extends AsyncDisposable {
  /** @throws Error the server answered with another status than 200, without a Content-Length, or hung up */
  run(load: Load): Promise<Loaded>
}

export function startLoadDriver(): LoadDriver {
  const child = startProcess(new URL('load-process.ts', import.meta.url), [])
  return {
    async run(load) {
      child.send(load)
      const loaded = await child.message<Loaded | { readonly wrong: string }>()
      if ('wrong' in loaded) throw new Error(`${load.url}: ${loaded.wrong}`)
      return loaded
    },
    [Symbol.asyncDispose]: () => child.end(),
  }
}
