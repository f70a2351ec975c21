// As its README shows: the token's JSON is persisted, made a token again, asked whether it has ended, and refreshed.
import { AuthorizationCode } from 'simple-oauth2'
import { keepLoginsIn, readLogin, writeLogin } from './login-file.mjs'

let client

export async function start({ folder, tokenEndpoint, clientId, clientSecret }) {
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
  if (accessToken.expired()) {
    accessToken = await accessToken.refresh()
    writeLogin(id, accessToken)
  }
  return accessToken.token.access_token
}

export async function stop() {}
