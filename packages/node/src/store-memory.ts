/** Stores in memory, for tests: they pass the same contract as the ones on disk, and hold to the same atomicity. */
import {
  HELD_BACK,
  TokenError,
  type ClientId,
  type ConnectionId,
  type ConnectionRow,
  type Fence,
  type Fingerprint,
  type HistoryEntry,
  type Incarnation,
  type Moment,
  type Provider,
  type ProviderId,
  type Uid,
} from '@tokenkeep/core'
import { connectionStore } from './connection-store.ts'
import { memoryFilter } from './memory-filter.ts'
import { memoryOverview } from './memory-overview.ts'
import { createMemoryEvents, memoryEvents, tellMemory, type MemoryEvents } from './memory-events.ts'
import { createNoticeBoard, type NoticeBoard } from './notice-board.ts'
import { registry, type RegistryRows, type StoredClient } from './registry.ts'
import { storedSecrets } from './reseal.ts'
import { storeContext, type OpenStore, type StoreParts } from './store-context.ts'
import { lastMoments } from './store-marks.ts'
import { HISTORY_MOST, type Change, type Found, type HistoryNote, type Rows } from './store-rows.ts'

/** What a database would hold. Several stores can share one, as several processes share a database. */
export interface Memory {
  readonly rows: Map<Uid, ConnectionRow>
  readonly history: Map<Uid, Map<Fence, HistoryEntry>>
  readonly providers: Map<ProviderId, Provider>
  readonly clients: Map<ClientId, StoredClient>
  readonly events: MemoryEvents
  /** One for each store, which hears by it of what the others write. */
  readonly boards: Set<NoticeBoard>
  incarnation: Incarnation
}

export const createMemory = (): Memory => ({
  rows: new Map(),
  history: new Map(),
  providers: new Map(),
  clients: new Map(),
  events: createMemoryEvents(),
  boards: new Set(),
  incarnation: { installation: 'in memory', place: null, epoch: 1, branch: null, hold: null },
})

export interface MemoryStoreOptions extends StoreParts {
  readonly memory: Memory
  /** Store time. */
  readonly bootNow: () => Moment
  /** The session of now, where it does not last as long as the store does. */
  readonly session?: () => string
  /** Whether this owner holds a lock that others can see; it holds none where this is absent. */
  readonly showsLock?: () => boolean
}

export function createMemoryStore(options: MemoryStoreOptions): OpenStore {
  const { memory, bootNow, session: sessionNow, showsLock = () => false, ...parts } = options
  const onlySession = parts.random.uuid()
  let closed = false
  const open = (): void => {
    if (closed) throw new TokenError('closed', 'the store is closed')
  }
  const context = storeContext(parts, { session: sessionNow ?? (() => onlySession), showsLock })
  const board = createNoticeBoard()
  memory.boards.add(board)
  const wrote = (uid: Uid): void => {
    for (const each of memory.boards) if (each !== board) each.post(uid)
  }
  const rows = memoryRows({ memory, bootNow, open, wrote })
  const registryRows = memoryRegistry(memory, open)
  return {
    store: connectionStore(rows, context),
    registry: registry(registryRows, parts),
    notices: board.notices,
    incarnation: rows.incarnation,
    events: memoryEvents(memory.events, open),
    secrets: storedSecrets(rows, registryRows, async () => undefined),
    committed: () => 0,
    close: async () => {
      closed = true
      memory.boards.delete(board)
    },
  }
}

interface Inside {
  readonly memory: Memory
  readonly bootNow: () => Moment
  readonly open: () => void
  /** Tells the other stores. */
  readonly wrote: (uid: Uid) => void
}

function memoryRows({ memory, bootNow, open, wrote }: Inside): Rows {
  const foundOf = (row: ConnectionRow): Found => {
    const client = memory.clients.get(row.client)
    const provider = memory.providers.get(row.provider)
    if (client === undefined || provider === undefined) throw new Error('a row names a client that is not there')
    return { row, provider, client: client.client, hold: memory.incarnation.hold }
  }
  const byUid = (uid: Uid): Found | null => {
    const row = memory.rows.get(uid)
    return row === undefined ? null : foundOf(row)
  }
  const all = (): ConnectionRow[] => [...memory.rows.values()]
  const living = (): ConnectionRow[] => all().filter((row) => row.state.status !== 'erased')
  const livingOf = (id: ConnectionId): ConnectionRow | undefined => living().find((row) => row.id === id)
  const twinOf = (client: ClientId, refreshToken: Fingerprint | null, except: Uid | null): ConnectionId | null =>
    living().find(
      (row) =>
        refreshToken !== null && fingerprintOf(row) === refreshToken && row.client === client && row.uid !== except,
    )?.id ?? null

  // Nothing is awaited between reading and writing, and nothing can fail while writing: so each change is one.
  const apply = <Result>(uid: Uid | null, change: Change<Result>): Result => {
    const key = change.row?.uid ?? uid
    if (change.row !== null) memory.rows.set(change.row.uid, change.row)
    if (key !== null) for (const note of change.history) keepNote(memory, key, note)
    for (const event of change.events) tellMemory(memory.events, event)
    if (change.row !== null) wrote(change.row.uid)
    return change.result
  }

  return {
    incarnation: {
      placeNow: null,
      async read() {
        open()
        return memory.incarnation
      },
      async change(decide) {
        open()
        memory.incarnation = decide(memory.incarnation, bootNow())
        return memory.incarnation
      },
    },

    async uidsAfter(uid, limit) {
      open()
      return [...memory.rows.keys()]
        .sort()
        .filter((each) => uid === null || each > uid)
        .slice(0, limit)
    },

    async byId(id) {
      open()
      const row = livingOf(id)
      if (row !== undefined) return { found: foundOf(row), now: bootNow() }
      return all().some((erased) => erased.id === id) ? 'erased' : 'unknown'
    },

    async page(query) {
      open()
      const now = bootNow()
      const fits = memoryFilter(query, now.wall)
      const found = living()
        .filter(fits)
        .sort((a, b) => byBytes(a.id, b.id))
        .slice(0, query.limit)
      return { found: found.map(foundOf), now, next: found.length < query.limit ? null : (found.at(-1)?.id ?? null) }
    },

    async overview(labels) {
      open()
      return memoryOverview(living(), labels, bootNow().wall)
    },

    async otherThan(uids) {
      open()
      const rows = uids.flatMap(([uid, revision]) => {
        const row = memory.rows.get(uid)
        return row !== undefined && row.revision !== revision ? [row] : []
      })
      return { found: rows.map(foundOf), now: bootNow() }
    },

    async withOpenAttemptOf(owner) {
      open()
      const rows = all().filter(
        ({ state }) => (state.status === 'presenting' || state.status === 'deleting') && state.attempt?.owner === owner,
      )
      return { found: rows.map(foundOf), now: bootNow() }
    },

    async presentedByOthers(owner) {
      open()
      return all().flatMap(({ uid, fence, state }) => {
        const isElsewhere = state.status === 'presenting' && state.attempt.owner !== owner
        return isElsewhere ? [{ uid, fence, heartbeat: state.attempt.heartbeat }] : []
      })
    },

    async history(id, limit) {
      open()
      const uid = livingOf(id)?.uid
      const entries = uid === undefined ? [] : [...(memory.history.get(uid)?.values() ?? [])]
      return entries.sort((a, b) => b.fence - a.fence).slice(0, limit)
    },

    async change(uid, decide) {
      open()
      return apply(uid, decide(byUid(uid), bootNow()))
    },

    async changeGrant(uid, refreshToken, decide) {
      open()
      const found = byUid(uid)
      const twin = found === null ? null : twinOf(found.row.client, refreshToken, uid)
      return apply(uid, decide(found === null ? null : { ...found, twin }, bootNow()))
    },

    async insert(born, decide) {
      open()
      const client = memory.clients.get(born.client)?.client
      const provider = client && memory.providers.get(client.provider)
      const neighbour = livingOf(born.id)
      const neighbours =
        client === undefined || provider === undefined
          ? null
          : {
              client,
              provider,
              hold: memory.incarnation.hold,
              living: neighbour === undefined ? null : foundOf(neighbour),
              twin: twinOf(born.client, born.refreshToken, null),
            }
      return apply(null, decide(neighbours, bootNow()))
    },

    async changeDue({ limit, except }, decide) {
      open()
      const now = bootNow()
      const due = all()
        .filter((row) => row.dueAt !== null && row.dueAt <= now.wall)
        .filter((row) => !HELD_BACK.includes(row.urgency) || !except.includes(row.provider) || isEnding(row, now))
        .sort(byUrgency)
        .slice(0, limit)
      return due.map((row) => apply(row.uid, decide(foundOf(row), now)))
    },

    async forget(before) {
      open()
      const until = before(bootNow())
      for (const row of all()) {
        if (row.state.status !== 'erased' || row.state.since >= until) continue
        memory.rows.delete(row.uid)
        memory.history.delete(row.uid)
      }
    },
  }
}

const fingerprintOf = (row: ConnectionRow): Fingerprint | null => row.refreshToken?.fingerprint ?? null

const isEnding = ({ refreshToken }: ConnectionRow, now: Moment): boolean =>
  refreshToken?.endsAt != null && refreshToken.endsAt <= lastMoments(now)

/** The more urgent first, then what is due for longer. */
const byUrgency = (a: ConnectionRow, b: ConnectionRow): number =>
  a.urgency === b.urgency ? (a.dueAt ?? 0) - (b.dueAt ?? 0) : a.urgency - b.urgency

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

function keepNote(memory: Memory, uid: Uid, note: HistoryNote): void {
  const entries = memory.history.get(uid) ?? new Map<Fence, HistoryEntry>()
  memory.history.set(uid, entries)
  if (note.kind === 'begun') {
    entries.set(note.entry.fence, note.entry)
    for (const fence of entries.keys()) if (fence <= note.entry.fence - HISTORY_MOST) entries.delete(fence)
    return
  }
  const entry = entries.get(note.fence)
  if (entry !== undefined) entries.set(note.fence, { ...entry, endedAt: note.endedAt, outcome: note.outcome })
}

function memoryRegistry(memory: Memory, open: () => void): RegistryRows {
  return {
    async provider(id) {
      open()
      return memory.providers.get(id) ?? null
    },
    async providers() {
      open()
      return [...memory.providers.values()].sort((a, b) => byBytes(a.id, b.id))
    },
    async changeProvider(id, decide) {
      open()
      const provider = decide(memory.providers.get(id) ?? null)
      if (provider !== null) memory.providers.set(id, provider)
    },
    async client(id) {
      open()
      return memory.clients.get(id) ?? null
    },
    async clients() {
      open()
      return [...memory.clients.values()].map(({ client }) => client).sort((a, b) => byBytes(a.id, b.id))
    },
    async changeClient({ id, provider }, decide) {
      open()
      const stored = decide({ stored: memory.clients.get(id) ?? null, providerKnown: memory.providers.has(provider) })
      if (stored !== null) memory.clients.set(id, stored)
    },
  }
}
