/**
 * A folder, a database and a strict authorization server in a process of its own: what the managers of one scenario share.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { spawnDevserver, type RealmOptions, type SessionSeed, type SpawnedDevserver } from '@tokenkeep/devserver'
import { openTokenkeep, type OpenOptions, type ProviderInput, type Tokenkeep } from '@tokenkeep/node'
import { spawnManager, type ManagerProcess } from '../packages/node/test/fixtures/manager-process.ts'
import { makeDatabase, type Database, type DatabaseKind } from './database.ts'

// On the disk of the clone: in a folder in memory a sync would cost nothing, and a full disk would be another.
const SCRATCH = fileURLToPath(new URL('../node_modules/.cache/tokenkeep-prove', import.meta.url))
const REALM = 'external'
const CLIENT_SECRET = 'prove-client-secret'

export interface PlaceOptions {
  readonly database: DatabaseKind
  readonly realm?: Partial<RealmOptions>
  readonly provider?: Partial<ProviderInput>
  /** The database lies on a small disk of its own, which can be filled up, or has a server of its own. */
  readonly small?: boolean
}

/** A sign-in that was imported. */
export interface SignIn {
  readonly id: string
  readonly sessionId: string
  /** The end of the imported access token, epoch milliseconds; null where none was imported. */
  readonly expiresAt: number | null
}

export interface Place extends AsyncDisposable {
  readonly folder: string
  readonly database: Database
  readonly server: SpawnedDevserver
  readonly realm: string
  /** Where managers keep their locks and slots. */
  readonly stateFolder: string
  /** What each manager here is opened with. */
  readonly options: Omit<OpenOptions, 'onEvent'>
  /**
   * Signs in `count` users and imports their tokens.
   *
   * @param withAccessToken false: the first call for each refreshes
   */
  connect(count: number, withAccessToken: boolean, seed?: Partial<SessionSeed>): Promise<readonly SignIn[]>
  /** Starts a manager in a process of its own. */
  start(options?: Partial<OpenOptions>): Promise<ManagerProcess>
  /** Starts the program of one, which opens nothing until it is told. */
  spawn(): ManagerProcess
  /** Opens Tokenkeep in this process for as long as `work` takes, without work of its own in the background. */
  use<Value>(work: (keep: Tokenkeep) => Promise<Value>): Promise<Value>
}

export async function openPlace({
  database: kind,
  realm = {},
  provider = {},
  small = false,
}: PlaceOptions): Promise<Place> {
  await mkdir(SCRATCH, { recursive: true })
  const folder = await mkdtemp(join(SCRATCH, 'place-'))
  const database = await makeDatabase(kind, folder, { small })
  const server = await spawnDevserver({
    realms: [
      {
        name: REALM,
        refreshTokenSeconds: 0,
        ...realm,
        clients: [{ clientId: 'app', clientSecret: CLIENT_SECRET, tokenEndpointAuthMethod: 'client_secret_post' }],
      },
    ],
  })
  const options = { ...database.options, keyFile: join(folder, 'configuration', 'tokenkeep.key') }
  const started: ManagerProcess[] = []
  const spawn = (): ManagerProcess => {
    const manager = spawnManager()
    started.push(manager)
    return manager
  }
  let signIns = 0
  const use: Place['use'] = async (work) => {
    await using keep = await openTokenkeep({ ...options, background: false })
    return await work(keep)
  }
  await use(async (keep) => {
    await keep.providers.put({
      id: REALM,
      tokenEndpoint: server.tokenEndpoint(REALM),
      narrowing: 'token_only',
      ...provider,
    })
    await keep.clients.put({
      id: 'app',
      provider: REALM,
      clientId: 'app',
      clientSecret: CLIENT_SECRET,
      tokenEndpointAuthMethod: 'client_secret_post',
    })
  })
  return {
    folder,
    database,
    server,
    realm: REALM,
    stateFolder: database.stateFolder,
    options,
    use,
    async connect(count, withAccessToken, seed = {}) {
      return use(async (keep) => {
        const made: SignIn[] = []
        for (let n = 0; n < count; n += 1) {
          signIns += 1
          const id = `dealer-${signIns}`
          const session = await server.control.seedSession(REALM, { clientId: 'app', ...seed })
          const expiresAt = withAccessToken ? Date.now() + session.expiresIn * 1000 : null
          await keep.connections.import({
            id,
            client: 'app',
            refreshToken: session.refreshToken ?? '',
            scope: session.scope,
            ...(expiresAt === null ? {} : { accessToken: session.accessToken, expiresAt }),
          })
          made.push({ id, sessionId: session.sessionId, expiresAt })
        }
        return made
      })
    },
    async start(more = {}) {
      const manager = spawn()
      await manager.tell({ do: 'open', options: { ...options, ...more } })
      return manager
    },
    spawn,
    async [Symbol.asyncDispose]() {
      for (const manager of started) await manager[Symbol.asyncDispose]()
      await server.stop()
      await database[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
