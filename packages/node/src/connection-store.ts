/** The connection store over rows: every verb once, whatever database holds them. */
import {
  claimMs,
  eventsOf,
  lapsed,
  later,
  next,
  surelyElapsed,
  type ConnectionRow,
  type ConnectionStore,
  type DurationMs,
  type Moment,
  type OwnerId,
  type View,
} from '@tokenkeep/core'
import { acts } from './store-acts.ts'
import { incarnationVerbs } from './store-incarnation.ts'
import { attemptVerbs } from './store-attempts.ts'
import type { Snapshot, StoreContext } from './store-context.ts'
import { unchanged, type Change, type Rows, type SeenMany } from './store-rows.ts'

export function connectionStore(rows: Rows, context: StoreContext): ConnectionStore {
  return {
    ...reads(rows, context),
    ...attemptVerbs(rows, context),
    ...acts(rows, context),
    ...incarnationVerbs(rows, context),
  }
}

type Reads = Pick<
  ConnectionStore,
  'read' | 'list' | 'page' | 'overview' | 'due' | 'changes' | 'openAttempts' | 'openElsewhere' | 'history'
>

function reads(rows: Rows, context: StoreContext): Reads {
  const views = ({ found, now }: SeenMany) => found.map((each) => context.view(context.snapshot(each, each.row, now)))

  return {
    async read(id) {
      const seen = await rows.byId(id)
      if (typeof seen === 'string') return { kind: 'gone', because: seen }
      return context.view(context.snapshot(seen.found, seen.found.row, seen.now))
    },

    async page(query) {
      const { next, ...seen } = await rows.page(query)
      return { views: views(seen), next }
    },

    async list(query) {
      const found: View[] = []
      let { after } = query
      for (;;) {
        const { next, ...seen } = await rows.page({ ...query, after, limit: query.limit - found.length })
        found.push(...views(seen))
        if (next === null || found.length >= query.limit) return found
        after = next
      }
    },

    overview: (labels) => rows.overview(labels),

    async due(query) {
      const claimed = await rows.changeDue(query, (found, now): Change<Snapshot | null> => {
        if (found.hold !== null) return unchanged(null)
        const { policy } = context.termsOf(found)
        if (isPromptRetryOfAnother(found.row, context.owner, policy.leaseMs, now)) return unchanged(null)
        const lapse = lapsed(found.row, context.termsOf(found), context.writing(now))
        if (lapse !== null) {
          const events = eventsOf(found.row, lapse, { kind: 'lapsed' })
          return { row: lapse, history: [], events, result: context.snapshot(found, lapse, now) }
        }
        const dueAt = later(now.wall, claimMs(found.row, policy, now))
        const row = { ...found.row, revision: next(found.row.revision), dueAt, updatedAt: now.wall }
        return { row, history: [], events: [], result: context.snapshot(found, row, now) }
      })
      return claimed.flatMap((snapshot) => (snapshot === null ? [] : [context.view(snapshot)]))
    },

    async changes(uids) {
      return views(await rows.otherThan(uids))
    },

    async openAttempts(owner) {
      return views(await rows.withOpenAttemptOf(owner))
    },

    openElsewhere: () => rows.presentedByOthers(context.owner),

    history: (id, limit) => rows.history(id, limit),
  }
}

/** Claimed by another process it could not be made, and would be prompt no more. After a lease its owner may be gone. */
function isPromptRetryOfAnother({ state }: ConnectionRow, owner: OwnerId, leaseMs: DurationMs, now: Moment): boolean {
  const prompt = state.status === 'in_doubt' ? state.promptRetry : null
  return prompt !== null && prompt.by !== owner && surelyElapsed(prompt.from, now) < leaseMs
}
