/** Lets what was planned come about. */
import { goesAway, type Process } from './processes.ts'
import type { ArmedFaults } from './armed-faults.ts'
import type { Callers } from './callers.ts'
import { isServerFault, type Happening, type HappeningKind } from './plan.ts'
import { LOCK_MISSING_AFTER_MS, START } from './process-ports.ts'
import type { World } from './world.ts'

export interface HappenOptions {
  readonly world: World
  readonly callers: Callers
  readonly faults: ArmedFaults
  count(kind: HappeningKind): void
}

export function createHappen({ world, callers, faults, count }: HappenOptions): (happening: Happening) => void {
  const { timeline, control, hosts, processes, storeClock, storeState, tell, news, lifeOf, act } = world
  let reported = 0

  const strike = (
    process: Process,
    happening: Extract<Happening, { kind: 'kill_at_once' | 'freeze_at_once' | 'cut_off' | 'disk_full' }>,
  ): void => {
    tell(`${process.owner}: ${happening.kind}`)
    switch (happening.kind) {
      case 'kill_at_once':
        return control.kill(process)
      case 'freeze_at_once':
        return control.freeze(process, happening.forMs)
      case 'disk_full':
        process.diskFullUntil = timeline.now() + happening.forMs
        return
      case 'cut_off':
        goesAway(process, timeline.now())
        if (process.cutOffUntil <= timeline.now()) process.cutOffAt = timeline.now()
        process.cutOffUntil = timeline.now() + happening.forMs
        process.lockMissingSince ??= timeline.now()
        if (world.setting.showsLocks) timeline.after(LOCK_MISSING_AFTER_MS, news)
        timeline.after(happening.forMs, () => world.comesBack(process))
    }
  }
  const idOf = (happening: { readonly connection?: number }): string =>
    world.connections[happening.connection ?? 0] ?? 'x'
  return (happening) => {
    if (isServerFault(happening)) return faults.armServer(happening)
    const { kind } = happening
    switch (happening.kind) {
      case 'ask': {
        const life = lifeOf(happening.process)
        if (life === null || life.process.frozenSince !== null) return
        count(kind)
        for (let left = happening.callers; left > 0; left -= 1) callers.ask(life, happening.scope, idOf(happening))
        return
      }
      case 'report_401': {
        const life = lifeOf(happening.process)
        const id = idOf(happening)
        const token = callers.asked.findLast((each) => each.id === id && each.token !== null)?.token
        if (life === null || token == null || life.process.frozenSince !== null) return
        count(kind)
        for (let reports = happening.reports; reports > 0; reports -= 1) {
          reported += 1
          act(`report ${reported} of a 401`, life.custody.rejected(id, token.accessToken))
        }
        return
      }
      case 'reconnect':
      case 'import': {
        const life = lifeOf(happening.process)
        if (life === null || life.process.frozenSince !== null) return
        count(kind)
        const id = idOf(happening)
        const { signIn, input } = world.signInInput(id)
        const begun =
          happening.kind === 'reconnect'
            ? life.custody.reconnect(id, input)
            : life.custody.import({ id, client: world.clientOf(id), ...input })
        act(`${happening.kind} of sign-in ${signIn.name}`, begun)
        return
      }
      case 'delete':
      case 'logout':
      case 'resolve': {
        const life = lifeOf(happening.process)
        if (life === null || life.process.frozenSince !== null) return
        count(kind)
        const { custody } = life
        const id = idOf(happening)
        const issuedAt = START + timeline.now()
        const sessionId = world.currentSignIn(id)?.name ?? '1'
        act(
          happening.kind,
          happening.kind === 'delete'
            ? custody.delete(id)
            : happening.kind === 'logout'
              ? custody.logout({ provider: world.providerOf(id), sessionId, issuedAt })
              : custody.resolve(id, 'present'),
        )
        return
      }
      case 'kill':
      case 'freeze':
      case 'store_error':
      case 'lost_acknowledgement':
      case 'slow_call':
      case 'store_forgets':
        faults.arm(happening)
        return
      case 'kill_at_once':
      case 'freeze_at_once':
      case 'cut_off':
      case 'disk_full': {
        const process = lifeOf(happening.process)?.process
        if (process === undefined) return
        count(kind)
        strike(process, happening)
        return
      }
      case 'host_lost': {
        count(kind)
        const host = hosts[happening.host]
        if (host === undefined) return
        tell(`host ${host.index} is lost`)
        host.lostUntil = timeline.now() + happening.backAfterMs
        for (const process of processes) if (process.host === host) control.kill(process)
        return
      }
      case 'outage':
        count(kind)
        tell(`the server of "p" is out for ${happening.forMs} ms`)
        world.outage.until = timeline.now() + happening.forMs
        return
      case 'store_away':
        count(kind)
        tell(`the store is away for ${happening.forMs} ms`)
        storeState.awayUntil = timeline.now() + happening.forMs
        world.newSessions()
        return
      case 'wall_step':
      case 'mono_step': {
        const host = hosts[happening.host]
        if (host === undefined) return
        count(kind)
        tell(`host ${host.index}: ${kind} by ${happening.byMs} ms`)
        if (happening.kind === 'wall_step') host.wallStep += happening.byMs
        else host.monoStep += happening.byMs
        storeState.clockSlackMs += Math.abs(happening.byMs)
        for (const process of processes) if (process.host === host) process.hasNews = true
        return
      }
      case 'store_clock_step':
        count(kind)
        tell(`the clock of the store steps by ${happening.byMs} ms`)
        storeClock.step += happening.byMs
        storeState.clockSlackMs += Math.abs(happening.byMs)
        news()
        return
    }
  }
}
