import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { postgresMinutes } from '../src/postgres-minutes.ts'
import { sqliteMinutes } from '../src/sqlite-minutes.ts'
import { minutesContract } from './contract/minutes-contract.ts'
import { lacksPostgres, openDatabase as openPostgres, postgresBackend } from './contract/postgres-backend.ts'
import { backendOn, newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

minutesContract('sqlite', async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  return {
    ...(await backendOn(folder.database, keys, folder.remove)),
    openMinutes: async () => {
      const database = await openDatabase(folder.database, keys)
      return { rows: sqliteMinutes(database), close: () => database.close() }
    },
  }
})

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null)
  minutesContract('postgres', async () => {
    const backend = await postgresBackend()
    return {
      ...backend,
      openMinutes: async () => {
        const database = await openPostgres(backend.url, backend.keys)
        return { rows: postgresMinutes(database), close: () => database.close() }
      },
    }
  })
