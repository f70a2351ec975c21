/**
 * A real Postgres server for tests: started by the process that needs it, from binaries that `npm ci` brings, and gone
 * with that process. Imports nothing of ours.
 */
export { postgresMissing } from './binaries.ts'
export { freePort, startPostgres, type PostgresServer, type StartOptions } from './server.ts'
