/** Whoever asks for tokens: what they were told, and whether it was right. */
import { TokenError, type ConnectionRow, type HandOut, type Uid } from '@tokenkeep/core'
import type { IssuedAccessToken } from './authorization-server.ts'
import type { Presented } from './presentations.ts'
import { fingerprintOf, START, thumbprintOf, worldMs } from './process-ports.ts'
import type { Process } from './processes.ts'
import type { Life, World } from './world.ts'

/** What became of one request for a token. */
export interface Asked {
  readonly by: Process
  readonly id: string
  readonly scope: string | null
  readonly at: number
  token: HandOut | null
  error: unknown
}

export interface Callers {
  readonly asked: readonly Asked[]
  /** @param id of the connection; `x` where absent */
  ask(life: Life, scope: string | null, id?: string): Asked
}

/** Clocks are compared once a second, and a hand-out takes its time. */
const HAND_OUT_LATE_MS = 200
/** A process remembers for a second what others deleted or replaced, and two where its round takes long. */
const REMEMBERED_MOST_MS = 8000
/** A process hears of what others begin at once, or in its next round. */
const HEARD_OF_MOST_MS = 2000
/** One that stood still hears of what it missed in the round that was due meanwhile; of what came when it went on, in the next one. */
const CAUGHT_UP_AFTER_MS = 1200
/** A caller that read just before is told what was so then. */
const LIVES_STILL_MS = 5000
/** What is never said while an access token lives. */
const BEATEN: readonly string[] = ['in_doubt', 'suspect', 'blocked', 'unavailable', 'needs_user']

export function createCallers(world: World): Callers {
  const { timeline, numbers, rules, storeClock, storeState, endedSignIns, broken, tell } = world
  const asked: Asked[] = []

  const handedOut = (one: Asked, { accessToken, dpopJkt }: HandOut): void => {
    const known = world.issuedAccessToken(accessToken)
    if (known === undefined) return void broken.push(`a caller got ${accessToken}, which no server made`)
    const { scope, of, issuedAt } = known
    if (world.idOf(of) !== one.id) broken.push(`a caller of ${one.id} got ${accessToken}, which is not of it`)
    if (dpopJkt !== (of.key === null ? undefined : thumbprintOf(of.key)))
      broken.push(`${accessToken} was handed out as bound to ${dpopJkt ?? 'nothing'}, and it is of ${of.key}`)
    const now = timeline.now()
    if (now >= issuedAt + world.setting.lifetimeSeconds * 1000 + storeState.clockSlackMs + HAND_OUT_LATE_MS)
      broken.push(`${accessToken} was handed out after its end`)
    const endedAt = endedSignIns.get(of.name)
    const isHeardOf = endedAt !== undefined && !isUnseen(endedAt) && now > knownBy(one.by, endedAt)
    if (isHeardOf && one.by.frozenSince === null)
      broken.push(`${accessToken} was handed out ${now - endedAt} ms after its sign-in ended here`)
    if (wasKilled(one, known))
      broken.push(`${accessToken} was handed out by ${one.by.owner} although the refresh that ends it was on its way`)
    if (scope !== one.scope) broken.push(`a caller that asked for ${one.scope} got a token for ${scope}`)
    if (!rules.everStored.has(fingerprintOf(accessToken)))
      broken.push(`${accessToken} was handed out before it was durable`)
  }
  /** When the process does not hand out any more what ended then: it has heard of it, or has been without the store for too long. */
  const knownBy = ({ wellSince, cutOffAt, cutOffUntil }: Process, endedAt: number): number => {
    const heardBy = Math.max(endedAt, wellSince, storeState.troubleAt) + REMEMBERED_MOST_MS + storeState.clockSlackMs
    const isCutOff = cutOffUntil > timeline.now() && cutOffAt < heardBy
    return isCutOff ? Math.max(heardBy, cutOffAt + numbers.cacheWithoutStoreMs + REMEMBERED_MOST_MS) : heardBy
  }

  /** Remembered as of a revision that the store forgot, and gave to something else before anybody compared (docs/open.md). */
  const isUnseen = (at: number): boolean => storeState.forgotAt >= 0 && at - storeState.forgotAt <= HEARD_OF_MOST_MS

  const refused = (one: Asked, error: unknown): void => {
    if (!(error instanceof TokenError)) return void broken.push(`a caller met a defect: ${String(error)}`)
    const row = world.rowNow(one.id)
    const stoodStill = one.by.wellSince > one.at
    const living =
      !stoodStill && one.scope === null && BEATEN.includes(error.code) && row !== undefined && row.signedOutAt === null
    const until = START + timeline.now() + storeState.clockSlackMs + LIVES_STILL_MS
    const better = row?.accessTokens.find(
      (each) => each.variant === '' && each.refusedAt === null && each.expiresAt > until,
    )
    // A refresh that ends the token is on its way, for all that others can know, or was when the time of the caller ran out.
    const isDying = world.killsAt(one.id) && (row?.state.status === 'presenting' || openSince(one, row?.uid).length > 0)
    if (
      living &&
      !isDying &&
      row.state.status !== 'deleting' &&
      better !== undefined &&
      storedFor(row) > LIVES_STILL_MS
    )
      broken.push(`a caller of ${one.by.owner} is told ${error.code} although an access token lives`)
    tell(`a caller of ${one.by.owner} is told ${error.code}${error.reason === null ? '' : `: ${error.reason}`}`)
  }

  /** Requests for the connection that had an answer outstanding at some time while the caller waited. */
  const openSince = (one: Asked, uid: Uid | undefined): readonly Presented[] =>
    world.presentations.all.filter((each) => each.uid === uid && (each.endedAt === null || each.endedAt >= one.at))

  /**
   * It was ended by a refresh of which whoever hands it out could have known: of the same process, or of another one a
   * while ago. What nobody has an answer to is in doubt, and there the old token is served.
   */
  const wasKilled = (one: Asked, { of, killedAt, issuedAt }: IssuedAccessToken): boolean => {
    if (killedAt === null || one.by.wellSince > one.at) return false
    const killer = world.presentations.all.find(
      ({ carries, reachedAt, did }) =>
        did === 'granted' && carries?.of === of && reachedAt === killedAt && reachedAt >= issuedAt,
    )
    if (killer === undefined || killer.answer === 'lost' || killer.by.diedAt !== null) return false
    if (killer.by !== one.by && isUnseen(killer.at)) return false
    const row = world.rowNow(one.id)
    if (storeState.troubleAt >= killer.at || (row !== undefined && wasInDoubt(row, one.at))) return false
    if (killer.by === one.by) return one.at > killer.at
    if (one.at <= one.by.wellSince + CAUGHT_UP_AFTER_MS && one.by.awayFrom !== null) return false
    return (
      one.at > killer.at + HEARD_OF_MOST_MS &&
      killer.by.awayFrom === null &&
      !one.by.hasNews &&
      one.by.slowedFrom === null
    )
  }

  /** So it was read, even if whoever read it has begun a refresh since. */
  const wasInDoubt = ({ uid, state }: ConnectionRow, at: number): boolean =>
    state.status === 'in_doubt' ||
    (state.status === 'presenting' &&
      state.from.status === 'in_doubt' &&
      rules.lastIntentBefore(uid, Number.POSITIVE_INFINITY) - storeClock.step + storeState.clockSlackMs >= at)

  /** How long the access tokens of the row have been there for everybody to read. */
  const storedFor = (row: ConnectionRow): number =>
    timeline.now() - worldMs(row.lastGrant?.at ?? row.signedInAt) + storeClock.step

  return {
    asked,
    ask(life, scope, id = 'x') {
      const one: Asked = { by: life.process, id, scope, at: timeline.now(), token: null, error: null }
      asked.push(one)
      life.manager.token(id, scope === null ? {} : { scope }).then(
        (token) => {
          one.token = token
          if (world.killsAt(id) && openSince(one, world.rowNow(id)?.uid).some(({ at }) => at < one.at))
            world.cameAbout('waited_for_killing_refresh')
          handedOut(one, token)
        },
        (error: unknown) => {
          one.error = error
          refused(one, error)
        },
      )
      return one
    },
  }
}
