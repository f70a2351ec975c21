import type { ConnectionRow, Uid } from '@tokenkeep/core'
import { createMemory, createMemoryStore, type Memory } from '../src/store-memory.ts'
import { connectionStoreContract } from './contract/connection-store-contract.ts'
import { newKeyring, type Backend } from './contract/store-world.ts'

async function memoryBackend(): Promise<Backend> {
  const memory = createMemory()
  return {
    installation: 'in memory',
    keys: newKeyring(),
    open: async (parts, bootNow) => createMemoryStore({ ...parts, memory, bootNow }),
    swapRefreshTokens: async (one, other) => {
      const [a, b] = [rowOf(memory, one), rowOf(memory, other)]
      memory.rows.set(one, withSealed(a, b))
      memory.rows.set(other, withSealed(b, a))
    },
    end: async () => undefined,
  }
}

function rowOf(memory: Memory, uid: Uid): ConnectionRow {
  const row = memory.rows.get(uid)
  if (row === undefined) throw new Error('no such row')
  return row
}

const withSealed = (row: ConnectionRow, from: ConnectionRow): ConnectionRow => ({
  ...row,
  refreshToken: row.refreshToken && {
    ...row.refreshToken,
    sealed: from.refreshToken?.sealed ?? row.refreshToken.sealed,
  },
})

connectionStoreContract('memory', memoryBackend)
