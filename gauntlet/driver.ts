/** What a driver is: a file that exports these functions. Each process of a scenario loads it and calls `start` once. */
import type { Reuse } from './logins.ts'

/** What all processes of one scenario share. */
export interface Place {
  /** Empty at first. */
  readonly folder: string
  readonly issuer: string
  readonly tokenEndpoint: string
  /** `GET` with a bearer token: 200, or 401. */
  readonly api: string
  readonly clientId: string
  readonly clientSecret: string
  /** What the provider's documentation says of second presentations. */
  readonly reuse: Reuse
  /** How long before its end a token is renewed by whoever has a documented way for it and goes on with the old one where that fails. */
  readonly marginSeconds: number
  /** The URL of an empty database; null: the peer asked for none. */
  readonly postgres: string | null
}

/** A login, as somebody has just signed in. */
export interface SignIn {
  readonly id: string
  readonly refreshToken: string
  readonly accessToken: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface Driver {
  /** @returns the process id of the daemon that presents refresh tokens, where another process than this one does */
  start(place: Place): Promise<number | undefined>
  /**
   * Keeps a login where all processes find it.
   *
   * @param followed whether others are kept right after it
   */
  seed(signIn: SignIn, followed: 'by_more' | 'by_none'): Promise<void>
  /** @returns an access token for the next call of the API */
  getToken(id: string): Promise<string>
  stop(): Promise<void>
  /** Daemons alone: kills it with SIGKILL and starts it again. */
  crash?(): Promise<number>
}

/** What a process is told, and answers; `number` belongs to both. */
export type Order =
  | { readonly number: number; readonly do: 'start'; readonly place: Place }
  | { readonly number: number; readonly do: 'seed'; readonly signIns: readonly SignIn[] }
  | {
      readonly number: number
      readonly do: 'call'
      readonly ids: readonly string[]
      /** So many calls for each. */
      readonly times: number
      /** So many calls at once at most. */
      readonly atOnce: number
      /** At this moment of the machine's monotonic clock, milliseconds. */
      readonly at: number
      readonly limitMs: number
    }
  | { readonly number: number; readonly do: 'stop' }
  | { readonly number: number; readonly do: 'crash' }

/** How calls ended; those that ended alike are one. */
export interface Ended {
  readonly id: string
  /** Null: no token. */
  readonly token: string | null
  /** Why there is none. */
  readonly why: string
  readonly count: number
}

export type Answer =
  | { readonly number: number; readonly ended: readonly Ended[] }
  | { readonly number: number; readonly daemon: number | null }
  | { readonly number: number; readonly failed: string }
