/**
 * Tokenkeep as a drop-in: openid-client in every process, its token endpoint that of `tokenkeep serve`, with a local
 * refresh token. What each process keeps of it, it keeps in memory.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as client from 'openid-client'
import type { Place, SignIn } from '../driver.ts'
import { crashDaemon, findDaemon } from './tokenkeep-daemon.ts'
import { importSignIn, PROVIDER, seedWith } from './tokenkeep-installation.ts'

let at: Place | null = null
let config: client.Configuration | null = null
const refreshTokens = new Map<string, string>()
const accessTokens = new Map<string, { readonly accessToken: string; readonly endsAt: number }>()

export async function start(place: Place): Promise<number> {
  at = place
  const { pid, url, clientId, key } = await findDaemon(place)
  const issuer = new URL(`${url}/realms/${PROVIDER}`)
  config = await client.discovery(issuer, clientId, key, client.ClientSecretPost(key), {
    execute: [client.allowInsecureRequests],
  })
  return pid
}

export async function seed(signIn: SignIn, followed: 'by_more' | 'by_none'): Promise<void> {
  if (at === null) throw new Error('not started')
  const { clientId } = await findDaemon(at)
  const file = fileFor(at, signIn.id)
  await seedWith(at, followed, async (keep) => {
    await importSignIn(keep, signIn)
    const { refreshToken } = await keep.localRefreshTokens.share(signIn.id, { with: clientId })
    await writeFile(file, refreshToken)
  })
}

export async function getToken(id: string): Promise<string> {
  if (at === null || config === null) throw new Error('not started')
  const kept = accessTokens.get(id)
  if (kept !== undefined && Date.now() < kept.endsAt) return kept.accessToken
  const refreshToken = refreshTokens.get(id) ?? (await readFile(fileFor(at, id), 'utf8'))
  const answer = await client.refreshTokenGrant(config, refreshToken)
  refreshTokens.set(id, answer.refresh_token ?? refreshToken)
  const endsAt = Date.now() + (answer.expiresIn() ?? 0) * 1000
  accessTokens.set(id, { accessToken: answer.access_token, endsAt })
  return answer.access_token
}

const fileFor = ({ folder }: Place, id: string): string => join(folder, `${id}.local`)

export async function stop(): Promise<void> {
  // The process that started the daemon ends it with itself.
}

export async function crash(): Promise<number> {
  if (at === null) throw new Error('not started')
  return (await crashDaemon(at)).pid
}
