import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { postgresReceivedEvents } from '../src/postgres-received-events.ts'
import { lacksPostgres, openDatabase, postgresBackend } from './contract/postgres-backend.ts'
import { receivedEventsContract } from './contract/received-events.ts'

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null) {
  receivedEventsContract(async () => {
    const backend = await postgresBackend()
    return {
      ...backend,
      openReceivedEvents: async () => {
        const database = await openDatabase(backend.url, backend.keys)
        return { rows: postgresReceivedEvents(database), close: () => database.close() }
      },
    }
  })
}
