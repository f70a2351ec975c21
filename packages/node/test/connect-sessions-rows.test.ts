import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { postgresConnectSessions } from '../src/postgres-connect-sessions.ts'
import { sqliteConnectSessions } from '../src/sqlite-connect-sessions.ts'
import { connectSessionsContract } from './contract/connect-sessions-contract.ts'
import { lacksPostgres, openDatabase as openPostgres, postgresBackend } from './contract/postgres-backend.ts'
import { newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

connectSessionsContract('sqlite', async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  return {
    open: async () => {
      const database = await openDatabase(folder.database, keys)
      return { rows: sqliteConnectSessions(database), close: () => database.close() }
    },
    end: () => folder.remove(),
  }
})

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null)
  connectSessionsContract('postgres', async () => {
    const backend = await postgresBackend()
    return {
      open: async () => {
        const database = await openPostgres(backend.url, backend.keys)
        return { rows: postgresConnectSessions(database), close: () => database.close() }
      },
      end: () => backend.end(),
    }
  })
