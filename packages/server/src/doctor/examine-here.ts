/** Looks at the installation of this machine, stage by stage: what later looks need is looked at first. */
import { existsSync, statSync } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import process from 'node:process'
import { TokenError, type Client, type Provider } from '@tokenkeep/core'
import {
  defaultFolders,
  examineInstallation,
  nameOfPostgres,
  type Examination,
  type Metadata,
  type MetadataSeen,
} from '@tokenkeep/node'
import type { Context } from '../cli/context.ts'
import { findPlace, openOptionsOf, type Place } from '../cli/place.ts'
import { readConfiguration, type Configuration } from '../serve/configuration.ts'
import { askServer } from './ask-server.ts'
import { clientsLeft, judgeClient, noClient } from './clients.ts'
import { judgeClocks, type OtherClock } from './clock.ts'
import { judgeConfiguration } from './configuration.ts'
import { judgeConnections } from './connections.ts'
import { judgeCheck, judgeDatabase, type Looked } from './database.ts'
import type { Finding } from './finding.ts'
import { folderUnseen, judgeFolder } from './folder.ts'
import { judgeKeys, judgeKeysOfDatabase } from './keys.ts'
import { eachOf, type Looks } from './looks.ts'
import { judgeProcesses, stateUnusable } from './processes.ts'
import { judgeProgram } from './program.ts'
import { judgeProvider, noProvider, providersLeft } from './providers.ts'
import { unlessRefused } from './refusal.ts'
import { judgeServer } from './server.ts'

export interface Asked {
  /** Those of `serve`, as commander has them. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly offline: boolean
  /** The database is read through however large it is. */
  readonly quickCheck: boolean
  readonly version: string
}

/** Each look has its own end, and the stages follow one another: what the first ones took is not left for the last. */
const ALL_MS = 18_000
const LOCAL_MS = 3_000
/** Longer than a session of Postgres takes to be refused, which says more. */
const DATABASE_MS = 6_000
const NETWORK_MS = 11_000
const NETWORK_LEAST_MS = 3_000
/** Within the last stage. */
const PROVIDER_MS = 5_000
const QUESTION_MS = 2_500
const CHECK_MS = 9_000
/** A disk reads this in a second or two, and a server that works on it hardly notices. */
const CHECK_BYTES_MOST = 256 * 1024 * 1024
const CHECK_ASKED_MS = 600_000
const PROVIDERS_AT_ONCE = 16
const CLIENTS_AT_ONCE = 8
/** Each is asked a question or two, which a provider may count. */
const CLIENTS_MOST = 100

/** How long `examineHere` may take at most, milliseconds. */
export const hereMs = ({ quickCheck }: Pick<Asked, 'quickCheck'>): number => ALL_MS + (quickCheck ? CHECK_ASKED_MS : 0)

export async function examineHere({ around, options }: Context, asked: Asked, looks: Looks): Promise<void> {
  const { findings, look } = looks
  const { environment } = around
  const add = (found: readonly Finding[] | null): void => void findings.push(...(found ?? []))

  add(await look('the environment', LOCAL_MS, () => program(asked, environment)))
  const read = await look('the settings of `serve`', LOCAL_MS, () =>
    readConfiguration({ ...asked.flags, ...options }, around),
  )
  if (read === null) return
  const configuration = read.kind === 'read' ? read.configuration : null
  const said = read.kind === 'read' ? read.configuration.place : read.place
  const found =
    said === null
      ? 'the setting that says it is mistaken'
      : placeBy(() => findPlace(said, around, () => defaultFolders().data))
  add(
    await look('the settings of `serve`', LOCAL_MS, async () =>
      judgeConfiguration({
        mistakes: read.kind === 'mistaken' ? read.mistakes : [],
        configuration,
        place: typeof found === 'string' ? { unclear: found } : nameOf(found),
        environment,
        tlsKeyMode: configuration?.listen.tls === undefined ? null : await modeOf(tlsKeyFile(asked, around)),
        now: around.now(),
      }),
    ),
  )
  if (typeof found === 'string') return

  const place = found
  await using examination = await examineInstallation({ ...openOptionsOf(place), environment })
  await examine({ examination, place, configuration, asked, looks, environment })
}

async function program({ version }: Asked, environment: Context['around']['environment']): Promise<readonly Finding[]> {
  const extra = environment['NODE_EXTRA_CA_CERTS']
  const failed = extra ? await access(extra, constants.R_OK).then(() => null, codeOf) : null
  return judgeProgram({ version, node: process.versions.node, environment, extraCertificatesFailed: failed })
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'

function placeBy(find: () => Place): Place | string {
  try {
    return find()
  } catch (error) {
    if (error instanceof TokenError) return error.message
    throw error
  }
}

const nameOf = ({ folder, postgres }: Place): string =>
  postgres === undefined ? folder : `${nameOfPostgres(postgres)}, locks and slots in ${folder}`

/** The same file as `serve` reads, where it is named outside of the configuration file. */
function tlsKeyFile({ flags }: Asked, { environment, folder }: Context['around']): string | null {
  const flag = flags['tlsKeyFile']
  const named = typeof flag === 'string' ? flag : environment['TOKENKEEP_TLS_KEY_FILE']
  return named ? resolve(folder, named) : null
}

const modeOf = async (path: string | null): Promise<number | null> =>
  path === null || process.platform === 'win32' ? null : (await stat(path)).mode & 0o777

// ---- the installation ----------------------------------------------------------------------------------------------

interface Examining {
  readonly examination: Examination
  readonly place: Place
  readonly configuration: Configuration | null
  readonly asked: Asked
  readonly looks: Looks
  readonly environment: Context['around']['environment']
}

async function examine(of: Examining): Promise<void> {
  const { examination, place, looks, asked } = of
  const { findings, look } = looks
  const { clock } = examination
  const begun = clock.now()
  const others: OtherClock[] = []

  const fileThere = place.postgres === undefined && (sizeOf(place.database) ?? 0) > 0
  const keys = await look('the master key', LOCAL_MS, () => unlessRefused(() => examination.keys()))
  const databaseLooked = look('the database', DATABASE_MS, () => unlessRefused(() => examination.database()))
  await look(`the folder ${examination.folder}`, LOCAL_MS, async () => {
    findings.push(...(await folders(examination, place, sizeOf(place.database) ?? 0)))
  })
  const database = await databaseLooked
  const there = fileThere || (database !== null && !('none' in database))

  if (keys !== null) {
    const variableNotUsed = place.keyFile !== undefined && Boolean(of.environment['TOKENKEEP_KEY'])
    findings.push(...judgeKeys({ keys, besideData: place.keyBesideData, databaseThere: there, variableNotUsed }))
  }
  let checking: Promise<unknown> = Promise.resolve()
  if (database !== null) {
    findings.push(...judgeDatabase(database, existsSync(`${place.database}.state`)))
    if ('version' in database) findings.push(...judgeKeysOfDatabase(database))
    const postgres = 'refused' in database ? null : database.postgres
    if (postgres !== null) others.push({ other: 'Postgres', differenceMs: postgres.clockMs })
    if (fileThere && 'version' in database) checking = check(of)
  }
  await look('the processes of this host', LOCAL_MS, () => processes(of, database))
  const opened = database !== null && 'version' in database
  const leftMs = ALL_MS - (clock.now().mono - begun.mono)
  const networkMs = Math.max(NETWORK_LEAST_MS, Math.min(NETWORK_MS, leftMs))
  await Promise.all([
    checking,
    look('the server of these settings', networkMs, () => serverHere(of)),
    ...(opened
      ? [
          look('the connections', DATABASE_MS, async () => {
            findings.push(...judgeConnections(await examination.connections()))
          }),
          look('the providers', networkMs, () => providers(of, others, networkMs)),
        ]
      : []),
  ])
  const now = clock.now()
  findings.push(
    ...judgeClocks({
      others,
      jumpedMs: now.wall - begun.wall - (now.mono - begun.mono),
      databaseAheadMs: opened ? (database.sqlite?.aheadMs ?? 0) : 0,
      offline: asked.offline,
    }),
  )
}

async function folders(examination: Examination, place: Place, bytes: number): Promise<readonly Finding[]> {
  const of = async (path: string, size: number): Promise<readonly Finding[]> => {
    try {
      return judgeFolder(await examination.lookAtFolder(path), size)
    } catch (error) {
      return [folderUnseen(path, codeOf(error))]
    }
  }
  const own = await of(examination.folder, bytes)
  // Made anew it lies beside the database; one that is there can be a mount or a link to anywhere.
  const state = `${place.database}.state`
  const beside = place.postgres === undefined && existsSync(state) ? await of(state, 0) : []
  return [...own, ...beside.filter(({ is, code }) => is !== 'ok' && own.every((each) => each.code !== code))]
}

async function processes({ examination, place, looks }: Examining, database: Looked | null): Promise<void> {
  const { findings } = looks
  const here = place.postgres === undefined
  // The folder on this host is named after the installation.
  if (!here && (database === null || !('version' in database))) return
  if (here && !existsSync(`${place.database}.state`)) return
  const state = await unlessRefused(() => examination.state())
  findings.push(...('refused' in state ? [stateUnusable(state.refused.message)] : judgeProcesses(state)))
}

async function check({ examination, place, asked, looks }: Examining): Promise<void> {
  const { quickCheck } = asked
  if (!quickCheck && (sizeOf(place.database) ?? 0) > CHECK_BYTES_MOST)
    return void looks.findings.push(...judgeCheck('too_large', 0))
  const withinMs = quickCheck ? CHECK_ASKED_MS : CHECK_MS
  await looks.look('the content of the database', withinMs + 1_000, async () => {
    looks.findings.push(...judgeCheck(await examination.checkDatabase(withinMs), withinMs))
  })
}

const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size

// ---- the network ---------------------------------------------------------------------------------------------------

async function serverHere({ configuration, asked, looks, examination }: Examining): Promise<void> {
  if (asked.offline || configuration === null || configuration.listen.port === 0) return
  const { host, port, tls } = configuration.listen
  const url = `${tls === undefined ? 'http' : 'https'}://${callable(host)}:${port}`
  const now = (): number => examination.clock.now().wall
  // Its certificate is for the name by which callers know it, and not for this address.
  const seen = await askServer({ url, certificate: 'own', now, withinMs: QUESTION_MS })
  looks.findings.push(...judgeServer({ url, which: 'here', seen, own: asked.version, now: now() }))
}

function callable(host: string): string {
  if (host === '0.0.0.0' || host === 'localhost') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

async function providers(of: Examining, others: OtherClock[], withinMs: number): Promise<void> {
  const { examination, asked, looks } = of
  const { findings, look } = looks
  const now = (): number => examination.clock.now().wall
  const mono = (): number => examination.clock.now().mono
  const untilMs = mono() + withinMs - PROVIDER_MS
  const all = await examination.providers()
  const clients = await examination.clients()
  if (all.length === 0) findings.push(noProvider())
  if (clients.length === 0) findings.push(noClient())
  const said = new Map<string, MetadataSeen | null>()
  const reached = new Set<string>()
  if (!asked.offline) {
    const { left } = await eachOf(all, { most: PROVIDERS_AT_ONCE, untilMs, now: mono }, async (provider) => {
      await look(`the provider ${provider.id}`, PROVIDER_MS, async () => {
        const seen = await examination.askProvider(provider, PROVIDER_MS - 500)
        findings.push(...judgeProvider(provider, seen, now()))
        said.set(provider.id, seen.metadata)
        if (seen.tokenEndpoint.failed === null) reached.add(provider.id)
        const clockMs = seen.metadata?.clockMs ?? null
        if (clockMs !== null) others.push({ other: provider.id, differenceMs: clockMs })
      })
    })
    if (left > 0) findings.push(providersLeft(left, all.length))
  }
  const byId = new Map(all.map((provider) => [provider.id as string, provider]))
  const some = clients.slice(0, CLIENTS_MOST)
  const { left } = await eachOf(some, { most: CLIENTS_AT_ONCE, untilMs, now: mono }, (client) =>
    look(`the client ${client.id}`, PROVIDER_MS, () =>
      oneClient(of, client, { provider: byId.get(client.provider), said, reached }),
    ).then(() => undefined),
  )
  if (left + clients.length - some.length > 0)
    findings.push(clientsLeft(left + clients.length - some.length, clients.length))
}

async function oneClient(
  { examination, asked, looks }: Examining,
  client: Client,
  of: {
    readonly provider: Provider | undefined
    readonly said: ReadonlyMap<string, MetadataSeen | null>
    readonly reached: ReadonlySet<string>
  },
): Promise<void> {
  const { provider, said, reached } = of
  if (provider === undefined) return
  const online = !asked.offline
  // Whoever did not take a connection a moment ago would only be waited for once more.
  const how = online && reached.has(provider.id) ? 'online' : 'offline'
  const seen = await examination.askAsClient(client, provider, how, QUESTION_MS)
  const had = said.get(provider.id)
  const metadata = had !== undefined && had !== null && 'endpoints' in had.says ? had.says : null
  const hasEndpoint = how === 'online' ? endpointOf(provider, metadata) : null
  const now = examination.clock.now().wall
  looks.findings.push(...judgeClient({ client, seen, metadata, hasEndpoint, online, now }))
}

/** Null: its metadata would say it, and were not had. */
function endpointOf(provider: Provider, metadata: Metadata | null): boolean | null {
  const kept = provider.introspectionEndpoint ?? provider.revocationEndpoint
  const said = metadata?.endpoints.introspectionEndpoint ?? metadata?.endpoints.revocationEndpoint
  if (kept !== null || said !== undefined) return true
  return provider.issuer === null || metadata !== null ? false : null
}
