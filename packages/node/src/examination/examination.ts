/** One examination of one installation: what there is to look at, each by itself. */
import { dirname, join, resolve } from 'node:path'
import { ms, NUMBERS, type Client, type Clock, type Provider, type Random, type Registry } from '@tokenkeep/core'
import { createBootClock } from '../boot.ts'
import { createAesGcmCipher } from '../cipher-aes-gcm.ts'
import { createSystemClock } from '../clock-system.ts'
import { defaultFolders } from '../default-folders.ts'
import type { Keyring } from '../keyring.ts'
import { createMarkers, markerFolders } from '../markers.ts'
import { createProviderAccess } from '../provider-access.ts'
import { createSystemRandom } from '../random-system.ts'
import { registry as registryOver } from '../registry.ts'
import type { OpenOptions } from '../tokenkeep.ts'
import { askAsClient } from './ask-as-client.ts'
import { askProvider, type ProviderSeen } from './ask-provider.ts'
import { checkSqlite, type Checked } from './check-sqlite.ts'
import { countConnections } from './count-connections.ts'
import { lookAtFolder } from './look-at-folder.ts'
import { lookAtKeys } from './look-at-keys.ts'
import { lookAtState } from './look-at-state.ts'
import { lookIntoSqlite } from './look-into-sqlite.ts'
import type { Reading } from './reading.ts'
import type {
  ClientSeen,
  ConnectionsSeen,
  DatabaseSeen,
  FolderSeen,
  KeysSeen,
  PostgresSeen,
  StateSeen,
} from './seen.ts'

export interface ExaminationOptions extends Pick<
  OpenOptions,
  'path' | 'postgres' | 'stateFolder' | 'keyFile' | 'keyBesideData'
> {
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface Examination extends AsyncDisposable {
  readonly clock: Clock
  /** The folder of the data; with Postgres, that of this host's locks and slots. */
  readonly folder: string
  /** @throws TokenError `key_missing`, `key_wrong`, `invalid_input` as opening does */
  keys(): Promise<KeysSeen>
  /** Of the data folder where none is named. */
  lookAtFolder(path?: string): Promise<FolderSeen>
  /**
   * Opens the database for reading, and keeps it open. Whoever wants to know about its key looks at `keys` before.
   *
   * @returns `none`: there is no database, or Postgres without our tables
   * @throws TokenError as opening does
   */
  database(): Promise<DatabaseSeen | { readonly none: string; readonly postgres: PostgresSeen | null }>
  /** Locks and slots of this host. Of Postgres only after `database`, which names the installation. */
  state(): Promise<StateSeen>
  /** Reads a SQLite file through, in a process of its own. */
  checkDatabase(withinMs: number): Promise<Checked>
  /** What follows is there only after `database`. */
  providers(): Promise<readonly Provider[]>
  clients(): Promise<readonly Client[]>
  connections(): Promise<ConnectionsSeen>
  askProvider(provider: Provider, withinMs: number): Promise<ProviderSeen>
  /** @param how `offline`: only what is kept here is looked at */
  askAsClient(client: Client, provider: Provider, how: 'online' | 'offline', withinMs: number): Promise<ClientSeen>
}

export function createExamination(options: ExaminationOptions): Examination {
  const { path, postgres, environment } = options
  const clock = createSystemClock()
  const random = createSystemRandom()
  const access = createProviderAccess({ clock })
  const folder = folderOf(options)
  let ring: Keyring | null = null
  let reading: Reading | null = null
  const opened = (): Reading => {
    if (reading === null) throw new Error('the database has to be looked into first')
    return reading
  }
  const state = (): string => {
    if (path !== undefined) return `${resolve(path)}.state`
    return join(folder, `postgres-${opened().installation}`)
  }
  const markersOf = (stateFolder: string, name: string) =>
    createMarkers({ folders: markerFolders(options, stateFolder), database: name })

  return {
    clock,
    folder,
    async keys() {
      const looked = await lookAtKeys(options, folder, environment)
      ring = looked.ring
      return looked.seen
    },
    lookAtFolder: (named = folder) => lookAtFolder(named, clock),
    async database() {
      if (postgres !== undefined) {
        const { lookIntoPostgres } = await import('./look-into-postgres.ts')
        const markers = (installation: string, name: string) =>
          markersOf(join(folder, `postgres-${installation}`), name).read(installation)
        const looked = await lookIntoPostgres({ url: postgres, ring, markers, clock })
        reading = looked.reading
        if (reading !== null) return reading.seen
        await looked.close()
        return { none: looked.name, postgres: looked.server }
      }
      const file = resolve(path ?? '')
      const boot = createBootClock()
      reading = await lookIntoSqlite({
        path: file,
        ring,
        markers: (installation) => markersOf(`${file}.state`, file).read(installation),
        clock,
        random,
        bootNow: () => boot.now(),
        leaseMs: NUMBERS.leaseMs,
      })
      return reading === null ? { none: file, postgres: null } : reading.seen
    },
    state: async () => lookAtState(state()),
    checkDatabase: (withinMs) => checkSqlite(resolve(path ?? ''), withinMs),
    providers: async () => opened().rows.providers(),
    clients: async () => opened().rows.clients(),
    connections: async () => countConnections(opened(), clock.now().wall),
    askProvider: (provider, withinMs) => askProvider(provider, { clock, discovery: access.discovery }, ms(withinMs)),
    async askAsClient(client, provider, how, withinMs) {
      const parts = {
        access,
        registry: registryOf(opened(), { ring, random, clock }),
        random,
        online: how === 'online',
      }
      return askAsClient(client, provider, parts, ms(withinMs))
    },
    async [Symbol.asyncDispose]() {
      await reading?.close()
      reading = null
    },
  }
}

function folderOf({ path, stateFolder }: ExaminationOptions): string {
  if (path !== undefined) return dirname(resolve(path))
  return stateFolder === undefined ? defaultFolders().data : resolve(stateFolder)
}

/** Without a key nothing opens, and that is what is said then. */
function registryOf(
  { rows, installation }: Reading,
  { ring, random, clock }: { readonly ring: Keyring | null; readonly random: Random; readonly clock: Clock },
): Pick<Registry, 'client' | 'clientKeys'> {
  const locked = { open: () => 'no_key', sealer: () => Promise.reject(new Error('an examination seals nothing')) }
  const cipher =
    ring === null
      ? (locked as unknown as ReturnType<typeof createAesGcmCipher>)
      : createAesGcmCipher({ installation, keys: ring })
  return registryOver(rows, { cipher, random, clock })
}
