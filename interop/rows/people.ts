/** Rows in which a person sits at a browser: a real Chromium, Keycloak's own pages. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Tokenkeep } from '@tokenkeep/node'
import { accepts } from '../api.ts'
import { presentedIn } from '../counting.ts'
import { install, PROVIDER, serve, type Served } from '../installation.ts'
import { person } from '../person.ts'
import { client, OTHER_USER, SECRET, USER } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow, Stage } from '../row.ts'
import { servedApi, type ServedApi } from '../served-api.ts'

const SCREENSHOT = fileURLToPath(new URL('../connected.png', import.meta.url))
const EXPIRIES = 3

/** A client that people sign in to by links of the server, at Keycloak and at ours. */
async function register(
  { admin }: Stage,
  { keep, server }: { readonly keep: Tokenkeep; readonly server: Served },
  id: string,
  attributes: Readonly<Record<string, string>>,
): Promise<void> {
  const redirectUris = [`${server.url}/connect/callback/${PROVIDER}`]
  const settings = {
    ...{ standardFlowEnabled: true, redirectUris },
    attributes: { 'post.logout.redirect.uris': '+', ...attributes },
  }
  await admin.createClient(EXTERNAL.name, client(id, settings))
  await keep.clients.put({ id, provider: PROVIDER, clientId: id, clientSecret: SECRET })
}

async function apiOf(keep: Tokenkeep, server: Served): Promise<ServedApi> {
  const { key } = await keep.apiKeys.create({ name: 'interop', scopes: ['connections:write', 'token:read'] })
  return servedApi(server, key)
}

// ---- in, and in again ----------------------------------------------------------------------------------------------

export const browserSignIn: KeycloakRow = {
  name: 'browser-sign-in',
  about: `a person signs in in a browser by a link of \`tokenkeep serve\`, at a client that requires PAR; ${EXPIRIES} expiries; signs in again; somebody else tries`,
  limitSeconds: 300,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    await using server = await serve(place)
    await register(stage, { keep, server }, 'web', { 'require.pushed.authorization.requests': 'true' })
    const api = await apiOf(keep, server)
    const session = { client: 'web', connection: 'dealer-42', scope: 'openid email profile' }

    const first = await api.link({ ...session, labels: { team: 'sales' } })
    const page = await person(stage, 'first', USER).open(first.url, { screenshot: SCREENSHOT })
    assert.match(page.title, /^external is connected$/, `the person ended on "${page.title}": ${page.text}`)
    assert.deepEqual(page.asked, [['client_id', 'request_uri']], 'the browser carried what was to be pushed')
    assert.equal((await api.linkState(first)).status, 'connected')
    const before = await keep.connections.get('dealer-42')
    const tokens = new Set<string>()
    for (let expiry = 0; expiry < EXPIRIES; expiry += 1) tokens.add(await usable(api, issuer))
    assert.equal(tokens.size, EXPIRIES, 'a token was handed out again after its end')

    const again = await api.link(session)
    const back = await person(stage, 'second', USER).open(again.url)
    assert.match(back.title, /connected again$/, `the person ended on "${back.title}": ${back.text}`)
    const { renewed } = await api.linkState(again)
    const after = await keep.connections.get('dealer-42')
    assert.equal(renewed, true)
    assert.deepEqual(standing(after), standing(before), 'the connection is another one after the second sign-in')
    const kept = (await keep.connections.history('dealer-42')).length
    assert.ok(kept >= EXPIRIES - 1, `${kept} entries of its history are left`)
    await usable(api, issuer)

    const other = await api.link(session)
    const refused = await person(stage, 'third', OTHER_USER).open(other.url)
    assert.match(refused.title, /another account/, `somebody else ended on "${refused.title}": ${refused.text}`)
    assert.equal((await api.linkState(other)).failure?.because, 'other_account')
    assert.deepEqual(standing(await keep.connections.get('dealer-42')), standing(before))
    await usable(api, issuer)

    const events = (await admin.events(EXTERNAL.name)).filter(({ clientId }) => clientId === 'web')
    const presented = presentedIn(events)
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    const seen = `Chromium ${page.version}; Keycloak's address had \`client_id\` and \`request_uri\` alone; the second sign-in keeps id, labels and history; the other account is refused, and nothing changes`
    return { logins: 1, lost: 0, presented, seen }
  },
}

/** @returns a token that Keycloak takes; afterwards it has ended */
async function usable(api: ServedApi, issuer: string): Promise<string> {
  const { status, accessToken, expiresInSeconds } = await api.token('dealer-42')
  assert.ok(accessToken !== null, `tokenkeep serve answered ${status}`)
  assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses a token that tokenkeep serve handed out')
  await pause((expiresInSeconds + 1) * 1000)
  return accessToken
}

const standing = ({
  id,
  uid,
  subject,
  labels,
  createdAt,
  status,
}: Awaited<ReturnType<Tokenkeep['connections']['get']>>) => ({
  ...{ id, uid, subject, labels, createdAt, status },
})

// ---- out -----------------------------------------------------------------------------------------------------------

const STOPS_WITHIN_MS = 1_000
const CONFIRMED_WITHIN_S = 60
const BETWEEN_ASKING_MS = 50

const LOGOUT_CLIENTS = {
  // Its tokens outlive the row, so that no refresh finds out.
  online: { scope: 'openid', attributes: { 'access.token.lifespan': '300' } },
  'offline-kept': { scope: 'openid offline_access', attributes: {} },
  'offline-revoked': {
    scope: 'openid offline_access',
    attributes: { 'backchannel.logout.revoke.offline.tokens': 'true' },
  },
} as const

export const backchannelLogout: KeycloakRow = {
  name: 'backchannel-logout',
  about:
    'a person signs out at Keycloak in the browser, and Keycloak posts logout tokens to `tokenkeep serve`: for a session, and for two offline tokens of it',
  limitSeconds: 300,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    await using server = await serve(place)
    const api = await apiOf(keep, server)
    const someone = person(stage, 'first', USER)
    for (const [id, { scope, attributes }] of Object.entries(LOGOUT_CLIENTS)) {
      await register(stage, { keep, server }, id, {
        ...{ 'backchannel.logout.url': `${server.url}/providers/${PROVIDER}/backchannel-logout` },
        ...{ 'backchannel.logout.session.required': 'true', ...attributes },
      })
      const { url } = await api.link({ client: id, connection: id, scope })
      const { title, text } = await someone.open(url)
      assert.match(title, /is connected$/, `the person ended on "${title}": ${text}`)
    }
    await using online = watch(api, 'online')
    await using kept = watch(api, 'offline-kept')
    await using revoked = watch(api, 'offline-revoked')
    const { text } = await someone.open(`${issuer}/protocol/openid-connect/logout`)
    assert.match(text, /logged out/, `the person is not signed out, and reads: ${text}`)
    await until('the connection says that the person signed out', async () => {
      const { status, reason } = await keep.connections.get('online')
      return status === 'needs_user' && reason === 'signed_out'
    })
    const confirmedAt = Date.now()
    await until('hand-outs of offline access go on', () => Math.min(kept.lastAt(), revoked.lastAt()) > confirmedAt)

    const events = await admin.events(EXTERNAL.name)
    const session = events.find(({ clientId }) => clientId === 'online')?.sessionId
    const signedOutAt = events.find(({ type, sessionId }) => type === 'LOGOUT' && sessionId === session)?.time
    assert.ok(signedOutAt !== undefined, 'Keycloak has no event of the logout')
    const lateMs = online.lastAt() - signedOutAt
    assert.ok(lateMs < STOPS_WITHIN_MS, `a token was handed out ${lateMs} ms after Keycloak had ended the session`)
    assert.equal(kept.refusals(), 0, 'offline access was refused, which the logout does not end')
    const pausedMs = revoked.longestGapMs()
    assert.ok(pausedMs > 5_000, `offline access that the logout revokes was handed out again after ${pausedMs} ms`)
    for (const id of ['offline-kept', 'offline-revoked']) {
      const { accessToken } = await api.token(id)
      assert.ok(accessToken !== null && (await accepts(issuer, accessToken)), `Keycloak refuses the token of ${id}`)
    }
    const presented = presentedIn(events.filter(({ clientId }) => clientId === 'online'))
    assert.deepEqual([presented.refused, presented.mostOfOne], [1, 1], 'one presentation decides about the session')
    const confirmed = ((confirmedAt - signedOutAt) / 1000).toFixed(0)
    const when = `${Math.abs(lateMs)} ms ${lateMs < 0 ? 'before' : 'after'}`
    const seen = `the last token of the session ${when} Keycloak's event of the logout, \`needs_user: signed_out\` ${confirmed} s after it; offline access goes on, with \`revoke_offline_access\` after a pause of ${(pausedMs / 1000).toFixed(0)} s, since Keycloak grants it still`
    return { logins: 3, lost: 0, presented, seen }
  },
}

interface Watch {
  /** Of the last hand-out, epoch milliseconds. */
  readonly lastAt: () => number
  readonly longestGapMs: () => number
  readonly refusals: () => number
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Asks for a token again and again. */
function watch(api: ServedApi, connection: string): Watch {
  let isOver = false
  let lastAt = Date.now()
  let gapMs = 0
  let refusals = 0
  const watching = (async () => {
    while (!isOver) {
      const { accessToken } = await api.token(connection)
      if (accessToken === null) refusals += 1
      else {
        const now = Date.now()
        gapMs = Math.max(gapMs, now - lastAt)
        lastAt = now
      }
      await pause(BETWEEN_ASKING_MS)
    }
  })()
  return {
    lastAt: () => lastAt,
    longestGapMs: () => gapMs,
    refusals: () => refusals,
    async [Symbol.asyncDispose]() {
      isOver = true
      await watching
    },
  }
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const began = performance.now()
  while (!(await isSo())) {
    if (performance.now() - began > CONFIRMED_WITHIN_S * 1000)
      throw new Error(`not so within ${CONFIRMED_WITHIN_S} s: ${what}`)
    await pause(250)
  }
}
