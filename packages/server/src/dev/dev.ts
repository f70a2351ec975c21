/** `tokenkeep dev`: an authorization server, an API, and three sign-ins that are kept alive while you watch. */
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { TokenError, type TokenkeepEvent } from '@tokenkeep/core'
import type { SpawnedDevserver } from '@tokenkeep/devserver'
import { openTokenkeep, type Tokenkeep } from '@tokenkeep/node'
import { Interrupted, type Context } from '../cli/context.ts'
import { EXIT, type ExitCode } from '../cli/exit-codes.ts'
import { devPlace, openOptionsOf, type Place } from '../cli/place.ts'
import { startAuthorizationServer } from './authorization-server.ts'
import { startCalls, type Calls } from './calls.ts'
import { DEMO_CLIENT, DEMO_CONNECTIONS, REALM, seed, signIn } from './demo.ts'
import { createHumanNarrator } from './narrator-human.ts'
import { createJsonNarrator, type Facts, type Narrator } from './narrator.ts'
import { takeTour } from './tour.ts'

export interface DevArguments {
  /** 0: a free one. */
  readonly asPort: number
  readonly once?: boolean
}

const CALL_EVERY_MS = 1000
const IDS = DEMO_CONNECTIONS.map(({ id }) => id)

/** @throws TokenError `in_use`, `folder_unusable`, `invalid_input`, and what `openTokenkeep` throws */
export async function dev(context: Context, { asPort, once }: DevArguments): Promise<ExitCode> {
  const { around, output } = context
  const place = devPlace(context.options, around)
  await makeFolder(place.folder)
  const narrator = output.json ? createJsonNarrator(output, around.now) : createHumanNarrator(output, around)
  await using server = await startAuthorizationServer({ port: asPort, stateFile: place.serverState })
  const { told, listen } = heldBack()
  const open = openOptionsOf(place)
  // Nothing is refreshed before the provider is put: its addresses may be those of another port's server.
  await using setUp = await openTokenkeep({ ...open, background: false, onEvent: told })
  await seed(setUp, server, around.now())
  await setUp.close()

  if (around.interruption.signal.aborted) throw new Interrupted()
  narrator.ready(await factsOf(server, place, { forTour: once === true }))
  listen(narrator.event)
  if (once === true) {
    const ok = await takeTour({ server, place, narrator, around })
    return ok ? EXIT.ok : EXIT.unexpected
  }
  await using keep = await openTokenkeep({ ...open, onEvent: narrator.event })
  return await watch(context, { keep, server, narrator })
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

async function factsOf(server: SpawnedDevserver, place: Place, { forTour }: { forTour: boolean }): Promise<Facts> {
  const byHand = forTour ? null : await signIn(server, { id: 'by-hand', accessTokenSeconds: 300 })
  return {
    authorizationServer: server.issuer(REALM),
    tokenEndpoint: server.tokenEndpoint(REALM),
    controlUrl: server.controlUrl,
    demoApi: server.demoApi,
    place,
    connections: IDS,
    byHand: byHand === null ? null : { ...DEMO_CLIENT, refreshToken: byHand.refreshToken ?? '' },
  }
}

interface Running {
  readonly keep: Tokenkeep
  readonly server: SpawnedDevserver
  readonly narrator: Narrator
}

/** Calls the API with every connection until somebody stops us. */
async function watch({ around, output }: Context, { keep, server, narrator }: Running): Promise<ExitCode> {
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
  await calls.stop()
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
    // One that was deleted from another terminal is simply no longer told of.
    const found = infos.flatMap((info) => (info.status === 'fulfilled' ? [info.value] : []))
    narrator.status(found.map((info) => ({ info, calls: calls.count(info.id) })))
    await sleep(narrator.statusEveryMs, undefined, { signal: stop }).catch(() => undefined)
  }
}
