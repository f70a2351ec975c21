import { test } from 'node:test'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { connectionStoreContract } from './contract/connection-store-contract.ts'
import { lacksPostgres, postgresBackend } from './contract/postgres-backend.ts'

test('there is a Postgres for the contract', (t) => void lacksPostgres(t))
if (postgresMissing() === null) connectionStoreContract('postgres', postgresBackend)
