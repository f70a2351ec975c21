// As its README shows: the token's JSON is persisted, made a token again, asked whether it has ended, and refreshed.
import { AuthorizationCode } from 'simple-oauth2'
import { keepLoginsIn, readLogin, writeLogin } from './login-file.mjs'

let client
let marginSeconds

export async function start({ folder, tokenEndpoint, clientId, clientSecret, ...place }) {
  marginSeconds = place.marginSeconds
  keepLoginsIn(folder)
  const { origin, pathname } = new URL(tokenEndpoint)
  client = new AuthorizationCode({
    client: { id: clientId, secret: clientSecret },
    auth: { tokenHost: origin, tokenPath: pathname },
    options: { authorizationMethod: 'body' },
  })
}

export async function seed({ id, accessToken, refreshToken, expiresAt }) {
  const given = {
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_at: new Date(expiresAt).toISOString(),
  }
  writeLogin(id, client.createToken(given))
}

export async function getToken(id) {
  let accessToken = client.createToken(readLogin(id))
  if (accessToken.expired(marginSeconds)) {
    try {
      accessToken = await accessToken.refresh()
      writeLogin(id, accessToken)
    } catch (error) {
      // As its README has it with a window before the end: the old one goes on being used.
      if (accessToken.expired()) throw error
    }
  }
  return accessToken.token.access_token
}

export async function stop() {}
