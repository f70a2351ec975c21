// Its fetch wrapper with `getStoredToken` and `storeToken`, as its README shows.
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client'
import { askKept } from './kept-objects.mjs'
import { keepLoginsIn, readLogin, writeLogin } from './login-file.mjs'

export { seed } from './login-file.mjs'

let client

export async function start({ folder, issuer, tokenEndpoint, clientId, clientSecret }) {
  keepLoginsIn(folder)
  client = new OAuth2Client({
    server: issuer,
    clientId,
    clientSecret,
    tokenEndpoint,
    authenticationMethod: 'client_secret_post',
  })
}

export async function getToken(id) {
  return askKept(
    id,
    () => wrapperFor(id),
    async (wrapper) => {
      const token = await wrapper.getAccessToken()
      return { token, endsAt: (await wrapper.getToken()).expiresAt }
    },
  )
}

function wrapperFor(id) {
  return new OAuth2Fetch({
    client,
    getStoredToken: () => {
      const { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt } = readLogin(id)
      return { accessToken, refreshToken, expiresAt }
    },
    storeToken: ({ accessToken, refreshToken, expiresAt }) =>
      writeLogin(id, { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt }),
    // Somebody would have to sign in again.
    getNewToken: () => null,
    // It would end the process.
    onError: () => undefined,
  })
}

export async function stop() {}
