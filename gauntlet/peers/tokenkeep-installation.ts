/** Tokenkeep as its README shows it, told where the gauntlet's server is, and what its documentation says of reuse. */
import { join } from 'node:path'
import { openTokenkeep, type OpenOptions, type ReusePolicy, type Tokenkeep } from '@tokenkeep/node'
import type { Place, SignIn } from '../driver.ts'

export const PROVIDER = 'gauntlet'
const CLIENT = 'app'

/** As long as a call may take here, and a little less; 20 s where nobody says anything. */
export const WAIT_SECONDS = 55

export const dataFolder = ({ folder }: Place): string => join(folder, 'data')
export const keyFile = ({ folder }: Place): string => join(folder, 'configuration', 'tokenkeep.key')

/** Opens it, and makes it where it is missing. */
export async function openInstallation(place: Place): Promise<Tokenkeep> {
  const where: OpenOptions =
    place.postgres === null
      ? { path: join(dataFolder(place), 'tokenkeep.db') }
      : { postgres: place.postgres, stateFolder: join(place.folder, 'state') }
  // Without work in the background: what is refreshed ahead of its end never expires, and expiries are what is counted.
  const keep = await openTokenkeep({ ...where, keyFile: keyFile(place), background: false })
  if ((await keep.providers.list()).length > 0) return keep
  const { tokenEndpoint, clientId, clientSecret, reuse } = place
  await keep.providers.put({ id: PROVIDER, tokenEndpoint, reuse: reusePolicy(reuse) })
  await keep.clients.put({
    id: CLIENT,
    provider: PROVIDER,
    clientId,
    clientSecret,
    tokenEndpointAuthMethod: 'client_secret_post',
  })
  return keep
}

let seeding: Tokenkeep | null = null

/** Opened for the first of several logins that are kept, and closed after the last one: there may be thousands. */
export async function seedWith(
  place: Place,
  followed: 'by_more' | 'by_none',
  keepOne: (keep: Tokenkeep) => Promise<void>,
): Promise<void> {
  const keep = (seeding ??= await openInstallation(place))
  await keepOne(keep)
  if (followed === 'by_more') return
  seeding = null
  await keep.close()
}

function reusePolicy(reuse: Place['reuse']): ReusePolicy {
  switch (reuse.kind) {
    case 'strict':
      return { kind: 'strict' }
    case 'grace':
      return { kind: 'grace', seconds: reuse.seconds, winner: 'any' }
  }
}

export async function importSignIn(
  keep: Tokenkeep,
  { id, refreshToken, accessToken, expiresAt }: SignIn,
): Promise<void> {
  await keep.connections.import({ id, client: CLIENT, refreshToken, accessToken, expiresAt })
}
