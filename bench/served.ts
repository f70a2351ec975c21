/** An installation behind `tokenkeep serve`, as operators start it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openInstallation } from './installation.ts'

export interface Served extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string
  readonly connection: string
  /** An API key with scope `token:read`, and its id. */
  readonly key: string
  readonly clientId: string
  /** Of ours, for that key. */
  readonly refreshToken: string
}

const HOUR_MS = 3_600_000
const LAUNCHER = fileURLToPath(new URL('../packages/server/bin/tokenkeep.js', import.meta.url))

/** Serves one connection whose access token lives for an hour. */
export async function serveInstallation(): Promise<Served> {
  const installation = await openInstallation({})
  const { keep } = installation
  // A client that asks ten thousand times a second looks like one whose token is refused. Where a refresh would end the
  // tokens before it, that is never believed.
  await keep.providers.put({
    id: 'bare',
    tokenEndpoint: 'http://127.0.0.1:9/token',
    reuse: { kind: 'strict' },
    refreshKillsAccessToken: true,
  })
  const [connection = ''] = await installation.connect('dealer', 1, HOUR_MS)
  const { apiKey, key } = await keep.apiKeys.create({ name: 'bench' })
  const { refreshToken } = await keep.localRefreshTokens.share(connection, { with: apiKey.id })
  await keep.close()
  const { child, url } = await startServer([
    ...['--data', dirname(installation.database), '--key-file', installation.keyFile, '--json'],
    ...['serve', '--port', '0', '--caller-requests-per-10s', '0'],
  ])
  return {
    url,
    connection,
    key,
    clientId: apiKey.id,
    refreshToken,
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
      await installation[Symbol.asyncDispose]()
    },
  }
}

async function startServer(parameters: readonly string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [LAUNCHER, ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { readonly url: string }
    child.stdout.resume()
    return { child, url }
  }
  throw new Error('`tokenkeep serve` ended before it was ready')
}
