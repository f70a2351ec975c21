/** Eight processes of one client share one refresh token: straight at Keycloak, then at Tokenkeep's drop-in. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Prepared } from './clients.ts'
import { fleetCount, presentedIn, readReport, type FleetCount } from './counting.ts'
import { PROCESSES, run } from './fleet.ts'
import { importSignIn, install, issuerOf, serve } from './installation.ts'
import { SECRET } from './realm.ts'
import { EXTERNAL } from './realms.ts'
import type { ClientResult, Stage } from './row.ts'
import { signIn } from './sign-in.ts'

const EXPIRIES = 20

interface At {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly refreshToken: string
}

export async function playClient(
  stage: Stage,
  { program }: Prepared,
): Promise<Pick<ClientResult, 'straight' | 'dropIn'>> {
  const upstream = issuerOf(stage, EXTERNAL)
  const api = `${upstream}/protocol/openid-connect/userinfo`

  /** Nothing differs between the two but what `at` says. */
  const share = async (name: string, at: At): Promise<FleetCount> => {
    const file = join(stage.folder, `${name}.json`)
    // As after a long sleep: everybody finds a token that has ended. `expiry` is how Go's library writes `expires_at`.
    const login = { access_token: 'ended', token_type: 'Bearer', refresh_token: at.refreshToken }
    await writeFile(file, JSON.stringify({ ...login, expires_at: 1, expiry: '2000-01-01T00:00:00Z' }))
    const env = {
      ISSUER: at.issuer,
      TOKEN_URL: `${at.issuer}/protocol/openid-connect/token`,
      CLIENT_ID: at.clientId,
      CLIENT_SECRET: at.clientSecret,
      TOKEN_FILE: file,
      API_URL: api,
      EXPIRIES: String(EXPIRIES),
    }
    const printed = await Promise.all(Array.from({ length: PROCESSES }, () => run({ ...program, env })))
    return fleetCount(printed.map(readReport), EXPIRIES)
  }

  const alone = await signIn(upstream)
  const straight = await share('straight', {
    issuer: upstream,
    clientId: 'app',
    clientSecret: SECRET,
    refreshToken: alone.refreshToken,
  })

  await using installation = await install(stage, EXTERNAL)
  const { keep, place } = installation
  const kept = await signIn(upstream)
  await importSignIn(keep, 'dealer-42', kept)
  const { apiKey, key } = await keep.apiKeys.create({ name: 'interop' })
  const { refreshToken } = await keep.localRefreshTokens.share('dealer-42', { with: apiKey.id })
  await using server = await serve(place)
  const dropIn = await share('drop-in', {
    issuer: `${server.url}/realms/external`,
    clientId: apiKey.id,
    clientSecret: key,
    refreshToken,
  })
  const { granted, mostOfOne } = presentedIn(await stage.admin.events(EXTERNAL.name), [kept.sessionId])
  return { straight, dropIn: { ...dropIn, refreshes: granted, mostOfOne } }
}
