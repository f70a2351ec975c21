import { statSync } from 'node:fs'
import { TokenError } from '@tokenkeep/core'
import type { Tokenkeep } from '@tokenkeep/node'
import type { Keeper, ServerKeeper } from '../remote/keeper.ts'
import { commandActor } from './command-actor.ts'
import type { Output } from './output.ts'
import { watchLastTry } from './last-try.ts'
import { findPlace, openOptionsOf, type Place, type PlaceOptions } from './place.ts'
import { findServer, refuseServer, type ServerOptions, type ServerPlace } from './server-place.ts'
import type { Surroundings } from './surroundings.ts'

/** What every command is given. */
export interface Context {
  readonly around: Surroundings
  readonly output: Output
  readonly options: PlaceOptions & ServerOptions
}

type Act<Result> = (keep: Keeper) => Promise<Result>

/**
 * Does something with the connections and all that belongs to them: those of a data folder, or of the server that was
 * named.
 *
 * @param missing what happens where there is no database yet: a slip in its name should make none
 * @throws TokenError `folder_unusable`, `database_unusable` where there is none, `server_unreachable` where there is no server, and
 *   what `openTokenkeep` and `act` throw
 */
export async function withTokenkeep<Result>(
  context: Context,
  when: { readonly missing: 'make' | 'refuse' },
  act: Act<Result>,
): Promise<Result> {
  const server = findServer(context.options, context.around)
  return server === null ? onThisMachine(context, when, act) : atServer(context, server, act)
}

/** The same for what only the machine of the data can do: a server is not asked. */
export async function withDataHere<Result>(
  context: Context,
  command: Parameters<typeof refuseServer>[1],
  act: (keep: Tokenkeep) => Promise<Result>,
): Promise<Result> {
  refuseServer(context.options, command)
  return onThisMachine(context, { missing: 'refuse' }, act)
}

/**
 * Opens the data folder for one command, without work in the background, and closes it afterwards.
 *
 * A signal ends the waiting, not the refresh: closing waits for what is on its way, because an answer that nobody hears
 * can be the end of a sign-in.
 */
async function onThisMachine<Result>(
  { around, output, options }: Context,
  { missing }: { readonly missing: 'make' | 'refuse' },
  act: (keep: Tokenkeep) => Promise<Result>,
): Promise<Result> {
  const { defaultFolders, openTokenkeep } = await import('@tokenkeep/node')
  const place = findPlace(options, around, () => defaultFolders().data)
  const isNew = place.postgres === undefined && isMissing(place)
  if (isNew && missing === 'refuse') throw noDatabase(place)
  if (place.chosenBy === 'dev_folder_here') {
    output.aside(`using the data that \`tokenkeep dev\` made here, in ${place.folder} (--data chooses another folder)`)
  }
  const lastTry = watchLastTry()
  const opening = { ...openOptionsOf(place), create: missing === 'make', background: false, onEvent: lastTry.heard }
  await using keep = await openTokenkeep(opening)
  if (isNew) {
    output.aside(`made ${place.database}; keep a copy of its key, and not together with the data`)
  }
  try {
    return await untilInterrupted(() => act(keep.by(commandActor())), around)
  } catch (error) {
    throw lastTry.explained(error)
  }
}

/** The same for what is done in another way on this machine: where no server is named. */
export const withFolder = <Result>(context: Context, act: (keep: Tokenkeep) => Promise<Result>): Promise<Result> =>
  onThisMachine(context, { missing: 'refuse' }, act)

/** The same for what a server does in another way than a data folder: it has pages of its own. */
export async function withServer<Result>(
  context: Context,
  act: (keep: ServerKeeper) => Promise<Result>,
): Promise<Result> {
  const server = findServer(context.options, context.around)
  if (server === null) throw new Error('there is no server to ask')
  return atServer(context, server, act)
}

/** A signal ends the waiting here too; the server goes on with what it was asked for. */
async function atServer<Result>(
  { around, output }: Context,
  server: ServerPlace,
  act: (keep: ServerKeeper) => Promise<Result>,
): Promise<Result> {
  const { openServer } = await import('./server-opening.ts')
  await using keep = await openServer(server, around, output)
  return await untilInterrupted(() => act(keep), around)
}

async function untilInterrupted<Result>(act: () => Promise<Result>, { interruption }: Surroundings): Promise<Result> {
  if (interruption.signal.aborted) throw new Interrupted()
  const acting = act()
  const interrupted = new Promise<never>((_, reject) => {
    interruption.signal.addEventListener('abort', () => reject(new Interrupted()), { once: true })
  })
  // Whichever loses is not an unhandled rejection.
  acting.catch(() => undefined)
  interrupted.catch(() => undefined)
  return Promise.race([acting, interrupted])
}

/** A signal asked the process to end; the exit code says which. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

const HOW_CHOSEN = {
  option: 'as --data says',
  environment: 'as TOKENKEEP_DATA says',
  dev_folder_here: 'made by `tokenkeep dev`',
  default: 'the default of this user',
} as const satisfies Record<Place['chosenBy'], string>

/**
 * Whether there is no database. One that cannot be seen is not missing, and an empty one is: what opens it would make a
 * database of it, and a list of nothing is no answer about a file that lost its content.
 *
 * @throws TokenError `folder_unusable` where nobody can say
 */
function isMissing({ database, folder }: Place): boolean {
  try {
    return statSync(database).size === 0
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    if (code === 'ENOENT' || code === 'ENOTDIR') return true
    throw new TokenError(
      'folder_unusable',
      `the folder ${folder} cannot be looked into (${code}), so nobody can say whether there is a database. ` +
        'Make it accessible to this user, or run the command as the user that it belongs to.',
    )
  }
}

const noDatabase = ({ folder, chosenBy }: Place): TokenError =>
  new TokenError(
    'folder_unusable',
    `there is no Tokenkeep database in ${folder} (${HOW_CHOSEN[chosenBy]}). \`tokenkeep provider add\` makes one there; ` +
      '--data FOLDER or TOKENKEEP_DATA name another folder.',
  )
