/** What callers must do, whatever database keeps them. Run for each: `callersContract(name, make)`. */
import { describe } from 'node:test'
import { apiKeysContract } from './api-keys-contract.ts'
import type { MakeCallersBackend } from './callers-world.ts'
import { identitiesContract } from './identities-contract.ts'
import { localRefreshTokensContract } from './local-refresh-tokens-contract.ts'
import { sourcesContract } from './sources-contract.ts'

export function callersContract(name: string, make: MakeCallersBackend): void {
  describe(`${name}: API keys`, () => apiKeysContract(make))
  describe(`${name}: sources and labels`, () => sourcesContract(make))
  describe(`${name}: trusted identities`, () => identitiesContract(make))
  describe(`${name}: local refresh tokens`, () => localRefreshTokensContract(make))
}
