/** `tokenkeep dev`: Tokenkeep serving, an authorization server, an API, and three sign-ins kept alive while you watch. */
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { TokenError, type TokenkeepEvent } from '@tokenkeep/core'
import type { SpawnedDevserver } from '@tokenkeep/devserver'
import { openTokenkeep, type Tokenkeep } from '@tokenkeep/node'
import { holdWords } from '../cli/hold-words.ts'
import { Interrupted, type Context } from '../cli/context.ts'
import { EXIT, type ExitCode } from '../cli/exit-codes.ts'
import { openInBrowser } from '../cli/open-in-browser.ts'
import { devPlace, openOptionsOf, type DevPlace } from '../cli/place.ts'
import { createMetrics } from '../serve/metrics-prometheus.ts'
import { startAuthorizationServer } from './authorization-server.ts'
import { startCalls, type Calls } from './calls.ts'
import { settleCredentials, type Credentials, type Settled } from './credentials.ts'
import { DEMO_CLIENT, DEMO_CONNECTIONS, REALM, seed, signIn } from './demo.ts'
import { createHumanNarrator } from './narrator-human.ts'
import { createJsonNarrator, type Facts, type Narrator } from './narrator.ts'
import { startServing, type Serving } from './serving.ts'
import { takeTour } from './tour.ts'

export interface DevArguments {
  /** Of the HTTP API and the drop-in; 0: a free one. */
  readonly port: number
  /** Of the authorization server; 0: a free one. */
  readonly asPort: number
  readonly once?: boolean
  /** Of this program. */
  readonly version: string
}

const CALL_EVERY_MS = 1000
const IDS = DEMO_CONNECTIONS.map(({ id }) => id)

/** @throws TokenError `in_use`, `folder_unusable`, `invalid_input`, and what `openTokenkeep` throws */
export async function dev(context: Context, { port, asPort, once, version }: DevArguments): Promise<ExitCode> {
  const { around, output } = context
  const forTour = once === true
  const place = devPlace(context.options, around)
  await makeFolder(place.folder)
  const narrator = output.json ? createJsonNarrator(output, around.now) : createHumanNarrator(output, around)
  const metrics = createMetrics({ version })
  const { told, listen } = heldBack()
  const onEvent = (event: TokenkeepEvent): void => {
    metrics.heard(event)
    told(event)
  }
  // What is opened first is closed last.
  await using server = await startAuthorizationServer({ port: asPort, stateFile: place.serverState })
  const { credentials, replacedBecause } = await setUp({ server, place, onEvent, nowMs: around.now() })
  if (replacedBecause !== null) {
    output.aside(`new keys were made in place of those in ${place.credentials}: ${replacedBecause}`)
  }
  // The tour opens the data once more for itself, to close it and to be killed; what serves only answers then.
  await using keep = await openTokenkeep({ ...openOptionsOf(place), background: !forTour, onEvent })
  await using serving = await startServing({ keep, metrics, port, version, around })

  const { hold } = await keep.incarnation()
  if (hold !== null) output.aside(holdWords(hold))
  if (around.interruption.signal.aborted) throw new Interrupted()
  const page = forTour ? null : serving.entry((await keep.callers.byKey(credentials.apiKey))?.id ?? '')
  const pageOpened = page !== null && openInBrowser(page, around)
  narrator.ready({ ...(await factsOf({ server, serving, place, credentials, forTour })), page, pageOpened })
  listen(narrator.event)
  if (!forTour) return await watch(context, { keep, server, serving, narrator })
  const ok = await takeTour({ server, place, narrator, around, serving, credentials })
  return ok ? EXIT.ok : EXIT.unexpected
}

/** Nothing is refreshed before the provider is put: its addresses may be those of another port's server. */
async function setUp(of: {
  readonly server: SpawnedDevserver
  readonly place: DevPlace
  readonly onEvent: (event: TokenkeepEvent) => void
  readonly nowMs: number
}): Promise<Settled> {
  const { server, place, onEvent, nowMs } = of
  await using keep = await openTokenkeep({ ...openOptionsOf(place), background: false, onEvent })
  await seed(keep, server, nowMs)
  return await settleCredentials(keep, place.credentials)
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new TokenError(
      'folder_unusable',
      `the folder ${folder} cannot be made (${code}). Make the folder above it writable, or choose another with --data.`,
    )
  }
}

/** Events that come before somebody listens, kept in their order: programs expect the ready line first. */
function heldBack() {
  let tell: ((event: TokenkeepEvent) => void) | null = null
  const early: TokenkeepEvent[] = []
  return {
    told: (event: TokenkeepEvent): void => void (tell === null ? early.push(event) : tell(event)),
    listen(listener: (event: TokenkeepEvent) => void): void {
      for (const event of early.splice(0)) listener(event)
      tell = listener
    },
  }
}

async function factsOf(of: {
  readonly server: SpawnedDevserver
  readonly serving: Serving
  readonly place: DevPlace
  readonly credentials: Credentials
  readonly forTour: boolean
}): Promise<Omit<Facts, 'page' | 'pageOpened'>> {
  const { server, serving, place, credentials, forTour } = of
  const byHand = forTour ? null : await signIn(server, { id: 'by-hand', accessTokenSeconds: 300 })
  return {
    authorizationServer: server.issuer(REALM),
    controlUrl: server.controlUrl,
    demoApi: server.demoApi,
    url: serving.url,
    tokenEndpoint: serving.tokenEndpoint,
    credentials,
    place,
    connections: IDS,
    byHand:
      byHand === null
        ? null
        : {
            tokenEndpoint: server.tokenEndpoint(REALM),
            clientId: DEMO_CLIENT.clientId,
            clientSecret: DEMO_CLIENT.clientSecret,
            refreshToken: byHand.refreshToken ?? '',
          },
  }
}

interface Running {
  readonly keep: Tokenkeep
  readonly server: SpawnedDevserver
  readonly serving: Serving
  readonly narrator: Narrator
}

/** Calls the API with every connection until somebody stops us. */
async function watch({ around, output }: Context, { keep, server, serving, narrator }: Running): Promise<ExitCode> {
  const calls = startCalls({
    keep,
    ids: IDS,
    url: server.demoApi,
    everyMs: CALL_EVERY_MS,
    onFailure: narrator.callFailed,
  })
  const stop = AbortSignal.any([around.interruption.signal, output.gone])
  const over = new AbortController()
  const reporting = report({ keep, calls, narrator, stop: AbortSignal.any([stop, over.signal]) })
  const why = await Promise.race([
    aborted(stop).then(() => 'asked' as const),
    server.exited.then(() => 'server_gone' as const),
  ])
  // Ctrl-C reaches the server, too, which may well be gone first.
  const asked = why === 'asked' || (await Promise.race([aborted(stop).then(() => true), sleep(200, false)]))
  if (asked) narrator.stopping()
  // Also where nobody asked: without its server the demo would go on telling of calls that nobody makes.
  over.abort()
  await Promise.all([serving.close(), calls.stop()])
  await reporting.catch(() => undefined)
  if (asked) return EXIT.ok
  throw new TokenError('unavailable', 'the authorization server ended by itself; start `tokenkeep dev` again')
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

async function report(of: {
  readonly keep: Tokenkeep
  readonly calls: Calls
  readonly narrator: Narrator
  readonly stop: AbortSignal
}): Promise<void> {
  const { keep, calls, narrator, stop } = of
  await calls.firstRound
  while (!stop.aborted) {
    const infos = await Promise.allSettled(IDS.map((id) => keep.connections.get(id)))
    if (stop.aborted) return
    // One that was deleted from another terminal is simply no longer told of.
    const found = infos.flatMap((info) => (info.status === 'fulfilled' ? [info.value] : []))
    narrator.status(found.map((info) => ({ info, calls: calls.count(info.id) })))
    await sleep(narrator.statusEveryMs, undefined, { signal: stop }).catch(() => undefined)
  }
}
