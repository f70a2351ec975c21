/**
 * The hand-outs that this process remembers, bounded by bytes and forgotten by the CLOCK algorithm: one ring, one
 * bit an entry, so that a hit moves nothing.
 */
import type { OpenedAccessToken, View } from './connection.ts'
import { older } from './decide.ts'
import { handOutOf, uidOf, type HandOut } from './handout.ts'
import type { ConnectionId, Fence, Fingerprint, ProviderId, Revision, Uid } from './ids.ts'
import { CLOCK_JUMP_MS, owedTtlMs, type Numbers } from './policy.ts'
import { aheadAt } from './schedule.ts'
import { later, ms, since, type DurationMs, type MonoMs, type Now, type UnixMs } from './time.ts'
import type { VariantKey } from './variant.ts'

export interface Entry {
  readonly key: string
  readonly uid: Uid
  readonly id: ConnectionId
  readonly variant: VariantKey
  readonly provider: ProviderId
  /** When the connection was made: an id can be given again. */
  readonly createdAt: UnixMs
  readonly revision: Revision
  readonly fence: Fence
  /** Of the access token. */
  readonly fingerprint: Fingerprint
  readonly handOut: HandOut
  readonly lifetimeMs: DurationMs
  readonly expiresAt: UnixMs
  /** Until then a caller who does not say how much life it wants is served without a look at the store. */
  readonly freshUntil: UnixMs
  /** The same by the monotonic clock, and not worked out again for each caller: every hand-out compares it. */
  readonly freshUntilMono: MonoMs
  /** When it was put, by both clocks: the larger of the two spans is its age. */
  readonly putAt: Now
  readonly bytes: number
  /** The CLOCK bit: handed out again since the hand came by. */
  touched: boolean
  /** Seconds for which a use still counts as recent: set by a hit, counted down by the poll. */
  recent: number
  /** Where it stands in the ring. */
  place: number
  /** Handed out since it was put. */
  used: boolean
  /** Hand-outs by {@link Cache.plain} that were not told yet: kept here, since a look anywhere else costs a tenth of one. */
  untold: number
}

/** Hears how often a connection was handed out. */
export type CountHandOut = (uid: Uid, times: number) => void

/** The hand-out that is counted once. */
export function counted(count: CountHandOut, given: HandOut): HandOut {
  const uid = uidOf(given)
  if (uid !== undefined) count(uid, 1)
  return given
}

// A connection used so lately is asked for among others' writes.
const RECENT_SECONDS = 60
// Measured: an entry with a 1.1 kB token takes about 1.4 kB of heap; the rest beside the token is about 400 bytes.
const ENTRY_OVERHEAD_BYTES = 400

export interface Cache {
  /** The hand-out for a caller who wants `minTtlMs` of life (null: did not say), if the remembered one is fresh enough. */
  fresh(key: string, minTtlMs: DurationMs | null, now: Now): HandOut | undefined
  /**
   * The same for a caller who says nothing but an id, which nobody has looked at yet: the shortest way, and the one that
   * nearly all take. Each is counted.
   */
  plain(id: string, now: Now): HandOut | undefined
  /** Tells what was counted and not told yet. */
  tellHandOuts(): void
  /** Fresh or not, as long as it lives: for callers while the store is away. */
  living(key: string, now: Now): HandOut | undefined
  /** Remembers what is handed out now. */
  put(view: View, token: OpenedAccessToken, now: Now): HandOut
  /** Remembers what nobody asked for yet: a refresh in the background is no use of the connection. */
  remember(view: View, token: OpenedAccessToken, now: Now): void
  /**
   * What another process wrote: its tokens take the place of those remembered. Dropped is what may not be handed out any
   * more, and what a refresh under way there is going to end.
   */
  heard(view: View, now: Now): void
  /** How much older a token of the view is than the wall clock says, which was set back since it was remembered; else 0. */
  olderByMs(view: View, variant: VariantKey, now: Now): DurationMs
  drop(uid: Uid): void
  /** Whatever is remembered is looked up again before it is handed out. */
  readAgain(): void
  /**
   * Uids used within the last minute with the revision remembered; to be called once a second. Twice, the newest last, where
   * one variant was read later than another one.
   */
  usedLately(): readonly (readonly [Uid, Revision])[]
  /** The same, limited to those that were heard of, at any time. */
  usedAmong(heard: readonly Uid[] | 'unknown'): readonly (readonly [Uid, Revision])[]
  /** The full tokens among those used within the last minute. */
  inUse(): readonly Pick<Entry, 'uid' | 'id' | 'provider' | 'fingerprint'>[]
  /** Resolves when something is handed out; asked again meanwhile, it is the same promise. */
  nextHandOut(): Promise<void>
  /** Whether the connection was handed out since its entry was put. */
  wasUsed(uid: Uid): boolean
  clear(): void
}

/**
 * The key of a cache entry: the id alone where no scope or resource is asked for, else one that begins with a line feed,
 * which no id does.
 */
export const cacheKey = (id: string, variant: VariantKey): string => (variant === '' ? id : `\n${id}\n${variant}`)

/** Whether this token is remembered. A store that forgot its last writes counts anew: revision and fence do not say which. */
const isOf = (entry: Entry, token: OpenedAccessToken): boolean =>
  entry.fence === token.fence && entry.fingerprint === token.fingerprint

export function createCache(maxBytes: number, numbers: Numbers, count: CountHandOut = () => undefined): Cache {
  const entries = new Map<string, Entry>()
  const keysOf = new Map<Uid, Set<string>>()
  const ring: (Entry | null)[] = []
  /** Places in the ring whose entry went: taken again first, so that the hand meets the others in their turn. */
  const free: number[] = []
  let hand = 0
  let bytes = 0

  const tell = (entry: Entry): void => {
    if (entry.untold > 0) count(entry.uid, entry.untold)
    entry.untold = 0
  }

  const remove = (entry: Entry): void => {
    if (entries.get(entry.key) !== entry) return
    tell(entry)
    entries.delete(entry.key)
    const keys = keysOf.get(entry.uid)
    keys?.delete(entry.key)
    if (keys?.size === 0) keysOf.delete(entry.uid)
    bytes -= entry.bytes
    ring[entry.place] = null
    free.push(entry.place)
  }

  const makeRoom = (): void => {
    while (bytes > maxBytes && entries.size > 0) {
      const entry = ring[hand] ?? null
      if (entry?.touched === true) entry.touched = false
      else if (entry !== null) remove(entry)
      hand = (hand + 1) % ring.length
    }
  }

  /** Somebody wants to know of the next hand-out. */
  let awaited = false
  let handedOut = Promise.withResolvers<void>()
  const tellOfHandOut = (): void => {
    awaited = false
    handedOut.resolve()
    handedOut = Promise.withResolvers<void>()
  }

  const use = (entry: Entry): void => {
    if (awaited) tellOfHandOut()
    entry.touched = true
    entry.recent = RECENT_SECONDS
    entry.used = true
  }

  const entriesOf = (uid: Uid): Entry[] => {
    const found: Entry[] = []
    for (const key of keysOf.get(uid) ?? []) {
      const entry = entries.get(key)
      if (entry !== undefined) found.push(entry)
    }
    return found
  }

  const recentOf = (among: Iterable<Entry>): readonly (readonly [Uid, Revision])[] => {
    const used = new Map<Uid, { oldest: Revision; newest: Revision }>()
    for (const { uid, revision, recent } of among) {
      if (recent === 0) continue
      const known = used.get(uid)
      if (known === undefined) used.set(uid, { oldest: revision, newest: revision })
      else if (revision < known.oldest) known.oldest = revision
      else if (revision > known.newest) known.newest = revision
    }
    // A write after the oldest reading of any variant concerns that one; what the store forgot was the newest.
    return [...used].flatMap(([uid, { oldest, newest }]) =>
      [...new Set([oldest, newest])].map((revision) => [uid, revision] as const),
    )
  }

  const olderBy = (entry: Entry, token: OpenedAccessToken, now: Now): DurationMs => {
    if (!isOf(entry, token)) return ms(0)
    const leftMs = entry.expiresAt - entry.putAt.wall - since(entry.putAt.mono, now.mono)
    const byMs = token.expiresAt - now.wall - leftMs
    return ms(byMs > CLOCK_JUMP_MS ? byMs : 0)
  }

  const keep = (view: View, read: OpenedAccessToken, now: Now, by: Pick<Entry, 'used' | 'recent'>): HandOut => {
    const { uid, id, provider, revision, createdAt } = view.row
    const key = cacheKey(id, read.variant)
    const old = entries.get(key)
    // In memory a token is as old as the larger clock says: the store knows the wall clock alone.
    const token = old?.uid === uid ? older(read, olderBy(old, read, now)) : read
    // A lower revision never replaces a higher one, nor a deleted connection the one that has its id now: what was read
    // first can come back last.
    if (old !== undefined && (old.uid === uid ? old.revision > revision : old.createdAt > createdAt))
      return handOutOf(token, view.row)
    // A thousand callers who shared one refresh put it once.
    const known = old?.uid === uid && old.revision === revision && isOf(old, token)
    if (old !== undefined && known && old.expiresAt === token.expiresAt) {
      if (by.used) use(old)
      return old.handOut
    }
    if (by.used && awaited) tellOfHandOut()
    if (old !== undefined) remove(old)
    const freshUntil = Math.min(
      aheadAt(uid, token, view.terms.policy),
      later(token.expiresAt, ms(-owedTtlMs(null, token.lifetimeMs, numbers))),
    ) as UnixMs
    const given = handOutOf(token, view.row)
    const entry: Entry = {
      // What a hand-out looks at and changes comes first: so it lies together, and is one or two lines of the processor's cache.
      variant: token.variant,
      handOut: given,
      freshUntil,
      freshUntilMono: later(now.mono, ms(freshUntil - now.wall)),
      touched: old?.touched ?? false,
      recent: by.recent,
      used: by.used,
      untold: 0,
      key,
      uid,
      id,
      provider,
      createdAt,
      revision,
      fence: token.fence,
      fingerprint: token.fingerprint,
      lifetimeMs: token.lifetimeMs,
      expiresAt: token.expiresAt,
      putAt: now,
      bytes: ENTRY_OVERHEAD_BYTES + key.length + given.accessToken.length + (given.scope?.length ?? 0),
      place: free.pop() ?? ring.length,
    }
    entries.set(key, entry)
    const keys = keysOf.get(uid)
    if (keys === undefined) keysOf.set(uid, new Set([key]))
    else keys.add(key)
    bytes += entry.bytes
    ring[entry.place] = entry
    makeRoom()
    return entry.handOut
  }

  return {
    fresh(key, minTtlMs, now) {
      const entry = entries.get(key)
      // Where the poll no longer asks about it, a deletion or a new sign-in would go unnoticed: the store is read.
      if (entry === undefined || entry.recent === 0) return undefined
      if (minTtlMs === null) {
        if (now.mono >= entry.freshUntilMono || now.wall >= entry.freshUntil) return undefined
      } else {
        const aged = since(entry.putAt.mono, now.mono)
        const owed = owedTtlMs(minTtlMs, entry.lifetimeMs, numbers)
        const needs = Math.max(owed, entry.expiresAt - entry.freshUntil)
        if (aged + needs >= entry.expiresAt - entry.putAt.wall || now.wall + needs >= entry.expiresAt) return undefined
      }
      use(entry)
      return entry.handOut
    },
    plain(id, now) {
      const entry = entries.get(id)
      // An id can be spelt like the key of a narrower token. The entry tells them apart for less than a look at the text.
      if (entry === undefined || entry.variant !== '' || entry.recent === 0) return undefined
      if (now.mono >= entry.freshUntilMono || now.wall >= entry.freshUntil) return undefined
      use(entry)
      entry.untold += 1
      return entry.handOut
    },
    tellHandOuts() {
      for (const entry of entries.values()) tell(entry)
    },
    living(key, now) {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      const aged = since(entry.putAt.mono, now.mono)
      const dead = now.wall >= entry.expiresAt || aged >= entry.expiresAt - entry.putAt.wall
      return dead ? undefined : entry.handOut
    },
    heard(view, now) {
      const { row, accessTokens, terms } = view
      const { status } = row.state
      const over = status === 'deleting' || status === 'erased' || row.signedOutAt !== null
      // Callers have to wait for the refresh that ends what is remembered here.
      const dying = status === 'presenting' && terms.provider.refreshKillsAccessToken
      for (const entry of entriesOf(row.uid)) {
        if (entry.revision >= row.revision) continue
        const token = accessTokens.find(({ variant, refusedAt }) => variant === entry.variant && refusedAt === null)
        if (token === undefined || over || dying) remove(entry)
        else keep(view, token, now, { used: false, recent: entry.recent })
      }
    },
    put: (view, token, now) => keep(view, token, now, { used: true, recent: RECENT_SECONDS }),
    remember: (view, token, now) => void keep(view, token, now, { used: false, recent: RECENT_SECONDS }),
    olderByMs({ row, accessTokens }, variant, now) {
      const entry = entries.get(cacheKey(row.id, variant))
      const token = accessTokens.find((each) => each.variant === variant)
      return entry === undefined || token === undefined || entry.uid !== row.uid ? ms(0) : olderBy(entry, token, now)
    },
    drop(uid) {
      for (const entry of entriesOf(uid)) remove(entry)
    },
    readAgain() {
      for (const entry of entries.values()) entry.recent = 0
    },
    usedLately() {
      const used = recentOf(entries.values())
      for (const entry of entries.values()) if (entry.recent > 0) entry.recent -= 1
      return used
    },
    usedAmong: (heard) => recentOf(heard === 'unknown' ? entries.values() : heard.flatMap(entriesOf)),
    inUse: () => [...entries.values()].filter(({ variant, recent }) => variant === '' && recent > 0),
    nextHandOut() {
      awaited = true
      return handedOut.promise
    },
    wasUsed: (uid) => entriesOf(uid).some(({ used }) => used),
    clear() {
      for (const entry of entries.values()) tell(entry)
      entries.clear()
      keysOf.clear()
      ring.length = 0
      free.length = 0
      hand = 0
      bytes = 0
    },
  }
}
