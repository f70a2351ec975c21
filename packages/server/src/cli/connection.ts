import { TokenError, type ConnectionInfo } from '@tokenkeep/core'
import type { ListArguments } from './connection-list.ts'
import type { Keeper } from '../remote/keeper.ts'
import { tellOfHold } from './adopt.ts'
import { accessTokenShort, moment, refreshTokenShort, remedyFor, statusCell } from './connection-words.ts'
import { withTokenkeep, type Context } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { grantRequestEntries } from './grant-request-entries.ts'
import { fromNow, localIso } from './moments.ts'
import { printable } from './printable.ts'
import { readSecrets, type SecretSource } from './secret-source.ts'
import { pairs, table, type Cell } from './table.ts'

/** `tokenkeep connection list` */
export async function listConnections(context: Context, given: ListArguments): Promise<void> {
  const { output, around } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const found = await listAll(keep, given)
    await tellOfHold(keep, output)
    output.answer(found, () => {
      if (found.length === 0) return ['no such connections']
      const now = around.now()
      const rows = found.map((info): Cell[] => [
        info.id,
        statusCell(info, output.colours),
        accessTokenShort(info, now),
        refreshTokenShort(info, now),
        info.lastRefreshAt === null ? 'never' : fromNow(info.lastRefreshAt, now),
        info.client,
        info.subject ?? '-',
      ])
      const head = ['ID', 'STATUS', 'ACCESS TOKEN', 'REFRESH TOKEN', 'REFRESHED', 'CLIENT', 'SUBJECT']
      const remedies = found.flatMap((info) => remedyFor(info) ?? [])
      return [
        ...table(head, rows, output.colours.dim),
        ...(remedies.length === 0 ? [] : ['', ...remedies.map(printable)]),
      ]
    })
  })
}

const PAGE = 1000

async function listAll({ connections }: Keeper, { limit = Infinity, after, label, ...filter }: ListArguments) {
  const found: ConnectionInfo[] = []
  let last = after
  for (;;) {
    const wanted = Math.min(PAGE, limit - found.length)
    const page = await connections.list({ ...filter, labels: label, limit: wanted, after: last })
    found.push(...page)
    last = page.at(-1)?.id
    if (page.length < wanted || found.length >= limit) return found
  }
}

/** `tokenkeep connection show ID` */
export async function showConnection(context: Context, id: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const info = await keep.connections.get(id)
    await tellOfHold(keep, context.output)
    context.output.answer(info, () => connectionLines(info, context))
  })
}

/** Everything about one connection, for people. */
export function connectionLines(info: ConnectionInfo, { output, around }: Context): string[] {
  const now = around.now()
  const labels = Object.entries(info.labels).map(([name, value]) => `${name}=${value}`)
  const assumed = info.lifetimeAssumed ? ', assumed: the provider did not say it' : ''
  const entries: (readonly [string, Cell])[] = [
    ['id', info.id],
    ['status', statusCell(info, output.colours)],
    ['provider', info.provider],
    ['client', info.client],
    ['grant', info.grantType],
    ...grantRequestEntries(info),
    ['subject', info.subject ?? '-'],
    ['labels', labels.join(' ') || '-'],
    ['scope', info.scope ?? 'as granted'],
    ['access token ends', `${moment(info.accessTokenExpiresAt, now)}${assumed}`],
    ['refresh token', info.hasRefreshToken ? `generation ${info.generation}` : refreshTokenShort(info, now)],
    ['refresh token ends', moment(info.refreshTokenExpiresAt, now)],
    ['refreshed', moment(info.lastRefreshAt, now)],
    ['next act', moment(info.nextActionAt, now)],
    ['kept since', moment(info.createdAt, now)],
    ['uid', info.uid],
  ]
  const remedy = remedyFor(info)
  return [...pairs(entries, output.colours.dim), ...(remedy === null ? [] : ['', printable(remedy)])]
}

/** `tokenkeep connection resolve ID` */
export async function resolveConnection(context: Context, id: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const info = await keep.connections.resolve(id, 'present')
    context.output.answer(info, () => connectionLines(info, context))
  })
}

/** `tokenkeep connection delete ID` */
export async function deleteConnection(context: Context, id: string): Promise<void> {
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { revokedUpstream } = await keep.connections.delete(id)
    context.output.answer({ id, revokedUpstream }, () => [
      revokedUpstream
        ? `${printable(id)} is deleted, and its refresh token is revoked at the provider.`
        : `${printable(id)} hands out nothing any more. That its refresh token is revoked at the provider could not be ` +
          'confirmed (there was none, the provider has no revocation endpoint, or it did not answer).',
    ])
  })
}

/** Enough to see that two lines are about one token; `--json` has all of it. */
const FINGERPRINT_SHOWN = 8

/** `tokenkeep connection history ID` */
export async function showHistory(context: Context, id: string, limit: number | undefined): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const entries = await keep.connections.history(id, limit)
    output.answer(entries, () =>
      entries.length === 0
        ? ['no refresh token of it was presented yet']
        : table(
            ['PRESENTED', 'WHY', 'OUTCOME', 'TOOK', 'GRANT', 'GENERATION', 'TOKEN', 'PROGRAM', 'HOST'],
            entries.map((entry) => [
              localIso(entry.acquiredAt),
              entry.why,
              entry.outcome ?? 'open',
              entry.endedAt === null ? '-' : `${entry.endedAt - entry.acquiredAt} ms`,
              String(entry.grant),
              String(entry.generation),
              entry.presented?.slice(0, FINGERPRINT_SHOWN) ?? '-',
              entry.process ?? '-',
              entry.host,
            ]),
            output.colours.dim,
          ),
    )
  })
}

const INTROSPECTED = {
  active: 'the provider says that its access token is active.',
  inactive: 'has no active access token; the next `tokenkeep token` brings another one.',
  unsupported: 'cannot be introspected: its provider has no introspection endpoint.',
  unavailable: 'could not be introspected: its provider did not answer. Try later.',
} as const

/** `tokenkeep connection introspect ID` */
export async function introspectConnection(context: Context, id: string): Promise<ExitCode> {
  return withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const result = await keep.introspect(id)
    context.output.answer({ id, result }, () => [`${printable(id)}: ${INTROSPECTED[result]}`])
    return result === 'unavailable' ? EXIT.later : EXIT.ok
  })
}

/** `tokenkeep connection rejected ID`: an API answered 401 to this access token. */
export async function rejectAccessToken(context: Context, id: string, source: SecretSource): Promise<void> {
  const { 'access-token': accessToken } = await readSecrets({ 'access-token': source }, context.around)
  if (accessToken === undefined) throw new TokenError('invalid_input', 'there is no access token on standard input')
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { current, stillRefused, retryAt } = await keep.rejected(id, accessToken)
    context.output.answer({ id, current, still_refused: stillRefused }, () => [
      stillRefused
        ? `${printable(id)}: the token that a refused one was replaced by is refused, too, so it is not the token; no other is asked for before ${retryAt === null ? 'a while' : new Date(retryAt).toISOString()}.`
        : current
          ? `${printable(id)}: noted; the next \`tokenkeep token\` brings another one.`
          : `${printable(id)}: that is not the token handed out now; nothing was changed.`,
    ])
  })
}
