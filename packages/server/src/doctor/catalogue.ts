/** Every finding that doctor can have, area by area, in the order in which they are told. `docs/doctor.md` repeats it. */
import { CLIENTS } from './clients.ts'
import { CLOCK } from './clock.ts'
import { CONFIGURATION } from './configuration.ts'
import { CONNECTIONS } from './connections.ts'
import { DATABASE } from './database.ts'
import type { Kind } from './finding.ts'
import { FOLDER } from './folder.ts'
import { KEYS } from './keys.ts'
import { LOOKS } from './looks.ts'
import { PROCESSES } from './processes.ts'
import { PROGRAM } from './program.ts'
import { PROVIDERS } from './providers.ts'
import { SERVER } from './server.ts'

export const CATALOGUE = {
  program: PROGRAM,
  configuration: CONFIGURATION,
  key: KEYS,
  folder: FOLDER,
  processes: PROCESSES,
  database: DATABASE,
  server: SERVER,
  clock: CLOCK,
  providers: PROVIDERS,
  clients: CLIENTS,
  connections: CONNECTIONS,
  doctor: LOOKS,
} as const

export type Area = keyof typeof CATALOGUE
export const AREAS = Object.keys(CATALOGUE) as readonly Area[]

/** The code of each finding, by which programs tell them apart. */
export type FindingCode = { [Each in Area]: keyof (typeof CATALOGUE)[Each] }[Area]

export const kindsOf = (area: Area): readonly (readonly [string, Kind])[] => Object.entries(CATALOGUE[area])
