// `requestNewAccessToken` of a passport strategy, as its README shows. It keeps nothing itself, so the file is ours.
import OAuth2Strategy from 'passport-oauth2'
import refresh from 'passport-oauth2-refresh'
import { keepLoginsIn, lives, loginFrom, readLogin, writeLogin } from './login-file.mjs'

export { seed } from './login-file.mjs'

export async function start({ folder, issuer, tokenEndpoint, clientId, clientSecret }) {
  keepLoginsIn(folder)
  const strategy = new OAuth2Strategy(
    {
      authorizationURL: `${issuer}/authorize`,
      tokenURL: tokenEndpoint,
      clientID: clientId,
      clientSecret,
      callbackURL: 'http://127.0.0.1/callback',
    },
    () => undefined,
  )
  refresh.use('gauntlet', strategy)
}

export async function getToken(id) {
  const login = readLogin(id)
  if (lives(login)) return login.access_token
  const tokens = await new Promise((resolve, reject) => {
    refresh.requestNewAccessToken('gauntlet', login.refresh_token, (error, access_token, refresh_token, answer) => {
      if (error) reject(new Error(error.data ?? error.message ?? 'refused'))
      else resolve({ access_token, refresh_token, expires_in: answer.expires_in })
    })
  })
  writeLogin(id, loginFrom(tokens, login))
  return tokens.access_token
}

export async function stop() {}
