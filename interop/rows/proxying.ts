/** The row in which callers have no token. */
import assert from 'node:assert/strict'
import { presentedIn } from '../counting.ts'
import { importSignIn, install, issuerOf, serve } from '../installation.ts'
import { startProtectedApi } from '../protected-api.ts'
import { client, REDIRECT_URI, SECRET } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'
import { signIn } from '../sign-in.ts'

const CALLERS = 8

export const proxy: KeycloakRow = {
  name: 'proxy',
  about: `an API that checks tokens by Keycloak's keys, behind the proxy: the token is revoked at Keycloak, and ${CALLERS} callers send at once`,
  limitSeconds: 120,
  async play(stage) {
    const { admin } = stage
    await using api = await startProtectedApi(issuerOf(stage, EXTERNAL))
    await using installation = await install(stage, EXTERNAL, {
      provider: { apiBaseUrls: [api.url] },
      client: { clientId: 'proxied' },
    })
    const { keep, issuer, place } = installation
    // Its tokens outlive the row, so that only the API's 401 brings another one.
    const settings = { standardFlowEnabled: true, redirectUris: [REDIRECT_URI] }
    const attributes = { 'access.token.lifespan': '300' }
    await admin.createClient(EXTERNAL.name, client('proxied', { ...settings, attributes }))
    const person = await signIn(issuer, 'proxied')
    await importSignIn(keep, 'dealer-42', person)
    const { key } = await keep.apiKeys.create({ name: 'interop', scopes: ['proxy'] })
    await using server = await serve(place)
    const authorization = `Bearer ${key}`
    const send = async (body: string): Promise<number> => {
      const answer = await fetch(`${server.url}/v1/proxy/dealer-42/offers`, {
        method: 'POST',
        headers: { authorization },
        body,
      })
      await answer.arrayBuffer()
      return answer.status
    }
    const shown = await fetch(`${server.url}/v1/connections/dealer-42/token`, { headers: { authorization } })
    assert.equal(shown.status, 403, 'a key for the proxy alone was shown a token')
    assert.equal(await send('an offer'), 200)

    const { accessToken } = await keep.token('dealer-42')
    const revoked = await fetch(`${issuer}/protocol/openid-connect/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'proxied', client_secret: SECRET, token: accessToken }),
    })
    assert.equal(revoked.status, 200, `Keycloak did not revoke an access token: status ${revoked.status}`)
    const statuses = await Promise.all(Array.from({ length: CALLERS }, () => send('an offer')))
    assert.deepEqual([...new Set(statuses)], [200], `the callers got ${statuses.join(', ')}`)
    const calls = api.calls()
    const refused = calls.filter(({ status }) => status === 401).length
    assert.ok(refused > 0, 'the API took a token that was revoked')
    assert.ok(
      calls.every(({ bytes }) => bytes === 'an offer'.length),
      'a body came in part',
    )
    assert.equal(calls.length, 1 + CALLERS + refused, 'a call was made more than once again')
    const presented = presentedIn(await admin.events(EXTERNAL.name), [person.sessionId])
    assert.equal(
      presented.granted,
      2,
      `${presented.granted} refreshes: one was due at the beginning, one after the 401s`,
    )
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    const seen = `the API refused ${refused} calls; one refresh, each made once more, all ${CALLERS} answered 200`
    return { logins: 1, lost: 0, presented, seen }
  },
}
