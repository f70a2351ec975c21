// As its README shows `refreshTokenGrant`. It keeps nothing itself, so the file is ours.
import * as client from 'openid-client'
import { keepLoginsIn, lives, loginFrom, readLogin, writeLogin } from './login-file.mjs'

export { seed } from './login-file.mjs'

let config

export async function start({ folder, issuer, clientId, clientSecret }) {
  keepLoginsIn(folder)
  config = await client.discovery(new URL(issuer), clientId, clientSecret, client.ClientSecretPost(clientSecret), {
    execute: [client.allowInsecureRequests],
  })
}

// Without a margin of its own; `lock-file.mjs` has one.
export async function getToken(id, marginMs = 0) {
  const login = readLogin(id)
  if (lives(login, marginMs)) return login.access_token
  const tokens = await client.refreshTokenGrant(config, login.refresh_token)
  writeLogin(id, loginFrom(tokens, login))
  return tokens.access_token
}

export async function stop() {}
