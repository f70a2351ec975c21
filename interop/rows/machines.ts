/** Rows in which a connection runs its grant again, towards Keycloak, instead of a refresh token. */
import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { HandOut, Tokenkeep } from '@tokenkeep/node'
import { createRemoteJWKSet, decodeJwt, jwtVerify, type JWTPayload } from 'jose'
import { accepts } from '../api.ts'
import { tokenkeep } from '../command.ts'
import { presentedIn } from '../counting.ts'
import { importSignIn, install, PROVIDER, serve } from '../installation.ts'
import { client, inAudience, REDIRECT_URI, SECRET, USER } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'
import { machineJwt, signIn } from '../sign-in.ts'

const EXPIRIES = 2
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

export const tokenExchange: KeycloakRow = {
  name: 'token-exchange',
  about: `Keycloak exchanges the token of a person's connection, and a workload's JWT from a file that changes, for tokens of another audience; ${EXPIRIES} expiries; an audience that is not to be had`,
  limitSeconds: 180,
  async play(stage) {
    const { admin, folder } = stage
    const toExchanger = [inAudience({ 'included.client.audience': 'exchanger' })]
    await using installation = await install(stage, EXTERNAL, { client: { clientId: 'shop' } })
    const { keep, issuer, place } = installation
    for (const [id, settings] of [
      ['reports-api', {}],
      [
        'exchanger',
        {
          attributes: { 'standard.token.exchange.enabled': 'true' },
          protocolMappers: [inAudience({ 'included.client.audience': 'reports-api' })],
        },
      ],
      ['shop', { standardFlowEnabled: true, redirectUris: [REDIRECT_URI], protocolMappers: toExchanger }],
      ['night-job', { serviceAccountsEnabled: true, protocolMappers: toExchanger }],
    ] as const)
      await admin.createClient(EXTERNAL.name, client(id, settings))
    const dealer = await signIn(issuer, 'shop')
    await importSignIn(keep, 'dealer-42', dealer)
    await keep.clients.put({ id: 'exchanger', provider: PROVIDER, clientId: 'exchanger', clientSecret: SECRET })
    const file = join(folder, 'night-job.jwt')
    const renew = async (): Promise<JWTPayload> => {
      const jwt = await machineJwt(issuer, 'night-job')
      await writeFile(`${file}.new`, jwt)
      await rename(`${file}.new`, file)
      return decodeJwt(jwt)
    }
    const imported = (id: string, ...more: readonly string[]): Promise<unknown> =>
      tokenkeep(place, [
        ...['connection', 'import', id, '--client', 'exchanger', '--grant', 'token-exchange', '--scope', 'openid'],
        ...more,
      ])
    await imported('reports', '--from-connection', 'dealer-42', '--audience', 'reports-api')
    const fromFile = ['--subject-token-file', file, '--subject-token-type', ACCESS_TOKEN]
    await imported('night-job', ...fromFile, '--audience', 'reports-api')
    await imported('elsewhere', '--from-connection', 'dealer-42', '--audience', 'app')

    const keys = createRemoteJWKSet(new URL(`${issuer}/protocol/openid-connect/certs`))
    const tokens = new Set<string>()
    for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
      const { sub: workload } = await renew()
      const [reports, nightJob] = await Promise.all([keep.token('reports'), keep.token('night-job')])
      for (const [{ accessToken }, sub] of [
        [reports, decodeJwt(dealer.accessToken).sub],
        [nightJob, workload],
      ] as const) {
        const { payload } = await jwtVerify(accessToken, keys, { issuer, audience: 'reports-api', subject: sub ?? '' })
        assert.equal(payload['azp'], 'exchanger')
        tokens.add(accessToken)
      }
      assert.ok(await accepts(issuer, reports.accessToken), 'Keycloak refuses a token that it exchanged')
      await untilEnded([reports, nightJob])
    }
    assert.equal(tokens.size, 2 * EXPIRIES, 'a token was handed out again after its end')
    await assert.rejects(keep.token('elsewhere'))
    assert.deepEqual(await standing(keep, 'elsewhere'), { status: 'blocked', reason: 'grant' })

    const events = await admin.events(EXTERNAL.name)
    const exchanged = events.filter(({ type }) => type === 'TOKEN_EXCHANGE').length
    assert.equal(exchanged, 2 * EXPIRIES, `Keycloak has ${exchanged} events of an exchange`)
    const presented = presentedIn(events, [dealer.sessionId])
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    const seen = `${exchanged} exchanges at ${2 * EXPIRIES} expiries; the person's token is refreshed before it is exchanged; the audience that is not to be had is \`blocked\`, reason \`grant\``
    return { logins: 1, lost: 0, presented, seen }
  },
}

const OURS = 'https://keep.example.org'
const DEALER_AT_OURS = 'dealer@keep.example.org'

export const jwtBearer: KeycloakRow = {
  name: 'jwt-bearer',
  about: `assertions about a person, signed by a key of ours that Keycloak fetches from \`tokenkeep serve\`; ${EXPIRIES} expiries; one about somebody whom Keycloak does not know`,
  limitSeconds: 120,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    await using server = await serve(place)
    const jwksUrl = `${server.url}/clients/robot/jwks.json`
    await keep.clients.put({
      ...{ id: 'robot', provider: PROVIDER, clientId: 'robot' },
      tokenEndpointAuthMethod: 'private_key_jwt',
    })
    await admin.trustIssuer(EXTERNAL.name, 'ours', { issuer: OURS, jwksUrl })
    const sub = await admin.linkUser(EXTERNAL.name, USER.username, 'ours', DEALER_AT_OURS)
    await admin.createClient(
      EXTERNAL.name,
      client('robot', {
        clientAuthenticatorType: 'client-jwt',
        attributes: {
          ...{ 'use.jwks.url': 'true', 'jwks.url': jwksUrl },
          ...{ 'oauth2.jwt.authorization.grant.enabled': 'true', 'oauth2.jwt.authorization.grant.idp': 'ours' },
        },
      }),
    )
    for (const [id, subject] of [
      ['dealer-42', DEALER_AT_OURS],
      ['nobody', 'nobody@keep.example.org'],
    ] as const)
      await tokenkeep(place, [
        ...['connection', 'import', id, '--client', 'robot', '--grant', 'jwt-bearer', '--scope', 'openid'],
        ...['--issuer', OURS, '--subject', subject, '--client-authentication'],
      ])
    const tokens = new Set<string>()
    for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
      const handed = await keep.token('dealer-42')
      assert.equal(decodeJwt(handed.accessToken).sub, sub, 'the token is of somebody else')
      assert.ok(await accepts(issuer, handed.accessToken), 'Keycloak refuses the token')
      tokens.add(handed.accessToken)
      await untilEnded([handed])
    }
    assert.equal(tokens.size, EXPIRIES, 'a token was handed out again after its end')
    await assert.rejects(keep.token('nobody'))
    assert.deepEqual(await standing(keep, 'nobody'), { status: 'blocked', reason: 'grant' })
    const seen = `Keycloak took ${tokens.size} assertions, each with a \`jti\` of its own, and the client's proof beside them; who is not known is \`blocked\`, reason \`grant\``
    return { logins: 1, lost: 0, presented: null, seen }
  },
}

const untilEnded = (tokens: readonly Pick<HandOut, 'expiresAt'>[]): Promise<void> =>
  pause(Math.max(0, ...tokens.map(({ expiresAt }) => expiresAt - Date.now())))

async function standing(keep: Tokenkeep, id: string): Promise<{ readonly status: string; readonly reason: unknown }> {
  const { status, blocked } = await keep.connections.get(id)
  return { status, reason: blocked }
}
