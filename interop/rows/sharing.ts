/** Rows in which answers are lost, Keycloak is killed, and many processes share one sign-in. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/node'
import { accepts } from '../api.ts'
import { fleetCount, presentedIn, type FleetReport } from '../counting.ts'
import { playFleet, PROCESSES } from '../fleet.ts'
import { importSignIn, install, issuerOf, type Installation } from '../installation.ts'
import { startLosingProxy } from '../losing-proxy.ts'
import type { RealmSettings } from '../realm.ts'
import { EXTERNAL, EXTERNAL_REUSE_2 } from '../realms.ts'
import type { KeycloakRow, Played, Stage } from '../row.ts'
import { signIn, type SignIn } from '../sign-in.ts'

const reuseOf = ({ maxReuse }: RealmSettings): string => `reuse ${maxReuse}`

// ---- lost answers --------------------------------------------------------------------------------------------------

export const lostAnswerReuse2: KeycloakRow = {
  name: 'lost-answer-reuse-2',
  about: 'reuse 2: Keycloak rotates, and its answer is lost on the way',
  limitSeconds: 120,
  async play(stage) {
    const { person, seen } = await loseAnAnswer(stage, EXTERNAL_REUSE_2, async ({ keep, issuer }) => {
      const { accessToken } = await untilToken(() => keep.token('dealer-42'), 60)
      assert.ok(await accepts(issuer, accessToken), 'Keycloak refuses the token that came after the lost answer')
      return 'presented once more, as the realm allows'
    })
    const presented = presentedIn(await stage.admin.events(EXTERNAL_REUSE_2.name), [person.sessionId])
    assert.equal(presented.refused, 0, `Keycloak refused ${presented.refused} presentations`)
    assert.equal(presented.mostOfOne, 2, `the refresh token was presented ${presented.mostOfOne} times`)
    return { logins: 1, lost: 0, presented, seen }
  },
}

export const lostAnswerReuse0: KeycloakRow = {
  name: 'lost-answer-reuse-0',
  about: 'reuse 0: the same. The only answer died, and nobody can keep this sign-in',
  limitSeconds: 120,
  async play(stage) {
    const { person, seen } = await loseAnAnswer(stage, EXTERNAL, async ({ keep }) => {
      const error: unknown = await untilToken(() => keep.token('dealer-42'), 90).catch((thrown: unknown) => thrown)
      assert.ok(error instanceof TokenError && error.code === 'needs_user', 'a token came from nowhere')
      assert.equal(error.reason, 'answer_lost')
      return 'presented once more when nothing was left to lose, then `needs_user: answer_lost`'
    })
    const presented = presentedIn(await stage.admin.events(EXTERNAL.name), [person.sessionId])
    assert.ok(presented.mostOfOne <= 2, `a refresh token was presented ${presented.mostOfOne} times`)
    return { logins: 1, lost: 1, presented, seen }
  },
}

async function loseAnAnswer(
  stage: Stage,
  realm: RealmSettings,
  see: (installation: Installation) => Promise<string>,
): Promise<{ readonly person: SignIn; readonly seen: string }> {
  await using proxy = await startLosingProxy(stage.keycloak.url)
  const tokenEndpoint = `${proxy.url}/realms/${realm.name}/protocol/openid-connect/token`
  await using installation = await install(stage, realm, { provider: { tokenEndpoint } })
  const { keep } = installation
  const person = await signIn(issuerOf(stage, realm))
  await importSignIn(keep, 'dealer-42', person)
  proxy.loseNext()
  const seen = await see(installation)
  assert.equal(proxy.lost(), 1, 'no answer was lost')
  return { person, seen }
}

async function untilToken<Handed>(ask: () => Promise<Handed>, seconds: number): Promise<Handed> {
  const began = performance.now()
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const over = performance.now() - began > seconds * 1000
      if (!(error instanceof TokenError) || !error.retryable || over) throw error
    }
    await pause(500)
  }
}

// ---- fleets --------------------------------------------------------------------------------------------------------

const EXPIRIES = 50
const FLEET_LIMIT_S = 1_200

const fleetAt = (name: string, realm: RealmSettings): KeycloakRow => ({
  name,
  about: `${reuseOf(realm)}: ${PROCESSES} processes share one connection through ${EXPIRIES} expiries`,
  limitSeconds: FLEET_LIMIT_S,
  async play(stage) {
    await using installation = await install(stage, realm)
    const { keep, issuer, place } = installation
    const person = await signIn(issuer)
    await importSignIn(keep, 'dealer-42', person)
    const reports = await playFleet({ place, issuer, ids: ['dealer-42'], expiries: EXPIRIES })
    return await judged(stage, realm, [person], reports)
  },
})

export const fleetReuse0 = fleetAt('fleet-reuse-0', EXTERNAL)
export const fleetReuse2 = fleetAt('fleet-reuse-2', EXTERNAL_REUSE_2)

const CONNECTIONS_KILLED = 10
const EXPIRIES_KILLED = 20
/** In the middle of some expiry, and not at its end. */
const KILLED_AFTER_MS = 30_000

export const killed: KeycloakRow = {
  name: 'killed',
  about: `reuse 0: ${PROCESSES} processes share ${CONNECTIONS_KILLED} connections; Keycloak is killed (SIGKILL) and started again in the middle`,
  alone: true,
  limitSeconds: FLEET_LIMIT_S,
  async play(stage) {
    await using installation = await install(stage, EXTERNAL)
    const { keep, issuer, place } = installation
    const people: SignIn[] = []
    const ids = Array.from({ length: CONNECTIONS_KILLED }, (_, index) => `dealer-${index + 1}`)
    for (const id of ids) {
      const person = await signIn(issuer)
      people.push(person)
      await importSignIn(keep, id, person)
    }
    const playing = playFleet({ place, issuer, ids, expiries: EXPIRIES_KILLED })
    await pause(KILLED_AFTER_MS)
    const killedAt = performance.now()
    await stage.keycloak.crash(async () => undefined)
    const awaySeconds = Math.round((performance.now() - killedAt) / 1000)
    const played = await judged(stage, EXTERNAL, people, await playing)
    return { ...played, seen: `${played.seen}; Keycloak was away for ${awaySeconds} s` }
  },
}

async function judged(
  stage: Stage,
  { name }: RealmSettings,
  people: readonly SignIn[],
  reports: readonly (readonly FleetReport[])[],
): Promise<Played> {
  const expiries = people.length === 1 ? EXPIRIES : EXPIRIES_KILLED
  const lost = people.filter((_, index) => reports.some((each) => each[index]?.lost !== null)).length
  const { granted, bad, because, ...all } = fleetCount(reports.flat(), expiries)
  const sessions = people.map(({ sessionId }) => sessionId)
  const presented = presentedIn(await stage.admin.events(name), sessions)
  assert.equal(lost, 0, `${lost} of ${people.length} sign-ins were lost (${because}); ${JSON.stringify(presented)}`)
  assert.equal(bad, 0, `Keycloak refused ${bad} of ${granted} tokens within their life`)
  assert.equal(presented.mostOfOne, 1, `a refresh token was presented ${presented.mostOfOne} times`)
  return { logins: people.length, lost, presented, seen: `${granted} of ${all.expiries} hand-outs` }
}
