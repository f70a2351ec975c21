/** One data folder with a server on it, and commands that reach it both ways. */
import { join } from 'node:path'
import { startDevserver, type Devserver, type SeededSession, type SessionSeed } from '@tokenkeep/devserver'
import { openTokenkeep } from '@tokenkeep/node'
import { commandHere, type HereOptions } from './command-here.ts'
import { answer, openDesk, type Desk, type Ended, type Started } from './command.ts'

/** How a command reaches the data: by opening the folder, or by asking the server. */
export type Way = 'folder' | 'server'
export const WAYS: readonly Way[] = ['folder', 'server']

const SECRET = 'canary-client-secret'
export const REALM = 'external'

export interface BothWays {
  readonly desk: Desk
  readonly provider: Devserver
  readonly url: string
  /** An API key that may do everything. */
  readonly key: string
  command(way: Way, args: readonly string[], options?: HereOptions): Promise<Ended>
  /** Starts a command that goes on, as a process of its own. */
  start(way: Way, args: readonly string[]): Started
  /** A new sign-in at the provider. */
  seed(more?: Partial<SessionSeed>): Promise<SeededSession & { readonly refreshToken: string }>
  /** Keeps a new sign-in under this id. */
  keep(id: string, labels?: readonly string[]): Promise<SeededSession>
  /** Tells the data of a logout event of now; the ids of the connections that it signs out. */
  logout(sessionId: string): Promise<readonly string[]>
  /** Everything that commands printed. */
  printed(): string
  close(): Promise<void>
}

/** With provider `ext` and client `app`. */
export async function openBothWays(): Promise<BothWays> {
  const desk = openDesk()
  const provider = await startDevserver({
    realms: [{ name: REALM, clients: [{ clientId: 'app', clientSecret: SECRET }] }],
  })
  const printed: string[] = []
  const place = ['--data', join(desk.folder, 'kept'), '--key-file', join(desk.folder, 'master.key')]
  const locally = async (args: readonly string[], options: HereOptions = {}): Promise<Ended> =>
    noted(await commandHere([...args, ...place], { folder: desk.folder, ...options }))
  const noted = (ended: Ended): Ended => {
    printed.push(ended.out, ended.err)
    return ended
  }
  const adding = ['provider', 'add', 'ext', '--preset', 'keycloak', '--issuer', provider.issuer(REALM)]
  answer(await locally([...adding, '--reuse', 'strict', '--narrowing', 'token_only', '--json']))
  const client = ['client', 'add', 'app', '--provider', 'ext', '--client-id', 'app', '--client-secret-stdin', '--json']
  answer(await locally(client, { input: SECRET }))
  const { key } = answer<{ key: string }>(
    await commandHere(['key', 'create', '--name', 'root', '--scope', 'admin', '--json', ...place]),
  )
  const { line, child, ended } = desk.start(['serve', '--port', '0', '--json', ...place])
  const { url } = JSON.parse(await line(() => true)) as { url: string }
  const seed: BothWays['seed'] = async (more = {}) => {
    const session = await provider.control.seedSession(REALM, { clientId: 'app', ...more })
    const { refreshToken } = session
    if (refreshToken === null) throw new Error('a sign-in without a refresh token')
    return { ...session, refreshToken }
  }
  return {
    desk,
    provider,
    url,
    key,
    async command(way, args, options = {}) {
      if (way === 'folder') return locally(args, options)
      const environment = { TOKENKEEP_URL: url, TOKENKEEP_API_KEY: key, ...options.environment }
      return noted(await commandHere(args, { folder: desk.folder, ...options, environment }))
    },
    start(way, args) {
      if (way === 'folder') return desk.start([...args, ...place])
      return desk.start(args, { environment: { TOKENKEEP_URL: url, TOKENKEEP_API_KEY: key } })
    },
    seed,
    async keep(id, labels = []) {
      const session = await seed()
      const importing = ['connection', 'import', id, '--client', 'app', '--refresh-token-stdin', '--json']
      const labelled = labels.flatMap((label) => ['--label', label])
      answer(await locally([...importing, ...labelled], { input: session.refreshToken }))
      return session
    },
    async logout(sessionId) {
      const [path, keyFile] = [join(desk.folder, 'kept', 'tokenkeep.db'), join(desk.folder, 'master.key')]
      await using keep = await openTokenkeep({ path, keyFile, background: false })
      // A sign-in of the same second is not older than the event, whose moment has whole seconds.
      const issuedAt = Date.now() + 1000
      return (await keep.connections.logout({ provider: 'ext', sessionId, issuedAt })).signedOut
    },
    printed: () => printed.join('\n') + desk.printed(),
    async close() {
      child.kill('SIGTERM')
      await ended
      await provider.close()
      desk.close()
    },
  }
}
