/**
 * A store that may show less than it acknowledged: after a failover its last transactions can be gone. What this process
 * committed lately it remembers, sealed, and commits again before anything older is presented (`PROTOCOL.md` section 9,
 * "Incarnation").
 *
 * Every view that leads to a presentation passes here twice: when it is read, and when its refresh token is acquired. So does
 * what is compared once a second, and an attempt that would be put in doubt, so that nobody who forgot is the first to go on.
 */
import { keptFrom } from './commit.ts'
import type { Generation, GrantNo, Uid } from './ids.ts'
import { REMEMBERED_PAIRS } from './policy.ts'
import type { Clock, CommitResult, ConnectionStore, Kept } from './ports.ts'
import { agedBy, later, type MonoMs, type Now, type UnixMs } from './time.ts'

/** The pairs of one grant that this process committed, each answering the one before. */
interface Chain {
  readonly uid: Uid
  readonly grant: GrantNo
  readonly pairs: readonly Kept[]
  readonly at: Now
  readonly bytes: number
  /** When the newest was granted, by the store's clock: what was granted later is not from before it. */
  readonly grantedAt: UnixMs
  /** The highest generation that was seen since, whoever brought it. */
  seen: Generation
  /** All were given again and the store still shows less: not before then once more. */
  again: MonoMs | null
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
    const { grant, generation, lastGrant } = view.row
    const chain: Chain = {
      uid: kept.uid,
      grant,
      pairs,
      at: clock.now(),
      bytes: pairs.reduce((sum, pair) => sum + sizeOf(pair), 0),
      grantedAt: lastGrant?.at ?? (0 as UnixMs),
      seen: generation,
      again: null,
    }
    chains.set(kept.uid, chain)
    bytes += chain.bytes
    while (bytes > REMEMBERED_PAIRS.bytesMost || chains.size > REMEMBERED_PAIRS.most) {
      const [oldest] = chains.keys()
      if (oldest === undefined) return
      forget(oldest)
    }
  }

  /** The chain, where the store has lost what was seen since. Another grant ends the remembering. */
  const ahead = (uid: Uid, grant: GrantNo, generation: Generation): Chain | null => {
    const chain = chainOf(uid)
    if (chain === undefined || grant < chain.grant) return null
    if (grant > chain.grant) {
      forget(uid)
      return null
    }
    if (generation > chain.seen) chain.seen = generation
    return generation < chain.seen ? chain : null
  }

  /**
   * What the store does not take, because a rotation of another process in between was lost, stays: that process may bring
   * it, and until then nothing older is presented.
   *
   * @throws TokenError where the store does not take them now: then nothing older is presented either
   */
  const commitAgain = async (chain: Chain): Promise<void> => {
    if (chain.again !== null && clock.now().mono < chain.again) return
    for (const pair of chain.pairs) {
      const { kind, view } = await store.replay(pair)
      if (kind === 'committed' || kind === 'again' || kind === 'successor') continue
      // The store knows better: it was deleted, signed in again, or went on from what it had.
      const wentOn = view === null || view.row.grant !== chain.grant || (view.row.lastGrant?.at ?? 0) > chain.grantedAt
      if (!wentOn) continue
      forget(chain.uid)
      return
    }
    chain.again = later(clock.now().mono, REMEMBERED_PAIRS.againAfterMs)
  }

  /** Whether what the answer answers, which the store had lost, was given to it again: the answer is history no more. */
  const isBroughtBack = async (kept: Kept, { kind, view }: CommitResult): Promise<boolean> => {
    if (kind !== 'history' || view === null) return false
    const chain = ahead(kept.uid, view.row.grant, view.row.generation)
    if (chain?.pairs.at(-1)?.granted.refreshToken?.fingerprint !== kept.answers) return false
    await commitAgain(chain)
    return true
  }

  return {
    ...store,
    async read(id) {
      const view = await store.read(id)
      if ('kind' in view) return view
      const { uid, grant, generation } = view.row
      const chain = ahead(uid, grant, generation)
      if (chain === null) return view
      await commitAgain(chain)
      return store.read(id)
    },
    // What is compared in the background: who remembers it gives it back before another process presents what it shows.
    async changes(uids) {
      const views = await store.changes(uids)
      const behind = views.flatMap(({ row: { uid, grant, generation } }) => ahead(uid, grant, generation) ?? [])
      if (behind.length === 0) return views
      // Where it is not taken nothing older is presented either, and what was read is so.
      for (const chain of behind) await commitAgain(chain).catch(() => undefined)
      return store.changes(uids)
    },
    async acquire(at, why, attempt, room, usedAt) {
      const chain = ahead(at.uid, at.grant, at.generation)
      if (chain === null) return store.acquire(at, why, attempt, room, usedAt)
      await commitAgain(chain)
      return { kind: 'moved' }
    },
    async takeOver(at, evidence) {
      const chain = ahead(at.uid, at.grant, at.generation)
      if (chain !== null) await commitAgain(chain)
      // What it took has moved the row. What it does not take must not keep the attempt open: the connection may be on its way out.
      return store.takeOver(at, evidence)
    },
    async commit(lease, end) {
      const first = await store.commit(lease, end)
      if (end.kind !== 'granted') return first
      const kept = keptFrom(lease, end.granted)
      const result = (await isBroughtBack(kept, first)) ? await store.commit(lease, end) : first
      remember(kept, result)
      return result
    },
    async replay(entry) {
      const first = await store.replay(entry)
      const result = (await isBroughtBack(entry, first)) ? await store.replay(entry) : first
      remember(entry, result)
      return result
    },
  }
}

const sizeOf = ({ granted: { refreshToken, accessToken } }: Kept): number =>
  PAIR_OVERHEAD_BYTES + (refreshToken?.sealed.length ?? 0) + (accessToken?.sealed.length ?? 0)
