/** Starts the bare token endpoint and says where it is. */
import { startProcess } from './other-process.ts'

export interface TokenEndpoint extends AsyncDisposable {
  readonly url: string
}

/** @param delayMs how long each answer takes, beside its work */
export async function startTokenEndpoint({ delayMs }: { readonly delayMs: number }): Promise<TokenEndpoint> {
  const child = startProcess(new URL('token-endpoint-process.ts', import.meta.url), [String(delayMs)])
  const port = await child.message<number>()
  return { url: `http://127.0.0.1:${port}/token`, [Symbol.asyncDispose]: () => child.end() }
}
