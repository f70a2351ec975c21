/** Rows in which one program refreshes. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { accepts } from '../api.ts'
import { presentedIn } from '../counting.ts'
import { importSignIn, install, serve } from '../installation.ts'
import { client } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'
import { signIn } from '../sign-in.ts'

const EXPIRIES = 5

export const refresh: KeycloakRow = {
  name: 'refresh',
  about: `refresh and rotation at ${EXPIRIES} expiries, by \`openTokenkeep()\` and by \`tokenkeep serve\``,
  limitSeconds: 120,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    const inProcess = await signIn(issuer)
    const served = await signIn(issuer)
    await importSignIn(keep, 'in-process', inProcess)
    await importSignIn(keep, 'served', served)
    const { key } = await keep.apiKeys.create({ name: 'interop' })
    await using server = await serve(place)

    const byLibrary = async (): Promise<readonly string[]> => {
      const tokens: string[] = []
      for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
        const { accessToken, expiresAt } = await keep.token('in-process')
        assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses a token that openTokenkeep() handed out')
        tokens.push(accessToken)
        await pause(Math.max(0, expiresAt - Date.now()))
      }
      return tokens
    }
    const byServer = async (): Promise<readonly string[]> => {
      const tokens: string[] = []
      for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
        const answer = await fetch(`${server.url}/v1/connections/served/token`, {
          headers: { authorization: `Bearer ${key}` },
        })
        const body = (await answer.json()) as { readonly access_token?: string; readonly expires_in?: number }
        assert.equal(answer.status, 200, `tokenkeep serve answered ${answer.status}`)
        const accessToken = body.access_token ?? ''
        assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses a token that tokenkeep serve handed out')
        tokens.push(accessToken)
        await pause(((body.expires_in ?? 0) + 1) * 1000)
      }
      return tokens
    }
    const [ours, theirs] = await Promise.all([byLibrary(), byServer()])
    assert.equal(new Set(ours).size, EXPIRIES, 'a token was handed out again after its end')
    assert.equal(new Set(theirs).size, EXPIRIES, 'the server handed out a token again after its end')
    const presented = presentedIn(await admin.events(EXTERNAL.name), [inProcess.sessionId, served.sessionId])
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    const { generation } = await keep.connections.get('in-process')
    return { logins: 2, lost: 0, presented, seen: `${generation} rotations in process; the server renews ahead` }
  },
}

export const scope: KeycloakRow = {
  name: 'scope',
  about: 'a token of reduced scope, and afterwards one of the full scope',
  limitSeconds: 60,
  async play(stage) {
    await using installation = await install(stage, EXTERNAL, { provider: { narrowing: 'token_only' } })
    const { keep, issuer } = installation
    const person = await signIn(issuer, 'app', 'openid address phone')
    await importSignIn(keep, 'dealer-42', person)
    const full = await keep.token('dealer-42')
    const reduced = await keep.token('dealer-42', { scope: 'openid address' })
    await pause(Math.max(0, full.expiresAt - Date.now()))
    const fullAgain = await keep.token('dealer-42')
    assert.deepEqual(
      [full, reduced, fullAgain].map(({ accessToken }) => optionalScopesIn(accessToken)),
      [['address', 'phone'], ['address'], ['address', 'phone']],
    )
    assert.ok(await accepts(issuer, reduced.accessToken), 'Keycloak refuses the token of reduced scope')
    const presented = presentedIn(await stage.admin.events(EXTERNAL.name), [person.sessionId])
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    const seen =
      'Keycloak narrows the one token only, and adds its default scopes (`profile email`) to what was asked for'
    return { logins: 1, lost: 0, presented, seen }
  },
}

/** Of a JWT, without a look at its signature: what Keycloak put into it. */
function optionalScopesIn(accessToken: string): readonly string[] {
  const claims = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()) as {
    readonly scope?: string
  }
  return (claims.scope ?? '')
    .split(' ')
    .filter((each) => each === 'address' || each === 'phone')
    .sort()
}

export const clientCredentials: KeycloakRow = {
  name: 'client-credentials',
  about: '8 callers share the token of a machine, in process and at the drop-in, through 2 expiries',
  limitSeconds: 60,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, place } = installation
    await keep.clients.put({
      id: 'machine',
      provider: 'external',
      clientId: 'machine',
      clientSecret: SECRET_OF_MACHINE,
    })
    await keep.connections.import({ id: 'machine', client: 'machine', grantType: 'client_credentials' })
    const { apiKey, key } = await keep.apiKeys.create({ name: 'interop', sources: { external: 'machine' } })
    const tokens = new Set<string>()
    for (let expiry = 0; expiry < 2; expiry += 1) {
      const handed = await Promise.all(Array.from({ length: 8 }, () => keep.token('machine')))
      for (const { accessToken } of handed) tokens.add(accessToken)
      await pause(Math.max(0, (handed[0]?.expiresAt ?? 0) - Date.now()))
    }
    assert.equal(tokens.size, 2, `8 callers got ${tokens.size} tokens within 2 lifetimes`)
    const inProcess = (await admin.events(EXTERNAL.name)).filter(isLogin).length
    assert.equal(inProcess, 2, `Keycloak granted ${inProcess} tokens to the machine`)
    await using server = await serve(place)
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const answer = await fetch(`${server.url}/realms/external/protocol/openid-connect/token`, {
          method: 'POST',
          body: new URLSearchParams({ grant_type: 'client_credentials', client_id: apiKey.id, client_secret: key }),
        })
        return ((await answer.json()) as { readonly access_token?: string }).access_token
      }),
    )
    assert.equal(new Set(answers).size, 1, `8 callers got ${new Set(answers).size} tokens at the drop-in`)
    assert.ok(answers[0] !== undefined, 'the drop-in handed out no token')
    return { logins: 1, lost: 0, presented: null, seen: `${inProcess} tokens granted for 16 callers in process` }
  },
}

export const clientAssertions: KeycloakRow = {
  name: 'client-assertions',
  about:
    'a machine proves itself by a key of ours, which Keycloak fetches from `tokenkeep serve`, and by a signed secret',
  limitSeconds: 60,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    await using server = await serve(place)
    const machines = [
      {
        id: 'machine-by-key',
        ours: { tokenEndpointAuthMethod: 'private_key_jwt' },
        theirs: {
          clientAuthenticatorType: 'client-jwt',
          attributes: { 'use.jwks.url': 'true', 'jwks.url': `${server.url}/clients/machine-by-key/jwks.json` },
        },
      },
      {
        id: 'machine-by-secret',
        ours: { tokenEndpointAuthMethod: 'client_secret_jwt', clientSecret: LONG_SECRET },
        theirs: { clientAuthenticatorType: 'client-secret-jwt', secret: LONG_SECRET },
      },
    ] as const
    for (const { id, ours, theirs } of machines) {
      await keep.clients.put({ id, provider: 'external', clientId: id, ...ours })
      await admin.createClient(EXTERNAL.name, client(id, { serviceAccountsEnabled: true, ...theirs }))
      await keep.connections.import({ id, client: id, grantType: 'client_credentials', scope: 'openid' })
      const { accessToken } = await keep.token(id)
      assert.ok(await accepts(issuer, accessToken), `Keycloak refuses the token of ${id}`)
    }
    const methods = (await admin.events(EXTERNAL.name)).flatMap(({ type, clientId, details }) =>
      type === 'CLIENT_LOGIN' && machines.some(({ id }) => id === clientId) ? [details?.['client_auth_method']] : [],
    )
    // The server renews ahead, so there may be more than one of each.
    const named = [...new Set(methods)].join(', ')
    assert.equal(named, 'client-jwt, client-secret-jwt', `Keycloak names the methods ${named}`)
    return {
      logins: 2,
      lost: 0,
      presented: null,
      seen: 'Keycloak names the methods `client-jwt` and `client-secret-jwt`',
    }
  },
}

/** As long as the hash that signs with it (RFC 7518 section 3.2). */
const LONG_SECRET = 'not-so-secret-and-thirty-two-bytes-or-more'
const SECRET_OF_MACHINE = 'not-so-secret'
const isLogin = ({ type, clientId }: { readonly type: string; readonly clientId?: string }): boolean =>
  type === 'CLIENT_LOGIN' && clientId === 'machine'
