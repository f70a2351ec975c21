import { connectionStoreContract } from './contract/connection-store-contract.ts'
import { sqliteBackend } from './contract/sqlite-backend.ts'

connectionStoreContract('sqlite', sqliteBackend)
