/**
 * `tokenkeep dev --once`: shows that it works, and proves it by what the authorization server counted.
 *
 * It uses a connection of its own with short-lived access tokens, so that refreshes come by themselves within seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TokenError, type HandOut } from '@tokenkeep/core'
import type { SessionCounters, SpawnedDevserver } from '@tokenkeep/devserver'
import { openTokenkeep, type Tokenkeep } from '@tokenkeep/node'
import { Interrupted } from '../cli/context.ts'
import { openOptionsOf, type Place } from '../cli/place.ts'
import type { Surroundings } from '../cli/surroundings.ts'
import type { Credentials } from './credentials.ts'
import { find, keepSignIn, REALM, signIn } from './demo.ts'
import type { Narrator } from './narrator.ts'
import { askTokenEndpoint, type TokenAnswer } from './oauth-client.ts'
import type { Serving } from './serving.ts'
import { spawnVictim } from './victim-process.ts'

export interface Tour {
  readonly server: SpawnedDevserver
  readonly place: Place
  readonly narrator: Narrator
  readonly around: Surroundings
  /** Where the drop-in is. */
  readonly serving: Pick<Serving, 'tokenEndpoint'>
  /** Of the OAuth client that asks there. */
  readonly credentials: Pick<Credentials, 'clientId' | 'clientSecret'>
}

const TOUR = { id: 'tour', accessTokenSeconds: 4 } // Refreshed ahead from half of its life on.
const REFRESH_MS_MAX = 15_000
const LOOK_EVERY_MS = 100
const HELD_MS = 5000

/** @returns whether all went well */
export async function takeTour(tour: Tour): Promise<boolean> {
  let keep = await open(tour)
  try {
    const sessionId = await begin(keep, tour)
    const counted = (): Promise<SessionCounters> => tour.server.control.counters(REALM, sessionId)
    const first = await keep.token(TOUR.id)

    const steps: readonly (readonly [name: string, act: () => Promise<string>])[] = [
      ['token', async () => describe(first, tour)],
      ['API call', () => callApi(keep, tour)],
      ['refresh', () => refresh(keep, first, counted)],
      [
        'kill -9 and restart',
        async () => {
          await keep.close()
          const killed = await killAtWork(tour, sessionId)
          keep = await open(tour)
          return `${killed}; ${await goesOn(keep, tour, counted)}`
        },
      ],
      ['reduced scope', () => reducedScope(keep, counted)],
      ['drop-in', () => dropIn(keep, tour, counted)],
      ['delete', () => deleteTour(keep, counted)],
    ]
    for (const [name, act] of steps) {
      if (tour.around.interruption.signal.aborted) throw new Interrupted()
      const outcome = await tried(act)
      tour.narrator.step({ name, ...outcome })
      if (!outcome.ok) {
        tour.narrator.tourEnded(false)
        return false
      }
    }
    tour.narrator.tourEnded(true)
    return true
  } finally {
    await keep.close()
  }
}

const open = ({ place, narrator }: Tour): Promise<Tokenkeep> =>
  openTokenkeep({ ...openOptionsOf(place), onEvent: narrator.event })

/** @returns the session at the server */
async function begin(keep: Tokenkeep, { server, around }: Tour): Promise<string> {
  const session = await signIn(server, TOUR)
  // One that an earlier tour left behind gets the new sign-in.
  await keepSignIn(keep, { id: TOUR.id, known: await find(keep, TOUR.id), session, nowMs: around.now() })
  return session.sessionId
}

async function tried(act: () => Promise<string>): Promise<{ ok: boolean; detail: string }> {
  try {
    return { ok: true, detail: await act() }
  } catch (error) {
    if (error instanceof Unmet) return { ok: false, detail: error.message }
    if (error instanceof TokenError) return { ok: false, detail: `${error.code}: ${error.message}` }
    throw error
  }
}

/** What the tour wanted to see was not there. */
class Unmet extends Error {
  override readonly name = 'Unmet'
}

function expect(met: boolean, otherwise: string): void {
  if (!met) throw new Unmet(otherwise)
}

// ---- the steps -----------------------------------------------------------------------------------------------------

function describe({ tokenType, expiresAt, scope }: HandOut, { around }: Tour): string {
  return `a ${tokenType} token for ${((expiresAt - around.now()) / 1000).toFixed(1)} s, scope "${scope ?? ''}"`
}

async function callApi(keep: Tokenkeep, { server }: Tour): Promise<string> {
  const response = await keep.fetchFor(TOUR.id)(server.demoApi)
  const { offers } = (await response.json()) as { offers?: readonly unknown[] }
  expect(response.status === 200, `GET ${server.demoApi} answered ${response.status}`)
  return `GET ${server.demoApi} answered 200 with ${offers?.length ?? 0} offers`
}

async function refresh(keep: Tokenkeep, before: HandOut, counted: () => Promise<SessionCounters>): Promise<string> {
  const { generation } = await keep.connections.get(TOUR.id)
  await nextToken(keep, before)
  const after = await keep.connections.get(TOUR.id)
  expect(after.generation > generation, 'the refresh token did not rotate')
  return `before its end, by itself: refresh token rotated to generation ${after.generation}; ${await proof(counted)}`
}

/** Waits for a refresh that comes by itself. */
async function nextToken(keep: Tokenkeep, before: HandOut): Promise<HandOut> {
  for (let waitedMs = 0; waitedMs < REFRESH_MS_MAX; waitedMs += LOOK_EVERY_MS) {
    const token = await keep.token(TOUR.id)
    if (token.accessToken !== before.accessToken) return token
    await sleep(LOOK_EVERY_MS)
  }
  throw new Unmet(`no refresh within ${REFRESH_MS_MAX / 1000} s`)
}

/** What the server says: it alone knows what was really presented. */
async function proof(counted: () => Promise<SessionCounters>): Promise<string> {
  const { refreshes, presentations, secondPresentations, killed } = await counted()
  expect(!killed, 'the server ended the sign-in')
  expect(secondPresentations === 0, `the server counted ${secondPresentations} second presentations`)
  expect(refreshes > 0 && refreshes === presentations, `of ${presentations} presentations ${refreshes} were answered`)
  const count = refreshes === 1 ? '1 refresh' : `${refreshes} refreshes`
  return `the server counted ${count} and 0 second presentations`
}

/**
 * Another process refreshes, so that only it and the database know the new refresh token; then it is killed in the
 * middle of a call.
 */
async function killAtWork({ server, place }: Tour, sessionId: string): Promise<string> {
  const victim = spawnVictim({ open: openOptionsOf(place), id: TOUR.id, api: server.demoApi })
  try {
    await victim.until('refreshed')
    const held = { kind: 'delay', ms: HELD_MS } as const
    await server.control.addFault({ fault: held, when: 'before', times: 1, sessionId, endpoint: 'demo-api' })
    victim.goOn()
    await victim.until('calling')
    await sleep(LOOK_EVERY_MS)
    return `process ${victim.pid} refreshed and was killed while it called the API`
  } finally {
    await victim.kill()
    await server.control.clearFaults()
  }
}

async function goesOn(keep: Tokenkeep, tour: Tour, counted: () => Promise<SessionCounters>): Promise<string> {
  const token = await keep.token(TOUR.id)
  await callApi(keep, tour)
  await nextToken(keep, token)
  return `opened again, the next refresh works; ${await proof(counted)}`
}

async function reducedScope(keep: Tokenkeep, counted: () => Promise<SessionCounters>): Promise<string> {
  const full = await keep.token(TOUR.id)
  const wide = new Set(full.scope?.split(' '))
  const narrow = await keep.token(TOUR.id, { scope: 'dealer-api' })
  expect(narrow.scope === 'dealer-api', `asked for "dealer-api", got "${narrow.scope ?? ''}"`)
  const again = await nextToken(keep, await keep.token(TOUR.id))
  const same = again.scope?.split(' ').every((scope) => wide.has(scope)) === true
  expect(same && again.scope?.split(' ').length === wide.size, `afterwards the scope was "${again.scope ?? ''}"`)
  return `asked for "dealer-api" and got it; the next refresh has "${again.scope ?? ''}" again; ${await proof(counted)}`
}

/** Two programs that know nothing of each other, nor of Tokenkeep, share one refresh token. */
async function dropIn(keep: Tokenkeep, tour: Tour, counted: () => Promise<SessionCounters>): Promise<string> {
  const { serving, credentials, server } = tour
  const { refreshToken } = await keep.localRefreshTokens.share(TOUR.id, { with: credentials.clientId })
  const ask = (): Promise<TokenAnswer> => askTokenEndpoint(serving.tokenEndpoint, { ...credentials, refreshToken })
  const askTogether = async (): Promise<readonly TokenAnswer[]> => {
    const answers = await Promise.all([ask(), ask()])
    for (const answer of answers) await takenByApi(answer, server.demoApi)
    return answers
  }

  const first = await askTogether()
  await sleep(Math.max(...first.map(({ body }) => Number(body['expires_in']))) * 1000)
  const second = await askTogether()
  const before = new Set(first.map(({ body }) => body['access_token']))
  const anew = second.every(({ body }) => !before.has(body['access_token']))
  const stable = [...first, ...second].every(({ body }) => body['refresh_token'] === refreshToken)
  expect(anew, 'an access token was handed out again after its end')
  expect(stable, 'the answers had another refresh token than the one that was sent')
  return `two programs at once sent one refresh token, twice, and got tokens that work; ${await proof(counted)}`
}

async function takenByApi({ status, body }: TokenAnswer, api: string): Promise<void> {
  const error = typeof body['error'] === 'string' ? ` ${body['error']}` : ''
  expect(status === 200, `the drop-in answered ${status}${error}`)
  const missing = FIVE_FIELDS.filter((name) => !(name in body))
  expect(missing.length === 0, `the drop-in's answer lacks ${missing.join(', ')}`)
  const authorization = `${String(body['token_type'])} ${String(body['access_token'])}`
  const response = await fetch(api, { headers: { authorization } })
  await response.text()
  expect(response.status === 200, `the API answered ${response.status} to a token of the drop-in`)
}

const FIVE_FIELDS = ['access_token', 'expires_in', 'refresh_token', 'token_type', 'scope']

async function deleteTour(keep: Tokenkeep, counted: () => Promise<SessionCounters>): Promise<string> {
  const { revokedUpstream } = await keep.connections.delete(TOUR.id)
  expect(revokedUpstream, 'the refresh token was not revoked at the server')
  const { killedBecause } = await counted()
  return `its refresh token is revoked at the server (${killedBecause ?? 'yes'}), its secrets are erased`
}
