/** What every connection store must do, whatever its database. Run for each: `connectionStoreContract(name, make)`. */
import { describe } from 'node:test'
import { actsContract } from './acts-contract.ts'
import { answersContract } from './answers-contract.ts'
import { attemptsContract } from './attempts-contract.ts'
import { dpopKeysContract } from './dpop-keys-contract.ts'
import { eventsContract } from './events-contract.ts'
import { noticesContract } from './notices-contract.ts'
import { holdContract } from './hold-contract.ts'
import { labelsContract } from './labels-contract.ts'
import { listsContract } from './lists-contract.ts'
import { overviewContract } from './overview-contract.ts'
import { readingContract } from './reading-contract.ts'
import { registryContract } from './registry-contract.ts'
import { sessionsContract } from './sessions-contract.ts'
import { siblingsContract } from './siblings-contract.ts'
import type { MakeBackend } from './store-world.ts'

export function connectionStoreContract(name: string, make: MakeBackend): void {
  describe(`${name}: reading`, () => readingContract(make))
  describe(`${name}: lists`, () => listsContract(make))
  describe(`${name}: labels`, () => labelsContract(make))
  describe(`${name}: overview`, () => overviewContract(make))
  describe(`${name}: attempts`, () => attemptsContract(make))
  describe(`${name}: answers`, () => answersContract(make))
  describe(`${name}: siblings`, () => siblingsContract(make))
  describe(`${name}: sessions`, () => sessionsContract(make))
  describe(`${name}: acts`, () => actsContract(make))
  describe(`${name}: keys that tokens are bound to`, () => dpopKeysContract(make))
  describe(`${name}: hold and adoption`, () => holdContract(make))
  describe(`${name}: recorded events`, () => eventsContract(make))
  describe(`${name}: notices`, () => noticesContract(make))
  describe(`${name}: providers and clients`, () => registryContract(make))
}
