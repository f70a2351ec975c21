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

/**
 * Fills in the login form that an authorization request leads to.
 *
 * @returns where the browser is sent with the code
 */
export async function logIn(authorizationUrl: string): Promise<URL> {
  const cookies = new Map<string, string>()
  const ask = async (url: string, form?: URLSearchParams): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: cookie === '' ? {} : { cookie },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    })
    for (const set of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      cookies.set(name, value)
    }
    return answer
  }
  let page = await ask(authorizationUrl)
  // After a pushed request Keycloak sends the browser on to itself.
  const onward = page.headers.get('location')
  if (onward !== null) page = await ask(new URL(onward, authorizationUrl).href)
  const html = await page.text()
  const action = /action="([^"]+)"/.exec(html)?.[1]?.replaceAll('&amp;', '&')
  if (action === undefined) {
    const [, said = 'nothing'] = /class="instruction"[^>]*>([^<]*)</.exec(html) ?? []
    throw new Error(`Keycloak shows no login form: status ${page.status}, and says: ${said.trim()}`)
  }
  const entered = await ask(action, new URLSearchParams(USER))
  await entered.arrayBuffer()
  const left = URL.parse(entered.headers.get('location') ?? '')
  if (left?.searchParams.has('code') !== true)
    throw new Error(`Keycloak sent no code after the login form: status ${entered.status}`)
  return left
}

/** @param issuer `{keycloak}/realms/{realm}` */
export async function signIn(issuer: string, clientId = 'app', scope = 'openid email profile'): Promise<SignIn> {
  const endpoints = `${issuer}/protocol/openid-connect`
  const asked = { response_type: 'code', client_id: clientId, redirect_uri: REDIRECT_URI, scope, state: 'state' }
  const left = await logIn(`${endpoints}/auth?${new URLSearchParams(asked).toString()}`)
  const code = left.searchParams.get('code') ?? ''
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
