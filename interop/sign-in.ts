/** A person signs in at Keycloak: the authorization code flow, with its login form filled in. */
import { REDIRECT_URI, SECRET, USER } from './realm.ts'

export interface SignIn {
  readonly accessToken: string
  readonly refreshToken: string
  readonly scope: string
  readonly expiresInSeconds: number
  readonly sessionId: string
  /** The answer of the token endpoint, as it came. */
  readonly response: Readonly<Record<string, unknown>>
}

/** @param issuer `{keycloak}/realms/{realm}` */
export async function signIn(issuer: string, clientId = 'app', scope = 'openid email profile'): Promise<SignIn> {
  const endpoints = `${issuer}/protocol/openid-connect`
  const asked = { response_type: 'code', client_id: clientId, redirect_uri: REDIRECT_URI, scope, state: 'state' }
  const page = await fetch(`${endpoints}/auth?${new URLSearchParams(asked).toString()}`)
  const cookie = page.headers
    .getSetCookie()
    .map((each) => each.split(';')[0] ?? '')
    .join('; ')
  const action = /action="([^"]+)"/.exec(await page.text())?.[1]?.replaceAll('&amp;', '&')
  if (action === undefined) throw new Error(`Keycloak shows no login form: status ${page.status}`)
  const entered = await fetch(action, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie },
    body: new URLSearchParams(USER),
  })
  await entered.arrayBuffer()
  const code = new URL(entered.headers.get('location') ?? REDIRECT_URI).searchParams.get('code')
  if (code === null) throw new Error(`Keycloak sent no code after the login form: status ${entered.status}`)
  const form = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, client_id: clientId }
  const answer = await fetch(`${endpoints}/token`, {
    method: 'POST',
    body: new URLSearchParams({ ...form, client_secret: SECRET }),
  })
  const response = (await answer.json()) as Readonly<Record<string, unknown>>
  if (!answer.ok) throw new Error(`Keycloak did not take its own code: ${JSON.stringify(response)}`)
  return {
    accessToken: String(response['access_token']),
    refreshToken: String(response['refresh_token']),
    scope: String(response['scope']),
    expiresInSeconds: Number(response['expires_in']),
    sessionId: String(response['session_state']),
    response,
  }
}

/** What Keycloak gives a machine that has proved itself by its secret. */
export async function machineJwt(issuer: string, clientId: string): Promise<string> {
  const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: SECRET }
  const answer = await fetch(`${issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  })
  const { access_token: jwt } = (await answer.json()) as { readonly access_token?: string }
  if (jwt === undefined) throw new Error(`Keycloak gave ${clientId} no token: status ${answer.status}`)
  return jwt
}
