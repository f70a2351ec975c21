/** The verbs for what people and programs do beside refreshing: import, reconnect, report a 401, delete. */
import {
  TokenError,
  allowedNow,
  born,
  deleting,
  erased,
  eventsOf,
  eventsOfBirth,
  labelled,
  LABELS_MAX,
  later,
  ms,
  openAttempt,
  reconnected,
  refused,
  sameLabels,
  signedOut,
  type ConnectionId,
  type ConnectionRow,
  type ConnectionStore,
  type Deletion,
  type Gone,
  type OnHold,
  type RefreshToken,
  type StoredRefreshToken,
} from '@tokenkeep/core'
import type { Snapshot, StoreContext } from './store-context.ts'
import { reconnectedOver } from './store-history.ts'
import { unchanged, type Change, type Rows } from './store-rows.ts'

type Acts = Pick<
  ConnectionStore,
  'create' | 'replaceGrant' | 'reject' | 'signOut' | 'presentNow' | 'label' | 'beginDelete' | 'finishDelete'
>
interface Twin {
  readonly kind: 'twin'
  readonly id: ConnectionId
}

export function acts(rows: Rows, context: StoreContext): Acts {
  return {
    async create(draft) {
      const refreshToken = draft.granted.refreshToken?.fingerprint ?? null
      const birth = { id: draft.id, client: draft.client, refreshToken }
      const done = await rows.insert(birth, (neighbours, now): Change<Written | { kind: 'exists' } | Twin> => {
        if (neighbours === null) throw unknownClient(draft.client)
        const { living, twin, provider, client } = neighbours
        if (living !== null) {
          // The same draft again: its first answer was lost.
          if (living.row.uid !== draft.uid) return unchanged({ kind: 'exists' })
          return unchanged({ kind: 'written', snapshot: context.snapshot(living, living.row, now) })
        }
        if (twin !== null && provider.reuse.kind !== 'reusable') return unchanged({ kind: 'twin', id: twin })
        const terms = context.termsOf({ row: draft, provider, client })
        const row = born(draft, terms, context.writing(now))
        const snapshot = context.snapshot({ row, provider, client, hold: neighbours.hold }, row, now)
        return { row, history: [], events: eventsOfBirth(row), result: { kind: 'written', snapshot } }
      })
      return done.kind === 'written' ? context.view(done.snapshot) : done
    },

    async replaceGrant(at, granted, who) {
      const refreshToken = granted.refreshToken?.fingerprint ?? null
      const done = await rows.changeGrant(
        at.uid,
        refreshToken,
        (found, now): Change<Written | Gone | Twin | { kind: 'moved' }> => {
          const gone = goneOf(found?.row ?? null)
          if (gone !== null || found === null) return unchanged(gone ?? UNKNOWN)
          // Refreshes may have gone on while the user signed in; only another sign-in is ahead of this one.
          if (found.row.grant !== at.grant) return unchanged({ kind: 'moved' })
          const { twin, provider, row } = found
          if (twin !== null && provider.reuse.kind !== 'reusable') return unchanged({ kind: 'twin', id: twin })
          const after = reconnected(row, context.termsOf(found), granted, who, context.writing(now))
          return {
            row: after,
            history: reconnectedOver(row, now),
            events: eventsOf(row, after, { kind: 'reconnected' }),
            result: { kind: 'written', snapshot: context.snapshot(found, after, now) },
          }
        },
      )
      return done.kind === 'written' ? context.view(done.snapshot) : done
    },

    async reject(at, accessToken) {
      const done = await rows.change(at.uid, (found, now): Change<{ current: boolean; snapshot: Snapshot } | Gone> => {
        const gone = goneOf(found?.row ?? null)
        if (gone !== null || found === null) return unchanged(gone ?? UNKNOWN)
        const { current, row } = refused(found.row, context.termsOf(found), accessToken, context.writing(now))
        return {
          row: row === found.row ? null : row,
          history: [],
          events: eventsOf(found.row, row, { kind: 'rejected' }),
          result: { current, snapshot: context.snapshot(found, row, now) },
        }
      })
      return 'kind' in done ? done : { current: done.current, view: context.view(done.snapshot) }
    },

    async signOut(at, event) {
      const done = await rows.change(at.uid, (found, now): Change<Written | Known | Gone | { kind: 'not_ours' }> => {
        const gone = goneOf(found?.row ?? null)
        if (gone !== null || found === null) return unchanged(gone ?? UNKNOWN)
        const row = signedOut(found.row, context.termsOf(found), event, context.writing(now))
        if (row === 'not_ours') return unchanged({ kind: 'not_ours' })
        const snapshot = context.snapshot(found, row, now)
        if (row === found.row) return unchanged({ kind: 'known', snapshot })
        const events = eventsOf(found.row, row, { kind: 'signed_out' })
        return { row, history: [], events, result: { kind: 'written', snapshot } }
      })
      if (!('snapshot' in done)) return done
      return { kind: done.kind === 'written' ? 'marked' : 'known', view: context.view(done.snapshot) }
    },

    async presentNow(at) {
      const done = await rows.change(at.uid, (found, now): Change<Written | Gone> => {
        const gone = goneOf(found?.row ?? null)
        if (gone !== null || found === null) return unchanged(gone ?? UNKNOWN)
        const row = allowedNow(found.row, context.termsOf(found), context.writing(now))
        const snapshot = context.snapshot(found, row, now)
        return { row: row === found.row ? null : row, history: [], events: [], result: { kind: 'written', snapshot } }
      })
      return done.kind === 'written' ? context.view(done.snapshot) : done
    },

    async label(at, changes, { unchangedFrom, within = {} }) {
      type Refused = Gone | { readonly kind: 'changed' | 'too_many' | 'outside' }
      const done = await rows.change(at.uid, (found, now): Change<Written | Refused> => {
        const gone = goneOf(found?.row ?? null)
        if (gone !== null || found === null) return unchanged(gone ?? UNKNOWN)
        if (!hasLabels(found.row, within)) return unchanged(UNKNOWN)
        if (unchangedFrom !== undefined && !sameLabels(found.row.labels, unchangedFrom))
          return unchanged({ kind: 'changed' })
        const row = labelled(found.row, changes, context.writing(now))
        if (!hasLabels(row, within)) return unchanged({ kind: 'outside' })
        if (row !== found.row && Object.keys(row.labels).length > LABELS_MAX) return unchanged({ kind: 'too_many' })
        const snapshot = context.snapshot(found, row, now)
        return {
          row: row === found.row ? null : row,
          history: [],
          events: eventsOf(found.row, row, { kind: 'relabelled' }),
          result: { kind: 'written', snapshot },
        }
      })
      return done.kind === 'written' ? context.view(done.snapshot) : done
    },

    async beginDelete(at) {
      const done = await rows.change(at.uid, (found, now): Change<Written | Gone | OnHold> => {
        if (found === null) return unchanged(UNKNOWN)
        // Revoking what is the original's, too, would end its sign-in.
        if (found.hold !== null) return unchanged({ kind: 'on_hold' })
        if (found.row.state.status === 'erased') return unchanged({ kind: 'gone', because: 'erased' })
        const row = deleting(found.row, context.termsOf(found), context.writing(now))
        return {
          row: row === found.row ? null : row,
          history: [],
          events: [],
          result: { kind: 'written', snapshot: context.snapshot(found, row, now) },
        }
      })
      return done.kind === 'written' ? deletionOf(done.snapshot, context) : done
    },

    async finishDelete(deletion, revokedUpstream) {
      const done = await rows.change(deletion.uid, (found, now) => {
        if (found?.row.state.status !== 'deleting') return unchanged('erased' as const)
        if (!sawAll(deletion, found.row)) return unchanged('changed' as const)
        const row = erased(found.row, context.termsOf(found), context.writing(now))
        const events = eventsOf(found.row, row, { kind: 'erased', revokedUpstream })
        return { row, history: [], events, result: 'erased' as const }
      })
      await rows.forget((now) => later(now.wall, ms(-context.numbers.tombstoneMs)))
      return done
    },
  }
}

/** Whether what stands in the row is what the deletion was begun with: anything else has not been revoked. */
const sawAll = ({ view }: Deletion, row: ConnectionRow): boolean =>
  row.refreshToken?.fingerprint === view.refreshToken?.fingerprint && (row.successor !== null) === view.hasSuccessor

const hasLabels = ({ labels }: ConnectionRow, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value)

interface Written {
  readonly kind: 'written'
  readonly snapshot: Snapshot
}

interface Known {
  readonly kind: 'known'
  readonly snapshot: Snapshot
}

const UNKNOWN: Gone = { kind: 'gone', because: 'unknown' }

function goneOf(row: ConnectionRow | null): Gone | null {
  if (row === null) return UNKNOWN
  const { status } = row.state
  return status === 'deleting' || status === 'erased' ? { kind: 'gone', because: status } : null
}

const unknownClient = (client: string): TokenError =>
  new TokenError('unknown_client', `there is no client "${client}": add it first`, { subject: client })

function deletionOf(snapshot: Snapshot, context: StoreContext): Deletion {
  const { row, readAt } = snapshot
  const siblings = row.siblings.map(({ refreshToken }) => refreshToken)
  const held = [row.refreshToken, row.successor?.grant.refreshToken ?? null, ...siblings]
  return {
    kind: 'deleting',
    uid: row.uid,
    view: context.view(snapshot),
    toRevoke: held.flatMap((token) => openedOrNone(row, token, context)),
    open: openAttempt(row, readAt.store),
  }
}

/** What does not open cannot be revoked, and must not keep its connection from being deleted. */
function openedOrNone(
  row: ConnectionRow,
  token: Pick<StoredRefreshToken, 'sealed' | 'serial'> | null,
  context: StoreContext,
): readonly RefreshToken[] {
  if (token === null) return []
  const place = { owner: row.uid, purpose: 'rt', serial: token.serial }
  const opened = context.cipher.open('refresh_token', token.sealed, place)
  return typeof opened === 'string' ? [] : [opened]
}
