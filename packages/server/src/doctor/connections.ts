/** The connections that somebody has to do something about, or will have to. */
import type { Trouble } from '@tokenkeep/core'
import type { ConnectionsSeen, CountedConnections } from '@tokenkeep/node'
import { findingsOf, type Find, type Finding, type Kinds } from './finding.ts'

export const CONNECTIONS = {
  connections: {
    is: 'ok',
    says: '{all} connections are kept{healthy}',
    todo: null,
  },
  connections_blocked: {
    is: 'wrong',
    says: '{count} blocked: their provider refuses our client or is not where we ask ({examples})',
    todo: 'Look at the client above, and at `tokenkeep connection show ID`; mended, they go on by themselves.',
  },
  connections_need_user: {
    is: 'note',
    says: '{count} need their user to sign in again ({examples})',
    todo: '`tokenkeep connection show ID` says why; `tokenkeep connect PROVIDER --id ID` lets the user sign in.',
  },
  connections_in_doubt: {
    is: 'note',
    says: '{count} in doubt: a refresh token was perhaps presented, and no answer came ({examples})',
    todo: '`tokenkeep connection show ID` says when it is tried next. If it waits too long: `connection resolve ID`.',
  },
  connections_suspect: {
    is: 'note',
    says: '{count} suspect: a refresh token was refused, which is confirmed before a user is asked ({examples})',
    todo: 'Wait for the confirmation: `tokenkeep connection show ID` says when.',
  },
  connections_deleting: {
    is: 'note',
    says: '{count} being deleted: their provider has not said yet that it revoked ({examples})',
    todo: 'Nothing: that is tried again by a process that runs.',
  },
  connections_ending: {
    is: 'note',
    says: '{count} end within {days} days, whatever is refreshed ({examples})',
    todo: 'Let the user sign in before: `tokenkeep connect PROVIDER --id ID`. `tokenkeep connection show ID` says when it ends.',
  },
} as const satisfies Kinds

const found: Find<typeof CONNECTIONS> = findingsOf('connections', CONNECTIONS)

const KIND_OF = {
  blocked: 'connections_blocked',
  needs_user: 'connections_need_user',
  in_doubt: 'connections_in_doubt',
  suspect: 'connections_suspect',
  deleting: 'connections_deleting',
} as const satisfies Record<Trouble, keyof typeof CONNECTIONS>

/** In the order of who has to do something. */
const ORDER = Object.keys(KIND_OF) as Trouble[]

export function judgeConnections({ all, byStatus, ending }: ConnectionsSeen): readonly Finding[] {
  const troubled = judgeTroubled(byStatus)
  const healthy = troubled.length === 0 ? ', none of them in trouble' : ''
  return [
    found('connections', { all: atMost(all), healthy }),
    ...troubled,
    ...(ending === null || ending.count === 0
      ? []
      : [
          found('connections_ending', {
            count: atMost(ending),
            days: ending.withinDays,
            examples: examplesOf(ending),
          }),
        ]),
  ]
}

/** The same where a server lists them. */
export const judgeTroubled = (byStatus: Readonly<Record<Trouble, CountedConnections>>): readonly Finding[] =>
  ORDER.flatMap((status) => {
    const counted = byStatus[status]
    if (counted.count === 0) return []
    return [found(KIND_OF[status], { count: atMost(counted), examples: examplesOf(counted) })]
  })

const atMost = ({ count, most }: Pick<CountedConnections, 'count' | 'most'>): string =>
  count >= most ? `${most} or more` : String(count)

const examplesOf = ({ count, examples }: CountedConnections): string =>
  count > examples.length ? `${examples.join(', ')}, ...` : examples.join(', ')
