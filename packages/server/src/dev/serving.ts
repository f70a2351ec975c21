/** The HTTP side of `tokenkeep dev`: the API and the drop-in token endpoint, for programs of this machine. */
import { createSystemClock, type Tokenkeep } from '@tokenkeep/node'
import type { Surroundings } from '../cli/surroundings.ts'
import { createApp } from '../http/app.ts'
import type { Metrics } from '../http/metrics.ts'
import { HTTP_SETTINGS } from '../http/settings.ts'
import { createLog } from '../serve/log.ts'
import { endOrderly } from '../serve/orderly-end.ts'
import { PROVIDER } from './demo.ts'

export interface Serving extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string
  /** The drop-in's. */
  readonly tokenEndpoint: string
  /** The page, with what lets the browser that opens it sign in once, within a minute. @param apiKey the id of a key */
  entry(apiKey: string): string
  /** No request is taken any more; those that are here are answered; then the data are closed. Once, whoever asks. */
  close(): Promise<void>
}

export interface ServingOptions {
  readonly keep: Tokenkeep
  readonly metrics: Metrics
  /** 0: a free one. */
  readonly port: number
  /** Of this program. */
  readonly version: string
  readonly around: Pick<Surroundings, 'complaints'>
}

/** @throws TokenError `in_use`: the port */
export async function startServing({ keep, metrics, port, version, around }: ServingOptions): Promise<Serving> {
  const log = createLog({ level: 'error', to: around.complaints })
  const app = createApp({ keep, settings: HTTP_SETTINGS, metrics, log, clock: createSystemClock(), version })
  const { url } = await app.listen({ host: '127.0.0.1', port })

  let ended: Promise<void> | null = null
  const close = (): Promise<void> => (ended ??= endOrderly({ app, keep, drainMs: 0 }))
  return {
    url,
    tokenEndpoint: `${url}/realms/${PROVIDER}/protocol/openid-connect/token`,
    entry: (apiKey) => `${url}${app.entry(apiKey)}`,
    close,
    [Symbol.asyncDispose]: close,
  }
}
