/** `tokenkeep serve`: the data folder of this machine, over HTTP, until a signal. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createSystemClock, defaultFolders, nameOfPostgres, openTokenkeep, type Tokenkeep } from '@tokenkeep/node'
import { holdWords } from '../cli/hold-words.ts'
import type { Context } from '../cli/context.ts'
import { EXIT, type ExitCode } from '../cli/exit-codes.ts'
import { plainError } from '../cli/failure.ts'
import { findPlace, openOptionsOf, type Place, type PlaceOptions } from '../cli/place.ts'
import { shellWord } from '../cli/printable.ts'
import type { Surroundings } from '../cli/surroundings.ts'
import { pairs } from '../cli/table.ts'
import { createApp } from '../http/app.ts'
import type { Log } from '../http/log.ts'
import { isLoopback, readConfiguration, type Configuration } from './configuration.ts'
import { eventLog } from './event-log.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics-prometheus.ts'
import { endOrderly } from './orderly-end.ts'

export interface ServeArguments {
  /** As commander has them. */
  readonly flags: Readonly<Record<string, unknown>>
  /** Of this program. */
  readonly version: string
}

/** @throws TokenError `in_use`, `invalid_input` where nobody can listen there, and what `openTokenkeep` throws */
export async function serve(context: Context, { flags, version }: ServeArguments): Promise<ExitCode> {
  const { around, output, options } = context
  const read = await readConfiguration({ ...flags, ...options }, around)
  if (read.kind === 'mistaken') return refuse(context, read.mistakes)
  const { configuration } = read
  const place = findPlace(configuration.place, around, () => defaultFolders().data)
  const isNew = place.postgres === undefined && !existsSync(place.database)
  if (place.chosenBy === 'dev_folder_here') {
    output.aside(
      `serving the data that \`tokenkeep dev\` made here, in ${place.folder} (--data chooses another folder)`,
    )
  }

  const log = createLog({ level: configuration.logLevel, to: around.complaints })
  const metrics = createMetrics({ version })
  const logged = eventLog(log)
  await using keep = await openTokenkeep({
    ...openOptionsOf(place),
    cacheBytes: configuration.cacheBytes,
    onEvent(event) {
      metrics.heard(event)
      logged(event)
    },
  })
  // Also where telling that it is ready fails: a server that nobody waits for would never end.
  await using app = createApp({ keep, settings: configuration.http, metrics, log, clock: createSystemClock(), version })
  const { url } = await app.listen(configuration.listen)
  log.info({ url, ...whereOf(place), version }, 'serving')
  warnOfPlainHttp(configuration, log)
  const { publicUrl } = configuration.http
  await tellReady(context, { url, place, said: configuration.place, isNew, keep, publicUrl })

  await aborted(around.interruption.signal)
  log.info({ signal: around.interruption.by(), drainMs: configuration.drainMs }, 'stopping')
  output.aside('Stopping: what is on its way is heard out. A second signal ends this at once.')
  await endOrderly({ app, keep, drainMs: configuration.drainMs })
  log.info({}, 'stopped')
  return EXIT.ok
}

function refuse({ output }: Context, mistakes: readonly [string, ...string[]]): ExitCode {
  const [first, ...more] = mistakes
  const head = `the configuration has ${mistakes.length} mistakes, so nothing was started:`
  const lines = more.length === 0 ? [first] : [head, ...mistakes.map((mistake) => `- ${mistake}`)]
  const { error } = plainError('invalid_input', lines.join('\n'))
  output.complain(lines, { error: { ...error, mistakes } })
  return EXIT.input
}

function warnOfPlainHttp({ listen, http }: Configuration, log: Log): void {
  // An https URL says that somebody before us speaks TLS.
  if (listen.tls !== undefined || isLoopback(listen.host) || http.publicUrl?.startsWith('https:') === true) return
  log.warn(
    { host: listen.host },
    'plain http beyond this machine: API keys and tokens can be read on the way. Give --tls-cert-file and ' +
      '--tls-key-file, or let a proxy speak https and name it with --public-url',
  )
}

interface ReadyFacts {
  readonly url: string
  readonly publicUrl: string | null
  readonly place: Place
  /** By flags and the file, which another command does not know of. */
  readonly said: PlaceOptions
  readonly isNew: boolean
  readonly keep: Tokenkeep
}

async function tellReady(
  { output, around }: Context,
  { url, publicUrl, place, said, isNew, keep }: ReadyFacts,
): Promise<void> {
  const { hold } = await keep.incarnation()
  if (output.json) {
    const facts = { ...(publicUrl === null ? {} : { publicUrl }), ...whereOf(place) }
    output.line({ ready: true, url, ...facts, ...(hold === null ? {} : { hold: hold.because }) })
    return
  }
  const facts: (readonly [string, string])[] = [
    ...Object.entries(whereOf(place)).map(([what, where]) => [`  ${what}`, where] as const),
    ['  key', place.keyFile ?? keyElsewhere(around)],
  ]
  if (publicUrl !== null) facts.unshift(['  public URL', publicUrl])
  const lines = [output.colours.bold(`Tokenkeep serves at ${url}`), ...pairs(facts, output.colours.dim)]
  if (hold !== null) lines.push(output.colours.yellow(`It is ${holdWords(hold)}`))
  if (isNew) lines.push('The database was made just now. Keep a copy of its key, and not together with the data.')
  const apiKeys = await keep.apiKeys.list()
  const lives = (end: number | null): boolean => end === null || end > around.now()
  if (!apiKeys.some(({ revokedAt, expiresAt }) => revokedAt === null && lives(expiresAt))) {
    lines.push('No program can use it yet. Make the first key:', `  ${keyCommand(place, said)}`)
  }
  output.text(`${lines.join('\n')}\n`)
}

/** Without the password of a database. */
const whereOf = ({ folder, postgres }: Place): Readonly<Record<string, string>> =>
  postgres === undefined ? { data: folder } : { database: nameOfPostgres(postgres), data: folder }

const keyElsewhere = ({ environment }: Surroundings): string =>
  environment['TOKENKEEP_KEY'] ? 'TOKENKEEP_KEY' : join(defaultFolders().config, 'tokenkeep.key')

/** On the same data, also where they were named by an option or a file. */
function keyCommand({ folder, keyFile, postgres }: Place, said: PlaceOptions): string {
  const inFolder = said.data === undefined ? '' : ` --data ${shellWord(folder)}`
  // The URL of a database holds a password, which is not for a screen.
  const inDatabase = said.database === undefined ? '' : ' --database URL'
  const key = said.keyFile === undefined || keyFile === undefined ? '' : ` --key-file ${shellWord(keyFile)}`
  return `tokenkeep${postgres === undefined ? inFolder : inDatabase}${key} key create --name ops --scope admin`
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
