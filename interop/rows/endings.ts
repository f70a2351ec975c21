/** Rows in which a sign-in ends, or has no end. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/node'
import { accepts } from '../api.ts'
import { presentedIn } from '../counting.ts'
import { importSignIn, install } from '../installation.ts'
import { SECRET } from '../realm.ts'
import { EXTERNAL, EXTERNAL_BRIEF } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'
import { signIn } from '../sign-in.ts'

const ASKED = 4
/** Forced refreshes are so far apart. */
const APART_MS = 10_500
/** After so many a sign-in counts as over. */
const REFUSALS_MOST = 3

export const introspection: KeycloakRow = {
  name: 'introspection',
  about:
    'an administrator ends the session: introspection finds it out, and after three refusals the person is asked to sign in',
  limitSeconds: 240,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL, { client: { clientId: 'app-in-audience' } })
    const { keep, issuer } = installation
    const person = await signIn(issuer, 'app-in-audience')
    await importSignIn(keep, 'dealer-42', person)
    await keep.token('dealer-42')
    assert.equal(await keep.introspect('dealer-42'), 'active')
    await admin.endSession(EXTERNAL.name, person.sessionId)
    const endedAt = performance.now()
    assert.equal(await keep.introspect('dealer-42'), 'inactive')
    const reason = await untilNeedsUser(() => keep.token('dealer-42'), 180)
    const seconds = Math.round((performance.now() - endedAt) / 1000)
    assert.equal(reason, 'revoked')
    const presented = presentedIn(await admin.events(EXTERNAL.name), [person.sessionId])
    return { logins: 1, lost: 0, presented, seen: `inactive at once; \`needs_user: revoked\` after ${seconds} s` }
  },
}

export const introspectionSilent: KeycloakRow = {
  name: 'introspection-silent',
  about: `a client that is not in the audience of its tokens, as new ones are: introspection calls each of them inactive, ${ASKED} times`,
  limitSeconds: 120,
  async play(stage) {
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer } = installation
    const person = await signIn(issuer)
    await importSignIn(keep, 'dealer-42', person)
    const said: string[] = []
    for (let asked = 0; asked < ASKED; asked += 1) {
      const { accessToken } = await keep.token('dealer-42')
      assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses the token')
      said.push(await keep.introspect('dealer-42'))
      await keep.token('dealer-42')
      await pause(APART_MS)
    }
    assert.deepEqual(said, ['inactive', ...Array<string>(ASKED - 1).fill('unsupported')])
    const presented = presentedIn(await stage.admin.events(EXTERNAL.name), [person.sessionId])
    assert.equal(presented.granted, ASKED + 1, `${presented.granted} refreshes at ${ASKED} expiries`)
    return { logins: 1, lost: 0, presented, seen: 'one refresh too many, then Keycloak is not believed any more' }
  },
}

export const revocation: KeycloakRow = {
  name: 'revocation',
  about: 'a connection is deleted: its refresh token is revoked at Keycloak',
  limitSeconds: 60,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer } = installation
    const person = await signIn(issuer)
    await importSignIn(keep, 'dealer-42', person)
    const { revokedUpstream } = await keep.connections.delete('dealer-42')
    assert.ok(revokedUpstream, 'Keycloak did not confirm the revocation')
    const answer = await fetch(`${issuer}/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: 'app',
        client_secret: SECRET,
        refresh_token: person.refreshToken,
      }),
    })
    const { error } = (await answer.json()) as { readonly error?: string }
    assert.equal(error, 'invalid_grant', 'Keycloak still takes a refresh token that was revoked')
    const left = await admin.sessionIds(EXTERNAL.name, 'app', 'user')
    assert.ok(!left.includes(person.sessionId), 'the session is still there')
    return { logins: 1, lost: 0, presented: null, seen: 'the refresh token is refused afterwards, its session is gone' }
  },
}

export const offline: KeycloakRow = {
  name: 'offline',
  about: 'an offline token (`offline_access`) through 3 expiries, then deleted',
  limitSeconds: 60,
  async play(stage) {
    const { admin } = stage
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer } = installation
    const person = await signIn(issuer, 'app', 'openid offline_access')
    assert.equal(person.response['refresh_expires_in'], 0, 'Keycloak gave no offline token')
    await importSignIn(keep, 'dealer-42', person)
    for (let expiry = 0; expiry < 3; expiry += 1) {
      const { accessToken, expiresAt } = await keep.token('dealer-42')
      assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses the token of an offline session')
      await pause(Math.max(0, expiresAt - Date.now()))
    }
    const { refreshTokenExpiresAt } = await keep.connections.get('dealer-42')
    assert.equal(refreshTokenExpiresAt, null, '`refresh_expires_in: 0` was taken for an end')
    const presented = presentedIn(await admin.events(EXTERNAL.name), [person.sessionId])
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    await keep.connections.delete('dealer-42')
    const left = await admin.sessionIds(EXTERNAL.name, 'app', 'offline')
    assert.ok(!left.includes(person.sessionId), 'the offline session is still there after the deletion')
    return {
      logins: 1,
      lost: 0,
      presented,
      seen: '`refresh_expires_in: 0` is no end; the offline session is gone after it',
    }
  },
}

export const sessionEnd: KeycloakRow = {
  name: 'session-end',
  about: 'SSO Session Max of 30 s: `refresh_expires_in` says the end, and the connection says so in time',
  limitSeconds: 120,
  async play(stage) {
    await using installation = await install(stage, EXTERNAL_BRIEF)
    const { keep, issuer } = installation
    const person = await signIn(issuer)
    const end = Date.now() + Number(person.response['refresh_expires_in']) * 1000
    await importSignIn(keep, 'dealer-42', person)
    let lastGood = 0
    let told: { readonly at: number; readonly reason: string } | null = null
    while (told === null && Date.now() < end + 30_000) {
      try {
        const { accessToken } = await keep.token('dealer-42')
        if (await accepts(issuer, accessToken)) lastGood = Date.now()
      } catch (error) {
        if (!(error instanceof TokenError)) throw error
        if (error.code === 'needs_user') told = { at: Date.now(), reason: error.reason ?? '' }
      }
      await pause(250)
    }
    assert.ok(told !== null, 'nobody was told that the sign-in had ended')
    assert.equal(told.reason, 'expired')
    const early = (end - told.at) / 1000
    assert.ok(early < 2, `the person was asked to sign in ${early.toFixed(1)} s before the end`)
    assert.ok(early > -5, `the person was asked to sign in ${(-early).toFixed(1)} s after the end`)
    const presented = presentedIn(await stage.admin.events(EXTERNAL_BRIEF.name), [person.sessionId])
    const { granted, refused, tokens } = presented
    // Keycloak can refuse within the last second already, and one refusal is not the end: the same token is tried again.
    assert.ok(refused <= REFUSALS_MOST, `Keycloak refused ${refused} presentations`)
    assert.equal(tokens, granted + (refused > 0 ? 1 : 0), 'a refresh token that had been granted was presented again')
    const seen = `the last token worked ${((end - lastGood) / 1000).toFixed(1)} s before the end; \`needs_user: expired\` ${Math.abs(early).toFixed(1)} s ${early > 0 ? 'before' : 'after'} it`
    return { logins: 1, lost: 0, presented, seen }
  },
}

/** @returns the reason of `needs_user` */
async function untilNeedsUser(ask: () => Promise<unknown>, seconds: number): Promise<string> {
  const began = performance.now()
  let last = 'tokens'
  while (performance.now() - began < seconds * 1000) {
    try {
      await ask()
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      if (error.code === 'needs_user') return error.reason ?? ''
      last = error.code
    }
    await pause(500)
  }
  throw new Error(`nobody was asked to sign in within ${seconds} s; the last answer was ${last}`)
}
