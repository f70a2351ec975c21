import type { Incarnation } from '@tokenkeep/core'
import type { Adopted, Tokenkeep } from '@tokenkeep/node'

/** What commands need of a Tokenkeep, wherever it is: in this process on a data folder, or behind a server's HTTP API. */
export interface Keeper extends Pick<
  Tokenkeep,
  'providers' | 'clients' | 'token' | 'rejected' | 'introspect' | 'close' | typeof Symbol.asyncDispose
> {
  /** Whether it is on hold. */
  incarnation(): Promise<Pick<Incarnation, 'hold'>>
  adopt(): Promise<Pick<Adopted, 'wasOnHold' | 'inDoubt'>>
  readonly connections: Omit<Tokenkeep['connections'], 'logout'>
  readonly apiKeys: Omit<Tokenkeep['apiKeys'], 'get'>
  readonly localRefreshTokens: Omit<Tokenkeep['localRefreshTokens'], 'get'>
}
