/** The row in which a program has no key of ours, but a JWT of Keycloak that says who it is. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose'
import { tokenkeep } from '../command.ts'
import { presentedIn } from '../counting.ts'
import { importSignIn, install, issuerOf, PROVIDER, serve } from '../installation.ts'
import { startProtectedApi } from '../protected-api.ts'
import { client, inAudience } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'
import { machineJwt, signIn } from '../sign-in.ts'

const EXPIRIES = 3
const AUDIENCE = 'https://keep.example.org'
/** docs/http.md: clocks may be so far apart. */
const CLOCKS_APART_MS = 60_000
/** docs/http.md: in another process whoever is trusted no more is refused within a second. */
const REFUSED_WITHIN_MS = 1_000

export const workloadJwt: KeycloakRow = {
  name: 'workload-jwt',
  about: `a workload exchanges a JWT of Keycloak, whose issuer and subject a key trusts, at the drop-in for a connection's token that an API takes; ${EXPIRIES} expiries; other JWTs`,
  limitSeconds: 240,
  async play(stage) {
    const { admin } = stage
    await using api = await startProtectedApi(issuerOf(stage, EXTERNAL))
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    for (const [id, audience] of [
      ['workload', AUDIENCE],
      ['workload-of-others', AUDIENCE],
      ['workload-elsewhere', 'https://elsewhere.example.org'],
    ] as const) {
      const protocolMappers = [inAudience({ 'included.custom.audience': audience })]
      await admin.createClient(EXTERNAL.name, client(id, { serviceAccountsEnabled: true, protocolMappers }))
    }
    const dealer = await signIn(issuer)
    await importSignIn(keep, 'dealer-42', dealer, { team: 'sales' })
    await importSignIn(keep, 'rival-1', await signIn(issuer))
    const { apiKey } = await keep.apiKeys.create({
      ...{ name: 'workload', scopes: ['token:read'], labels: { team: 'sales' } },
      sources: { [PROVIDER]: 'dealer-42' },
    })
    const first = await machineJwt(issuer, 'workload')
    const elsewhere = await machineJwt(issuer, 'workload-elsewhere')
    const trusted = ['--issuer', issuer, '--audience', AUDIENCE]
    for (const jwt of [first, elsewhere])
      await tokenkeep(place, ['key', 'trust', apiKey.id, ...trusted, '--subject', decodeJwt(jwt).sub ?? ''])
    await using server = await serve(place)
    const tokenUrl = `${server.url}/realms/${PROVIDER}/protocol/openid-connect/token`
    const exchange = (jwt: string, audience = 'dealer-42'): Promise<Answer> =>
      post(tokenUrl, { ...EXCHANGE, subject_token: jwt, audience })

    const tokens = new Set<string>()
    for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
      const {
        access_token: accessToken,
        expires_in: expiresIn,
        error,
      } = await exchange(await machineJwt(issuer, 'workload'))
      assert.ok(accessToken !== undefined && expiresIn !== undefined, `the drop-in answered ${error}`)
      assert.equal(decodeJwt(accessToken)['sid'], dealer.sessionId, "the token is not of the connection's session")
      const { status } = await fetch(api.url, { headers: { authorization: `Bearer ${accessToken}` } })
      assert.equal(status, 200, `the API answered ${status}`)
      tokens.add(accessToken)
      await pause((expiresIn + 1) * 1000)
    }
    assert.equal(tokens.size, EXPIRIES, 'a token was handed out again after its end')
    const asSecret = await post(tokenUrl, {
      ...{ grant_type: 'client_credentials', client_assertion_type: ASSERTION },
      client_assertion: await machineJwt(issuer, 'workload'),
    })
    assert.ok(asSecret.access_token !== undefined, `with the JWT for a secret the drop-in answered ${asSecret.error}`)

    const now = await machineJwt(issuer, 'workload')
    const refusals = {
      'another audience': await exchange(await machineJwt(issuer, 'workload-elsewhere')),
      'another subject': await exchange(await machineJwt(issuer, 'workload-of-others')),
      'a forged signature': await exchange(await forged(now)),
      'the access token of a person': await exchange(dealer.accessToken),
    }
    for (const [of, { error }] of Object.entries(refusals))
      assert.equal(error, 'invalid_request', `of ${of} the drop-in says ${error}`)
    const { error: target } = await exchange(now, 'rival-1')
    assert.equal(target, 'invalid_target', `of a connection that the key may not see the drop-in says ${target}`)
    const endedAt = (decodeJwt(first).exp ?? 0) * 1000 + CLOCKS_APART_MS
    await pause(Math.max(0, endedAt + 1_000 - Date.now()))
    const { error: over } = await exchange(first)
    assert.equal(over, 'invalid_request', `of a JWT that has ended the drop-in says ${over}`)

    const { identities } = (await keep.apiKeys.list()).find(({ id }) => id === apiKey.id) ?? { identities: [] }
    for (const { id } of identities) await tokenkeep(place, ['key', 'untrust', apiKey.id, id])
    await pause(REFUSED_WITHIN_MS)
    const { error: untrusted } = await exchange(await machineJwt(issuer, 'workload'))
    assert.equal(untrusted, 'invalid_request', `of a workload that is trusted no more the drop-in says ${untrusted}`)

    const presented = presentedIn(await admin.events(EXTERNAL.name), [dealer.sessionId])
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    const refused = [...Object.keys(refusals), 'one that has ended'].join(', ')
    const seen = `\`invalid_request\` for ${refused}, and after \`key untrust\`; \`invalid_target\` for a connection without the key's label; for a client secret the JWT counts as well`
    return { logins: 1, lost: 0, presented, seen }
  },
}

const EXCHANGE = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
} as const
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

interface Answer {
  readonly access_token?: string
  readonly expires_in?: number
  readonly error?: string
}

async function post(url: string, form: Readonly<Record<string, string>>): Promise<Answer> {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  return (await answer.json()) as Answer
}

/** The same claims under the same `kid`, signed by somebody else. */
async function forged(jwt: string): Promise<string> {
  const { privateKey } = await generateKeyPair('RS256')
  return new SignJWT(decodeJwt(jwt))
    .setProtectedHeader({ ...decodeProtectedHeader(jwt), alg: 'RS256' })
    .sign(privateKey)
}
