/** The row in which tokens are bound to a key (DPoP, RFC 9449). */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { accepts } from '../api.ts'
import { presentedIn } from '../counting.ts'
import { install, issuerOf, PROVIDER, serve } from '../installation.ts'
import { client, REDIRECT_URI, SECRET } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'
import { logIn } from '../sign-in.ts'

const EXPIRIES = 3

export const dpop: KeycloakRow = {
  name: 'dpop',
  about: `a client with a secret and a public one bind their tokens to a key of each sign-in; ${EXPIRIES} expiries; used in process, through the proxy, and without a proof`,
  limitSeconds: 120,
  async play(stage) {
    const { admin } = stage
    const api = `${issuerOf(stage, EXTERNAL)}/protocol/openid-connect`
    await using installation = await install(stage, EXTERNAL, { provider: { apiBaseUrls: [api] } })
    const { keep, issuer, place } = installation
    const binds = { attributes: { 'dpop.bound.access.tokens': 'true', 'pkce.code.challenge.method': 'S256' } }
    const web = { standardFlowEnabled: true, redirectUris: [REDIRECT_URI], ...binds }
    for (const [id, theirs, ours] of [
      ['bound', {}, { clientSecret: SECRET }],
      ['bound-public', { publicClient: true }, { tokenEndpointAuthMethod: 'none' }],
    ] as const) {
      await admin.createClient(EXTERNAL.name, client(id, { ...web, ...theirs }))
      await keep.clients.put({ id, provider: PROVIDER, clientId: id, ...ours, dpopBoundAccessTokens: true })
      const { link } = await keep.connectSessions.create({ client: id, connection: id, scope: 'openid' })
      const { url } = await keep.connectSessions.begin(link, { redirectUri: REDIRECT_URI, boundTo: 'a cookie' })
      const done = await keep.connectSessions.finish((await logIn(url)).href, { boundTo: 'a cookie' })
      assert.equal(done.kind, 'connected', `the sign-in of ${id} ended as ${JSON.stringify(done)}`)
    }
    const { key } = await keep.apiKeys.create({ name: 'interop', scopes: ['proxy'] })

    const ids = ['bound', 'bound-public']
    const keys = new Map<string, Set<string>>(ids.map((id) => [id, new Set()]))
    const sessions = new Set<string>()
    for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
      for (const id of ids) {
        const { accessToken, tokenType, dpopJkt = 'none' } = await keep.token(id)
        const { cnf, sid } = decodeJwt<{ readonly cnf?: { readonly jkt?: string }; readonly sid?: string }>(accessToken)
        assert.deepEqual([tokenType, cnf?.jkt], ['DPoP', dpopJkt], `Keycloak did not bind a token of ${id} to its key`)
        keys.get(id)?.add(dpopJkt)
        sessions.add(sid ?? '')
        const used = await keep.fetchFor(id)(`${api}/userinfo`)
        assert.equal(used.status, 200, `Keycloak's user info answered ${used.status} to the proof of ${id}`)
        assert.ok(!(await accepts(issuer, accessToken)), 'Keycloak took a bound token without a proof')
      }
      await pause((EXTERNAL.accessTokenSeconds + 1) * 1000)
    }
    assert.deepEqual(
      [...keys.values()].map(({ size }) => size),
      [1, 1],
      'a refresh changed the key',
    )
    assert.equal(new Set([...keys.values()].flatMap((each) => [...each])).size, 2, 'two sign-ins share a key')
    await using server = await serve(place)
    const forwarded = await fetch(`${server.url}/v1/proxy/bound-public/userinfo`, {
      headers: { authorization: `Bearer ${key}` },
    })
    assert.equal(forwarded.status, 200, `through the proxy Keycloak's user info answered ${forwarded.status}`)

    const presented = presentedIn(await admin.events(EXTERNAL.name), [...sessions])
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    for (const id of ids) {
      await keep.connections.delete(id)
      const left = await admin.sessionIds(EXTERNAL.name, id, 'user')
      assert.equal(left.length, 0, `the session of ${id} goes on after its deletion`)
    }
    return {
      logins: ids.length,
      lost: 0,
      presented,
      seen: 'each token names the key of its sign-in; user info takes it with a proof, and as a Bearer token refuses it',
    }
  },
}
