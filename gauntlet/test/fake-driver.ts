/** A driver that does what its URL says, `fake-driver.ts?hangs` for example. Each login has a file that all processes share. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type { Place, SignIn } from '../driver.ts'

const behaviour = new URL(import.meta.url).search.slice(1)
let at: Place | null = null

export async function start(place: Place): Promise<undefined> {
  at = place
  if (behaviour === 'hangs_at_start') await new Promise(() => undefined)
  return undefined
}

export async function seed(signIn: SignIn): Promise<void> {
  await write(signIn)
  if (behaviour === 'presents_at_once') await refreshed(signIn.id)
}

export async function getToken(id: string): Promise<string> {
  switch (behaviour) {
    case 'hangs':
      return new Promise(() => undefined)
    case 'crashes':
      return process.exit(7)
    case 'lies':
      return 'at_that_nobody_issued'
    case 'hands_out_nothing':
      // As a driver in JavaScript can.
      return undefined as unknown as string
    case 'takes_few_callers':
      return amongFew(id)
    default:
      return refreshed(id)
  }
}

let callers = 0

async function amongFew(id: string): Promise<string> {
  callers += 1
  try {
    if (callers > 50) throw new Error('too many callers')
    return await refreshed(id)
  } finally {
    callers -= 1
  }
}

export async function stop(): Promise<void> {
  if (behaviour === 'hangs_at_stop') await new Promise(() => undefined)
}

async function refreshed(id: string): Promise<string> {
  const kept = await read(id)
  if (Date.now() < kept.expiresAt) return kept.accessToken
  const { tokenEndpoint, clientId, clientSecret } = place()
  const answer = await fetch(tokenEndpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: clientId,
      client_secret: clientSecret,
      refresh_token: kept.refreshToken,
    }),
  })
  const granted = (await answer.json()) as Record<string, string>
  const { access_token: accessToken, refresh_token: refreshToken } = granted
  if (accessToken === undefined || refreshToken === undefined) throw new Error(granted['error'] ?? 'no token')
  await write({ id, accessToken, refreshToken, expiresAt: Date.now() + Number(granted['expires_in']) * 1000 })
  return accessToken
}

function place(): Place {
  if (at === null) throw new Error('not started')
  return at
}
const fileFor = (id: string): string => join(place().folder, id)
const write = (signIn: SignIn): Promise<void> => writeFile(fileFor(signIn.id), JSON.stringify(signIn))
// Written by `write`.
const read = async (id: string): Promise<SignIn> => JSON.parse(await readFile(fileFor(id), 'utf8')) as SignIn
