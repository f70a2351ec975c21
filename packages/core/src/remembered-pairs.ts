/**
 * A store that may show less than it acknowledged: after a failover its last transactions can be gone. What this process
 * committed lately it remembers, sealed, and commits again before anything older is presented (`PROTOCOL.md` section 9,
 * "Incarnation").
 *
 * Every view that leads to a presentation passes here twice: when it is read, and when its refresh token is acquired.
 */
import { keptFrom } from './commit.ts'
import type { View } from './connection.ts'
import type { Generation, GrantNo, Uid } from './ids.ts'
import { REMEMBERED_PAIRS } from './policy.ts'
import type { Clock, CommitResult, ConnectionStore, Kept } from './ports.ts'
import { agedBy, type Now } from './time.ts'

/** The pairs of one grant that this process committed, each answering the one before. */
interface Chain {
  readonly grant: GrantNo
  /** Of the newest. */
  readonly generation: Generation
  readonly pairs: readonly Kept[]
  readonly at: Now
  readonly bytes: number
}

// Beside the ciphertexts: ids, fingerprints and times of one pair.
const PAIR_OVERHEAD_BYTES = 600

/** @returns the same store, which never lends a refresh token that a newer one has replaced here */
export function rememberingPairs(store: ConnectionStore, clock: Pick<Clock, 'now'>): ConnectionStore {
  // In the order in which they were remembered: the oldest goes first.
  const chains = new Map<Uid, Chain>()
  let bytes = 0

  const forget = (uid: Uid): void => {
    bytes -= chains.get(uid)?.bytes ?? 0
    chains.delete(uid)
  }

  const chainOf = (uid: Uid): Chain | undefined => {
    const chain = chains.get(uid)
    if (chain === undefined || agedBy(chain.at, clock.now()) < REMEMBERED_PAIRS.forMs) return chain
    forget(uid)
    return undefined
  }

  const remember = (kept: Kept, { view, kind }: CommitResult): void => {
    const { refreshToken } = kept.granted
    const stands = kind === 'committed' || kind === 'again'
    if (!stands || view === null || refreshToken === null || refreshToken.fingerprint === kept.answers) return
    // Somebody else's is newer already.
    if (view.refreshToken?.fingerprint !== refreshToken.fingerprint) return
    const before = chainOf(kept.uid)
    const last = before?.pairs.at(-1)
    if (last?.attempt === kept.attempt) return
    const follows = before?.grant === kept.grant && last?.granted.refreshToken?.fingerprint === kept.answers
    const pairs = [...(follows ? (before?.pairs ?? []) : []), kept].slice(-REMEMBERED_PAIRS.ofOneMost)
    forget(kept.uid)
    const { grant, generation } = view.row
    const chain = {
      grant,
      generation,
      pairs,
      at: clock.now(),
      bytes: pairs.reduce((sum, pair) => sum + sizeOf(pair), 0),
    }
    chains.set(kept.uid, chain)
    bytes += chain.bytes
    while (bytes > REMEMBERED_PAIRS.bytesMost || chains.size > REMEMBERED_PAIRS.most) {
      const [oldest] = chains.keys()
      if (oldest === undefined) return
      forget(oldest)
    }
  }

  /** Whether the store has lost what stands here. A later generation, or another grant, ends the remembering. */
  const showsLess = (uid: Uid, grant: GrantNo, generation: Generation): boolean => {
    const chain = chainOf(uid)
    if (chain === undefined || (grant === chain.grant && generation === chain.generation)) return false
    const less = grant === chain.grant && generation < chain.generation
    if (!less && grant >= chain.grant) forget(uid)
    return less
  }

  /** @throws TokenError where the store does not take them now: then nothing older is presented either */
  const commitAgain = async (uid: Uid): Promise<void> => {
    for (const pair of chainOf(uid)?.pairs ?? []) {
      const { kind } = await store.replay(pair)
      // The store knows better: it was deleted, signed in again, or went on from what it had.
      if (kind === 'history' || kind === 'revoke' || kind === 'sibling') forget(uid)
    }
  }

  const isBehind = ({ row }: View): boolean => showsLess(row.uid, row.grant, row.generation)

  return {
    ...store,
    async read(id) {
      const view = await store.read(id)
      if ('kind' in view || !isBehind(view)) return view
      await commitAgain(view.row.uid)
      return store.read(id)
    },
    async acquire(at, why, attempt, room, usedAt) {
      if (!showsLess(at.uid, at.grant, at.generation)) return store.acquire(at, why, attempt, room, usedAt)
      await commitAgain(at.uid)
      return { kind: 'moved' }
    },
    async commit(lease, end) {
      const result = await store.commit(lease, end)
      if (end.kind === 'granted') remember(keptFrom(lease, end.granted), result)
      return result
    },
    async replay(entry) {
      const result = await store.replay(entry)
      remember(entry, result)
      return result
    },
  }
}

const sizeOf = ({ granted: { refreshToken, accessToken } }: Kept): number =>
  PAIR_OVERHEAD_BYTES + (refreshToken?.sealed.length ?? 0) + (accessToken?.sealed.length ?? 0)
