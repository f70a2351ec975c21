/** What an examination sees of an installation. Nothing in here is secret, and nothing was changed to see it. */
import type { ClientKeyState, HoldReason, KeyAlg, NotSentBecause, Trouble } from '@tokenkeep/core'
import type { EndpointName } from '../endpoint-discovery.ts'

export interface KeysSeen {
  /** `the key file ...` or `the variable TOKENKEEP_KEY`. */
  readonly source: string
  readonly file: string | null
  /** Whether others than its user could put another file in its place. */
  readonly folderOpen: boolean
  readonly names: readonly string[]
  readonly current: { readonly name: string; readonly id: string }
}

export interface FileSystemSeen {
  /** `network`: locks and syncs depend on somebody else. `memory`: gone with the machine. `layer`: gone with the container. */
  readonly kind: 'local' | 'network' | 'memory' | 'layer'
  readonly name: string
  readonly freeBytes: number
  /** Null: this file system has no number of files. */
  readonly freeFiles: number | null
}

export interface FolderSeen {
  readonly path: string
  /** It is to be made still; then the rest is about the folder above that is there. */
  readonly missing: boolean
  readonly mode: number
  /** Of its user, and of this process; null where the system has none. */
  readonly users: { readonly owner: number; readonly own: number } | null
  readonly fileSystem: FileSystemSeen
  /** How long one write took until it was on the disk, milliseconds; or why it did not work; null: not tried, it is missing. */
  readonly sync: number | { readonly failed: string } | null
}

export interface StateSeen {
  readonly folder: string
  readonly alive: number
  readonly dead: number
  /** Owners of whom nobody can say: files of another user. */
  readonly unknown: number
  /** Answers of providers that wait in slots: of living processes, and of those that are gone. */
  readonly answers: { readonly ofAlive: number; readonly ofDead: number }
}

/** What both engines say. */
export interface DatabaseSeen {
  readonly name: string
  readonly version: number
  /** The version that this program makes of it. */
  readonly newest: number
  /** `other`: the key does not open it. */
  readonly keys: 'fit' | { readonly other: string } | 'not_tried'
  /** The master key that sealed last is not the one that seals now. */
  readonly sealedWithOther: string | null
  readonly hold: HoldReason | null
  /** There is no hold yet, and the next process that opens it will find a reason. */
  readonly holdAhead: HoldReason | null
  readonly sqlite: SqliteSeen | null
  readonly postgres: PostgresSeen | null
}

export interface SqliteSeen {
  readonly bytes: number
  readonly walBytes: number
  readonly mode: number
  /** Another machine wrote so lately that it counts as alive, seconds ago; null: none did. */
  readonly otherMachineSecondsAgo: number | null
  /** The last write is so far ahead of this machine's clock, milliseconds; 0: it is not. */
  readonly aheadMs: number
}

export interface PostgresSeen {
  readonly serverVersion: string
  readonly tooOld: boolean
  /** The version of TLS; null: none. */
  readonly tls: string | null
  /** The server is on this machine, by a loopback address or a socket. */
  readonly local: boolean
  readonly pooled: boolean
  readonly listens: boolean
  readonly showsLocks: boolean
  /** Its clock minus this machine's, the smallest difference that explains what was seen, milliseconds. */
  readonly clockMs: number
  readonly standby: boolean
  readonly fsync: boolean
  readonly fullPageWrites: boolean
  readonly sessions: { readonly used: number; readonly most: number }
  /** A table that its user may not write; null: it may write all. */
  readonly lacksPermission: string | null
}

export interface CountedConnections {
  /** At most `most`: then there may be more. */
  readonly count: number
  readonly most: number
  /** The first of them. */
  readonly examples: readonly string[]
}

export interface ConnectionsSeen {
  readonly all: Pick<CountedConnections, 'count' | 'most'>
  readonly byStatus: Readonly<Record<Trouble, CountedConnections>>
  /** Whose user has to sign in within the days, whatever is refreshed; null: a database of an earlier version cannot tell. */
  readonly ending: (CountedConnections & { readonly withinDays: number }) | null
}

/** One request to a provider that carried nothing of ours. */
export interface MetadataSeen {
  readonly url: string
  readonly says: Metadata | { readonly issuer: string | null; readonly status: number } | NotAsked
  /** Its clock minus ours, the smallest difference that explains its `Date`, milliseconds; null: it did not say. */
  readonly clockMs: number | null
}

/** What of a metadata document matters here. */
export interface Metadata {
  readonly issuer: string
  readonly endpoints: Readonly<Partial<Record<MetadataEndpoint, string>>>
  readonly authMethods: readonly string[] | null
  readonly signingAlgs: readonly string[] | null
  readonly dpopAlgs: readonly string[] | null
  readonly grantTypes: readonly string[] | null
}
export type MetadataEndpoint = Exclude<EndpointName, 'refreshEndpoint'> | 'userinfoEndpoint'

export interface NotAsked {
  readonly notAsked: NotSentBecause | 'no_answer'
}

export interface EndpointSeen {
  readonly url: string | null
  /** Null: a connection was opened. */
  readonly failed: NotSentBecause | null
  /** When its certificate ends, epoch milliseconds; null without TLS. */
  readonly certificateEndsAt: number | null
}

/** What a client's provider says to it, about a token that nobody has made. */
export interface ClientSeen {
  readonly asked: readonly ClientAnswer[]
  /** What it proves itself with cannot be opened or made. */
  readonly unusable: 'no_key' | 'tampered' | 'client' | 'client_assertion_file' | 'client_certificate_expired' | null
  /** When the assertion in its file ends; null: it has none, or that does not say. */
  readonly assertionEndsAt: number | null
  readonly keys: readonly { readonly kid: string; readonly alg: KeyAlg; readonly state: ClientKeyState['kind'] }[]
}

export interface ClientAnswer {
  readonly endpoint: 'introspection' | 'revocation'
  readonly status: number
  /** RFC 6749 section 5.2 `error`, where it is a plain word. */
  readonly error: string | null
  /** RFC 7662 section 2.2. */
  readonly active: boolean | null
}
