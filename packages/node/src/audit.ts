/**
 * Who did what: a line for each administrative act, written before the act and ended after it. Where the line cannot be
 * written, the act is refused.
 */
import { closedError, parseConnectionId, TokenError, type Clock } from '@tokenkeep/core'
import type { Actor } from './actor.ts'
import { KEY_PREFIX, LOCAL_REFRESH_TOKEN_PREFIX } from './callers.ts'

/** What can be done, as a line names it. */
export const ACTS = [
  'provider.put',
  'client.put',
  'client.rotate_key',
  'connection.import',
  'connection.reconnect',
  'connection.resolve',
  'connection.label',
  'connection.delete',
  'connect_session.create',
  'device_sign_in.begin',
  'local_refresh_token.share',
  'local_refresh_token.revoke',
  'api_key.create',
  'api_key.revoke',
  'api_key.set_source',
  'api_key.trust',
  'api_key.untrust',
  'master_key.add',
  'master_key.rotate',
  'master_key.reseal',
  'master_key.remove',
  'adopt',
  'backup',
  /** Something that an API key has no scope for; which operation it was stands in the details. */
  'denied',
] as const
export type Act = (typeof ACTS)[number]

/** What changed, without a secret: names, hosts, scopes, labels. */
export type Details = Readonly<Record<string, unknown>>

export interface AuditLine {
  /** Later lines have higher ones. */
  readonly id: number
  /** When it was begun, epoch milliseconds. */
  readonly at: number
  readonly actor: Actor
  readonly act: Act
  /** The id of what it was done to; null: it has none, or what was given is no id. */
  readonly subject: string | null
  readonly details: Details
  /**
   * `done`, or the code of the error that it ended with. `open`: it is under way, or the process ended or lost its database
   * in the middle of it: then it may have been done.
   */
  readonly outcome: string
  /** Null: open. */
  readonly endedAt: number | null
}

export interface AuditQuery {
  /** The id of the thing: of a provider, a client, a connection, an API key. */
  readonly subject?: string | undefined
  /** The id of an API key, `library` or `command`. */
  readonly actor?: string | undefined
  /** Only lines with higher ids. */
  readonly after?: number | undefined
  /** Only lines with lower ids: how the next page is asked for. */
  readonly before?: number | undefined
  /** 1 to 1000; 100 where absent. */
  readonly limit?: number | undefined
}

export interface Audit {
  /** Newest first. @throws TokenError `invalid_input`, `store_unavailable`, `closed` */
  list(query?: AuditQuery): Promise<readonly AuditLine[]>
  /**
   * For a server of your own: notes that somebody known was refused for lack of a scope. Of the same refusal there is one
   * line a minute.
   *
   * @param operation what was asked for, a word of yours
   */
  denied(operation: string, subject?: string): Promise<void>
}

export type OpenLine = Pick<AuditLine, 'at' | 'actor' | 'act' | 'subject' | 'details'>
/** The subject and details as they are in the end; null: as they were. */
export interface LineEnd {
  readonly id: number
  readonly outcome: string
  readonly endedAt: number
  readonly subject: string | null
  readonly details: Details | null
}

/** What a database has to be able to do for it. */
export interface AuditRows {
  /** Writes a line, and forgets a few that are from before a moment. @returns its id */
  add(line: OpenLine & { readonly end?: Pick<LineEnd, 'outcome' | 'endedAt'> }, forgetBefore: number): Promise<number>
  end(end: LineEnd): Promise<void>
  list(
    query: { readonly [Name in keyof AuditQuery]: AuditQuery[Name] } & { readonly limit: number },
  ): Promise<readonly AuditLine[]>
}

/** As long as the books of most auditors are asked for. */
export const AUDIT_KEPT_MS = 366 * 86_400_000
/** More than any input that is taken; what is longer was refused, and is not repeated. */
const DETAILS_LONGEST = 20_000
const LIMIT_MOST = 1000
const LIMIT_DEFAULT = 100
const DENIED_APART_MS = 60_000
const DENIED_MOST = 1_000
/** Ends that the database did not take; they are tried again with the next one. */
const UNENDED_MOST = 1_000

export interface AuditLog {
  of(actor: Actor): Audit
  /**
   * Does something with its line.
   *
   * @throws TokenError `store_unavailable`: the line cannot be written, so nothing was done; and what the act throws
   */
  act<Result>(
    line: Pick<OpenLine, 'actor' | 'act'>,
    said: () => Said,
    run: () => Promise<Result>,
    came: (result: Result) => Said,
  ): Promise<Result>
  /** Resolves when every line has its end, as far as the database takes it. */
  settled(): Promise<void>
}

export interface Said {
  /** What somebody gave as an id, or what has one now. */
  readonly subject?: unknown
  readonly details?: Details
}

export function createAuditLog({
  rows,
  clock,
}: {
  readonly rows: AuditRows
  readonly clock: Pick<Clock, 'now'>
}): AuditLog {
  const now = (): number => Math.round(clock.now().wall)
  const toldAt = new Map<string, number>()
  let unended: LineEnd[] = []
  let ending: Promise<void> = Promise.resolve()

  const endSoon = (end: LineEnd): void => {
    if (unended.length < UNENDED_MOST) unended.push(end)
    ending = ending.then(endAll)
  }
  const endAll = async (): Promise<void> => {
    const ends = unended
    unended = []
    const left = await Promise.all(
      ends.map((end) =>
        rows.end(end).then(
          () => [],
          () => [end],
        ),
      ),
    )
    unended.push(...left.flat())
  }

  const begin = async (line: OpenLine): Promise<number> => {
    try {
      return await rows.add(line, line.at - AUDIT_KEPT_MS)
    } catch (error) {
      throw unwritten(error)
    }
  }

  return {
    async act({ actor, act }, said, run, came) {
      const { subject, details } = safely(said)
      const id = await begin({ at: now(), actor, act, subject: subjectOf(subject), details: bounded(details) })
      const end = (outcome: string, { subject: made, details: more }: Said): void => {
        const whole = more === undefined ? null : bounded({ ...details, ...more })
        endSoon({ id, outcome, endedAt: now(), subject: subjectOf(made), details: whole })
      }
      try {
        const result = await run()
        end(
          'done',
          safely(() => came(result)),
        )
        return result
      } catch (error) {
        end(error instanceof TokenError ? error.code : 'unexpected', {})
        throw error
      }
    },
    of: (actor) => ({
      async list(query = {}) {
        const { subject, actor: by, after, before, limit = LIMIT_DEFAULT } = query
        if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MOST) throw wrong(`limit is 1 to ${LIMIT_MOST}`)
        for (const [name, id] of Object.entries({ after, before }))
          if (id !== undefined && !(Number.isSafeInteger(id) && id >= 0)) throw wrong(`${name} is the id of a line`)
        if (by !== undefined && !/^(?:key_\w{1,80}|library|command)$/.test(by))
          throw wrong('actor is the id of an API key (key_...), library or command: the key itself is not asked for')
        const to = subject === undefined ? undefined : subjectOf(subject)
        if (to === null) throw wrong('subject is no id')
        await ending
        return rows.list({ subject: to, actor: by, after, before, limit })
      },
      async denied(operation, subject) {
        const what = `${JSON.stringify(actor)} ${operation}`
        const at = now()
        const before = toldAt.get(what)
        if (before !== undefined && at - before < DENIED_APART_MS && at >= before) return
        if (toldAt.size >= DENIED_MOST) toldAt.clear()
        toldAt.set(what, at)
        const line = { at, actor, act: 'denied', subject: subjectOf(subject), details: bounded({ operation }) } as const
        await rows
          .add({ ...line, end: { outcome: 'forbidden', endedAt: at } }, at - AUDIT_KEPT_MS)
          .catch((error: unknown) => {
            toldAt.delete(what)
            throw unwritten(error)
          })
      },
    }),
    async settled() {
      await ending
      await endAll()
    },
  }
}

/** An act on input that nobody has looked at yet: what cannot be read is refused by the act itself. */
function safely(say: () => Said): Said {
  try {
    return say()
  } catch {
    return {}
  }
}

/** Only what can be an id: whoever gives a secret of ours for one must not find it here. */
function subjectOf(given: unknown): string | null {
  const parsed = parseConnectionId(given)
  return 'wrong' in parsed ? null : parsed.id
}

function bounded(details: Details = {}): Details {
  const text = JSON.stringify(details)
  if (text.length > DETAILS_LONGEST) return { too_long: text.length }
  return text.includes(KEY_PREFIX) || text.includes(LOCAL_REFRESH_TOKEN_PREFIX) ? { secret_given: true } : details
}

function unwritten(error: unknown): unknown {
  if (!(error instanceof TokenError)) return error
  if (error.code === 'closed') return closedError()
  if (error.code !== 'store_unavailable') return error
  return new TokenError(
    'store_unavailable',
    `nothing was done, because the audit log cannot be written: ${error.message}`,
  )
}

const wrong = (what: string): TokenError => new TokenError('invalid_input', what)
