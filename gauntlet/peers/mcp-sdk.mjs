// `auth()` with a provider of one's own, as its transports call it when a server answers 401.
import { auth } from '@modelcontextprotocol/sdk/client/auth.js'
import { keepLoginsIn, lives, loginFrom, readLogin, writeLogin } from './login-file.mjs'

export { seed } from './login-file.mjs'

let place

export async function start(given) {
  place = given
  keepLoginsIn(place.folder)
}

export async function getToken(id) {
  const login = readLogin(id)
  // It has no clock: it would be the API's 401 that says so, one call later.
  if (lives(login)) return login.access_token
  await auth(providerFor(id), { serverUrl: place.issuer })
  return readLogin(id).access_token
}

let discovered

/** Without `invalidateCredentials`, which is optional: with it, whoever loses a race deletes the winner's tokens. */
function providerFor(id) {
  return {
    redirectUrl: 'http://127.0.0.1/callback',
    clientMetadata: { client_name: 'gauntlet', redirect_uris: ['http://127.0.0.1/callback'] },
    clientInformation: () => ({
      client_id: place.clientId,
      client_secret: place.clientSecret,
      issuer: `${place.issuer}/`,
    }),
    tokens() {
      const { access_token, refresh_token } = readLogin(id)
      return { access_token, refresh_token, token_type: 'Bearer', issuer: `${place.issuer}/` }
    },
    saveTokens: (tokens) => writeLogin(id, loginFrom(tokens, readLogin(id))),
    redirectToAuthorization() {
      throw new Error('it asks for a new login')
    },
    saveCodeVerifier: () => undefined,
    codeVerifier: () => '',
    discoveryState: () => discovered,
    saveDiscoveryState(state) {
      discovered = state
    },
  }
}

export async function stop() {}
