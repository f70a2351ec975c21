/** The row in which a person signs in on another device than the one that waits. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { accepts } from '../api.ts'
import { tokenkeep } from '../command.ts'
import { presentedIn } from '../counting.ts'
import { startHurryingProxy, type HurryingProxy } from '../hurrying-proxy.ts'
import { install, PROVIDER, type Place } from '../installation.ts'
import { person } from '../person.ts'
import { client, OTHER_USER, SECRET, USER } from '../realm.ts'
import { EXTERNAL } from '../realms.ts'
import type { KeycloakRow } from '../row.ts'

const EXPIRIES = 3
/** Keycloak wants 5 s. */
const TOLD_INTERVAL_S = 1
/** RFC 8628 section 3.5. */
const SLOWER_MS = 5_000
const CODE_LIVES_S = 8

export const deviceFlow: KeycloakRow = {
  name: 'device-flow',
  about: `\`tokenkeep connect --device\` waits while a person types its code in a browser, and asks Keycloak too often at first; ${EXPIRIES} expiries; one says no, one never comes, somebody else tries`,
  limitSeconds: 300,
  async play(stage) {
    const { admin, keycloak } = stage
    await using proxy = await startHurryingProxy(keycloak.url, TOLD_INTERVAL_S)
    const endpoints = `${proxy.url}/realms/${EXTERNAL.name}/protocol/openid-connect`
    const deviceAuthorizationEndpoint = `${endpoints}/auth/device`
    await using installation = await install(stage, EXTERNAL, {
      provider: { tokenEndpoint: `${endpoints}/token`, deviceAuthorizationEndpoint },
    })
    const { keep, issuer, place } = installation
    for (const [id, more] of [
      ['tv', {}],
      ['tv-brief', { 'oauth2.device.code.lifespan': String(CODE_LIVES_S) }],
    ] as const) {
      const attributes = { 'oauth2.device.authorization.grant.enabled': 'true', ...more }
      await admin.createClient(EXTERNAL.name, client(id, { attributes }))
      await keep.clients.put({ id, provider: PROVIDER, clientId: id, clientSecret: SECRET })
    }

    const waiting = connectDevice(place, 'tv', 'dealer-42')
    const { userCode, verificationUri } = await waiting.shown
    await untilSlowed(proxy)
    const { title, text, version } = await person(stage, 'first', USER).open(verificationUri, { code: userCode })
    assert.match(text, /Device Login Successful/, `the person ended on "${title}": ${text}`)
    assert.equal((await waiting.connected)['id'], 'dealer-42')
    const asked = [...proxy.questions()]
    const slowed = asked.findIndex(({ answer }) => answer === 'slow_down')
    const gaps = asked.map(({ at }, index) => at - (asked[index - 1]?.at ?? at))
    const quickest = Math.min(...gaps.slice(slowed + 1))
    assert.ok(quickest >= TOLD_INTERVAL_S * 1000 + SLOWER_MS, `after slow_down it asked after ${quickest} ms`)
    const answers = asked.map(({ answer }) => answer)
    assert.deepEqual([...new Set(answers)], ['authorization_pending', 'slow_down', 'granted'])
    assert.equal(
      answers.filter((answer) => answer === 'slow_down').length,
      1,
      `Keycloak answered ${answers.join(', ')}`,
    )

    const before = await keep.connections.get('dealer-42')
    assert.ok(before.subject !== null, 'nobody knows whose account it is')
    const tokens = new Set<string>()
    for (let expiry = 0; expiry < EXPIRIES; expiry += 1) {
      const { accessToken, expiresAt } = await keep.token('dealer-42')
      assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses a token')
      tokens.add(accessToken)
      await pause(Math.max(0, expiresAt - Date.now()))
    }
    assert.equal(tokens.size, EXPIRIES, 'a token was handed out again after its end')

    const denied = connectDevice(place, 'tv', 'denied')
    const page = await person(stage, 'second', USER).open((await denied.shown).verificationUriComplete, { says: 'no' })
    assert.match(page.text, /Consent denied/, `the person ended on "${page.title}": ${page.text}`)
    await assert.rejects(denied.connected, /exit code \d+: .*"sign_in_failed"/)
    assert.equal(proxy.questions().at(-1)?.answer, 'access_denied')

    const lonely = connectDevice(place, 'tv-brief', 'lonely')
    await assert.rejects(lonely.connected, /nobody signed in before the code ended/)

    const other = connectDevice(place, 'tv', 'dealer-42')
    await person(stage, 'third', OTHER_USER).open((await other.shown).verificationUriComplete)
    await assert.rejects(other.connected, /another account/)
    const kept = (await keep.connections.list()).map(({ id, subject, status }) => ({ id, subject, status }))
    assert.deepEqual(kept, [{ id: 'dealer-42', subject: before.subject, status: before.status }])
    assert.ok(await accepts(issuer, (await keep.token('dealer-42')).accessToken), 'Keycloak refuses a token')

    const events = (await admin.events(EXTERNAL.name)).filter(({ clientId }) => clientId === 'tv')
    const named = events.filter(({ error }) => error === 'slow_down').length
    assert.ok(named > 0, 'Keycloak has no event of its slow_down')
    const presented = presentedIn(events)
    assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    const seen = `Chromium ${version}; told to ask each second, it heard ${answers.slice(0, slowed + 1).join(', ')}, and asked ${(quickest / 1000).toFixed(1)} s apart from then on; nothing is kept of who said no, of a code that ended, and of another account`
    return { logins: 1, lost: 0, presented, seen }
  },
}

interface Shown {
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete: string
}

interface Waiting {
  /** What the person is shown. */
  readonly shown: Promise<Shown>
  /** The connection, as the command prints it. */
  readonly connected: Promise<Readonly<Record<string, unknown>>>
}

function connectDevice(place: Place, clientId: string, id: string): Waiting {
  const { promise: shown, resolve, reject } = Promise.withResolvers<Shown>()
  const args = ['connect', PROVIDER, '--device', '--client', clientId, '--id', id, '--scope', 'openid profile email']
  const connected = tokenkeep(place, args, (line) => {
    // As docs/cli.md has it.
    if ('userCode' in line) resolve(line as unknown as Shown)
  })
  // One that ends early is heard of by whoever waits for either.
  connected.catch(reject)
  shown.catch(() => undefined)
  return { shown, connected }
}

const SLOWED_WITHIN_MS = 60_000

/** Until Keycloak said `slow_down`, and then that the person is still missing: it has forgiven. */
async function untilSlowed(proxy: HurryingProxy): Promise<void> {
  const began = performance.now()
  const isForgiven = (): boolean => {
    const answers = proxy.questions().map(({ answer }) => answer)
    return answers.includes('slow_down') && answers.at(-1) === 'authorization_pending'
  }
  while (!isForgiven()) {
    const said = proxy.questions().map(({ answer }) => answer)
    if (performance.now() - began > SLOWED_WITHIN_MS)
      throw new Error(`Keycloak did not slow the device down and then let it wait on, but answered ${said.join(', ')}`)
    await pause(200)
  }
}
