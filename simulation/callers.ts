/** Whoever asks for tokens: what they were told, and whether it was right. */
import { TokenError, type ConnectionRow, type HandOut } from '@tokenkeep/core'
import { fingerprintOf, START, worldMs } from './process-ports.ts'
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
/** A caller that read just before is told what was so then. */
const LIVES_STILL_MS = 5000
/** What is never said while an access token lives. */
const BEATEN: readonly string[] = ['in_doubt', 'suspect', 'blocked', 'unavailable', 'needs_user']

export function createCallers(world: World): Callers {
  const { timeline, rules, storeClock, storeState, endedSignIns, broken, tell } = world
  const asked: Asked[] = []

  const handedOut = (one: Asked, { accessToken }: HandOut): void => {
    const known = world.issuedAccessToken(accessToken)
    if (known === undefined) return void broken.push(`a caller got ${accessToken}, which no server made`)
    const { scope, of, issuedAt } = known
    if (world.idOf(of) !== one.id) broken.push(`a caller of ${one.id} got ${accessToken}, which is not of it`)
    const now = timeline.now()
    // One that stood still meanwhile answers by what it had read before.
    const stoodStill = one.by.wellSince > one.at
    if (
      !stoodStill &&
      now >= issuedAt + world.setting.lifetimeSeconds * 1000 + storeState.clockSlackMs + HAND_OUT_LATE_MS
    )
      broken.push(`${accessToken} was handed out after its end`)
    const endedAt = endedSignIns.get(of.name)
    const since = Math.max(endedAt ?? now, one.by.wellSince, storeState.troubleAt)
    if (
      endedAt !== undefined &&
      one.by.frozenSince === null &&
      now - since > REMEMBERED_MOST_MS + storeState.clockSlackMs
    )
      broken.push(`${accessToken} was handed out ${now - endedAt} ms after its sign-in ended here`)
    if (scope !== one.scope) broken.push(`a caller that asked for ${one.scope} got a token for ${scope}`)
    if (!rules.everStored.has(fingerprintOf(accessToken)))
      broken.push(`${accessToken} was handed out before it was durable`)
  }
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
    // Whoever waits for the refresh of a sign-in that was replaced meanwhile is not woken (docs/open.md).
    const isReplaced = row !== undefined && worldMs(row.signedInAt) - storeClock.step >= one.at
    if (
      living &&
      !isReplaced &&
      row.state.status !== 'deleting' &&
      better !== undefined &&
      storedFor(row) > LIVES_STILL_MS
    )
      broken.push(`a caller of ${one.by.owner} is told ${error.code} although an access token lives`)
    tell(`a caller of ${one.by.owner} is told ${error.code}${error.reason === null ? '' : `: ${error.reason}`}`)
  }

  /** How long the access tokens of the row have been there for everybody to read. */
  const storedFor = (row: ConnectionRow): number =>
    timeline.now() - worldMs(row.lastGrant?.at ?? row.signedInAt) - storeClock.step

  return {
    asked,
    ask(life, scope, id = 'x') {
      const one: Asked = { by: life.process, id, scope, at: timeline.now(), token: null, error: null }
      asked.push(one)
      life.manager.token(id, scope === null ? {} : { scope }).then(
        (token) => {
          one.token = token
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
