import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { postgresCallers } from '../src/postgres-callers.ts'
import { callersContract } from './contract/callers.ts'
import type { CallersBackend } from './contract/callers-world.ts'
import { lacksPostgres, openDatabase, postgresBackend } from './contract/postgres-backend.ts'

/** A new schema for each call; every opening is one of its own, as each process has it. */
async function postgresCallersBackend(): Promise<CallersBackend> {
  const backend = await postgresBackend()
  return {
    ...backend,
    openCallers: async () => {
      const database = await openDatabase(backend.url, backend.keys)
      return { rows: postgresCallers(database), close: () => database.close() }
    },
  }
}

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null) callersContract('postgres', postgresCallersBackend)
