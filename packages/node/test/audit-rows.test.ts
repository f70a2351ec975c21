import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { postgresAudit } from '../src/postgres-audit.ts'
import { sqliteAudit } from '../src/sqlite-audit.ts'
import { auditContract } from './contract/audit-contract.ts'
import { lacksPostgres, openDatabase as openPostgres, postgresBackend } from './contract/postgres-backend.ts'
import { newFolder, openDatabase } from './contract/sqlite-backend.ts'
import { newKeyring } from './contract/store-world.ts'

auditContract('sqlite', async () => {
  const folder = await newFolder()
  const keys = newKeyring()
  return {
    open: async () => {
      const database = await openDatabase(folder.database, keys)
      return { rows: sqliteAudit(database), close: () => database.close() }
    },
    end: () => folder.remove(),
  }
})

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null)
  auditContract('postgres', async () => {
    const backend = await postgresBackend()
    return {
      open: async () => {
        const database = await openPostgres(backend.url, backend.keys)
        return { rows: postgresAudit(database), close: () => database.close() }
      },
      end: () => backend.end(),
    }
  })
