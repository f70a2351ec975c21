/** The verbs about the whole database: which life of it this is, and the end of a hold. The rules are core's. */
import { adopted, begunAnew, type ConnectionStore, type Incarnation, type Marker, type Uid } from '@tokenkeep/core'
import type { StoreContext } from './store-context.ts'
import { unchanged, type Change, type Rows } from './store-rows.ts'

/** Connections that one turn of an adoption changes: none of them waits long for the others. */
const AT_ONCE = 128

export function incarnationVerbs(rows: Rows, context: StoreContext): Pick<ConnectionStore, 'incarnation' | 'adopt'> {
  return {
    incarnation: () => rows.incarnation.read(),

    async adopt(old, markers) {
      const kept = await rows.incarnation.read()
      if (!isSame(kept, old) || kept.hold === null) return { incarnation: kept, inDoubt: 0 }
      const inDoubt = await doubtAll(rows, context)
      const incarnation = await rows.incarnation.change((now, { wall }) =>
        // Somebody else was faster; what that one began goes on.
        isSame(now, old) ? begunAnew(now, around(rows, context, markers, wall)) : now,
      )
      return { incarnation, inDoubt }
    },
  }
}

const around = (
  { incarnation: { placeNow } }: Rows,
  { random }: StoreContext,
  markers: readonly Marker[],
  now: Parameters<typeof begunAnew>[1]['now'],
): Parameters<typeof begunAnew>[1] => ({ placeNow, markers, now, branch: random.uuid() })

const isSame = (a: Incarnation, b: Incarnation): boolean =>
  a.epoch === b.epoch && a.branch === b.branch && a.hold?.since === b.hold?.since

/**
 * Nothing is presented meanwhile, for the hold ends last. Each connection is a write of its own; one that was changed
 * before a crash is known again.
 */
async function doubtAll(rows: Rows, context: StoreContext): Promise<number> {
  let count = 0
  let last: Uid | null = null
  for (;;) {
    const uids: readonly Uid[] = await rows.uidsAfter(last, AT_ONCE)
    const changed = await Promise.all(
      uids.map((uid) =>
        rows.change(uid, (found, now): Change<number> => {
          if (found === null || found.hold === null) return unchanged(0)
          const row = adopted(found.row, context.termsOf(found), context.owner, now)
          if (row !== found.row) return { row, history: [], events: [], result: 1 }
          return unchanged(isAdopted(row.state) ? 1 : 0)
        }),
      ),
    )
    count += changed.reduce((sum, one) => sum + one, 0)
    last = uids.at(-1) ?? null
    if (last === null) return count
  }
}

const isAdopted = (state: Parameters<typeof adopted>[0]['state']): boolean =>
  (state.status === 'in_doubt' && state.adopted === true) ||
  (state.status === 'blocked' && state.from.status === 'in_doubt' && state.from.adopted === true)
