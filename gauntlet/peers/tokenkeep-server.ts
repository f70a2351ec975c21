/** Tokenkeep as a server: every process asks `tokenkeep serve` by HTTP, for each call. */
import type { Place, SignIn } from '../driver.ts'
import { crashDaemon, findDaemon, type Daemon } from './tokenkeep-daemon.ts'
import { importSignIn, seedWith, WAIT_SECONDS } from './tokenkeep-installation.ts'

let at: Place | null = null
let daemon: Daemon | null = null

export async function start(place: Place): Promise<number> {
  at = place
  daemon = await findDaemon(place)
  return daemon.pid
}

export async function seed(signIn: SignIn, followed: 'by_more' | 'by_none'): Promise<void> {
  if (at === null) throw new Error('not started')
  await seedWith(at, followed, (keep) => importSignIn(keep, signIn))
}

export async function getToken(id: string): Promise<string> {
  if (daemon === null) throw new Error('not started')
  const answer = await fetch(`${daemon.url}/v1/connections/${id}/token`, {
    headers: { authorization: `Bearer ${daemon.key}`, prefer: `wait=${WAIT_SECONDS}` },
  })
  const body = (await answer.json()) as { readonly access_token?: string; readonly code?: string }
  if (body.access_token === undefined) throw new Error(body.code ?? `status ${answer.status}`)
  return body.access_token
}

export async function stop(): Promise<void> {
  // The process that started the daemon ends it with itself.
}

export async function crash(): Promise<number> {
  if (at === null) throw new Error('not started')
  daemon = await crashDaemon(at)
  return daemon.pid
}
