// Its OAuth2Client with the `tokens` event, as its README shows, at another server than Google's.
import { OAuth2Client } from 'google-auth-library'
import { askKept } from './kept-objects.mjs'
import { keepLoginsIn, readLogin, writeLogin } from './login-file.mjs'

export { seed } from './login-file.mjs'

let place

export async function start(given) {
  place = given
  keepLoginsIn(place.folder)
}

export async function getToken(id) {
  return askKept(
    id,
    () => clientFor(id),
    async (client) => {
      const { token } = await client.getAccessToken()
      return { token, endsAt: client.credentials.expiry_date ?? 0 }
    },
  )
}

function clientFor(id) {
  const { access_token, refresh_token, expires_at: expiry_date } = readLogin(id)
  const client = new OAuth2Client({
    clientId: place.clientId,
    clientSecret: place.clientSecret,
    endpoints: { oauth2TokenUrl: place.tokenEndpoint },
    // Five minutes by default, which with tokens that live for seconds would be a refresh for each call; 0 is taken for that.
    eagerRefreshThresholdMillis: 1,
  })
  client.setCredentials({ access_token, refresh_token, expiry_date })
  // It puts the old refresh token back into what it was given, right after this event.
  client.on('tokens', (tokens) =>
    writeLogin(id, {
      access_token: tokens.access_token,
      refresh_token: tokens.refresh_token ?? refresh_token,
      expires_at: tokens.expiry_date,
    }),
  )
  return client
}

export async function stop() {}
