import type { AuditReading } from './audit.ts'
import type { ConnectFailure, ConnectionInfo, Incarnation } from '@tokenkeep/core'
import type { Adopted, ConnectSessionInput, Events, FollowOptions, RecordedEvent, Tokenkeep } from '@tokenkeep/node'

/** What commands need of a Tokenkeep, wherever it is: in this process on a data folder, or behind a server's HTTP API. */
export interface Keeper extends Pick<
  Tokenkeep,
  | 'providers'
  | 'clients'
  | 'handOuts'
  | 'refreshes'
  | 'token'
  | 'rejected'
  | 'introspect'
  | 'close'
  | typeof Symbol.asyncDispose
> {
  /** Whether it is on hold. */
  incarnation(): Promise<Pick<Incarnation, 'hold'>>
  readonly audit: AuditReading
  adopt(): Promise<Pick<Adopted, 'wasOnHold' | 'inDoubt'>>
  readonly connections: Omit<Tokenkeep['connections'], 'logout' | 'overview' | 'label'> & {
    label(id: string, changes: Readonly<Record<string, string | null>>): Promise<ConnectionInfo>
  }
  readonly events: Pick<Events, 'list'> & {
    follow(options?: Omit<FollowOptions, 'after'>): AsyncIterable<RecordedEvent>
  }
  readonly apiKeys: Omit<Tokenkeep['apiKeys'], 'get'>
  readonly localRefreshTokens: Omit<Tokenkeep['localRefreshTokens'], 'get'>
}

/** What a server does beside: it has pages on which a person signs in. */
export interface ServerKeeper extends Keeper {
  readonly connectSessions: {
    create(
      input: ConnectSessionInput,
    ): Promise<{ readonly id: string; readonly provider: string; readonly connection: string; readonly url: string }>
    get(id: string): Promise<{ readonly status: ConnectStatus; readonly failure: ConnectFailure | null }>
  }
}

export type ConnectStatus = 'open' | 'signing_in' | 'exchanging' | 'connected' | 'expired'
