/** Tokenkeep as a library: `openTokenkeep()` in every process, on one SQLite file or one Postgres database. */
import type { Tokenkeep } from '@tokenkeep/node'
import type { Place, SignIn } from '../driver.ts'
import { importSignIn, openInstallation, WAIT_SECONDS } from './tokenkeep-installation.ts'

let opened: Tokenkeep | null = null

export async function start(place: Place): Promise<undefined> {
  opened = await openInstallation(place)
  return undefined
}

export async function seed(signIn: SignIn): Promise<void> {
  await importSignIn(keep(), signIn)
}

export async function getToken(id: string): Promise<string> {
  const { accessToken } = await keep().token(id, { waitMs: WAIT_SECONDS * 1000 })
  return accessToken
}

export async function stop(): Promise<void> {
  await opened?.close()
}

function keep(): Tokenkeep {
  if (opened === null) throw new Error('not started')
  return opened
}
