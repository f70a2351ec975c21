/** A Tokenkeep that knows one realm of Keycloak: a data folder, the library on it, and `tokenkeep serve` beside it. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openTokenkeep, type ClientInput, type ProviderInput, type Tokenkeep } from '@tokenkeep/node'
import { SECRET, type RealmSettings } from './realm.ts'
import type { Stage } from './row.ts'
import type { SignIn } from './sign-in.ts'

export const PROVIDER = 'external'
const LAUNCHER = fileURLToPath(new URL('../packages/server/bin/tokenkeep.js', import.meta.url))

export interface Installation {
  readonly keep: Tokenkeep
  /** Of Keycloak: `{keycloak}/realms/{realm}`. */
  readonly issuer: string
  readonly place: Place
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Where it lies, for other processes. */
export interface Place {
  readonly path: string
  readonly keyFile: string
}

export interface InstallationMore {
  readonly provider?: Partial<ProviderInput>
  readonly client?: Partial<ClientInput>
}

export const issuerOf = ({ keycloak }: Pick<Stage, 'keycloak'>, { name }: RealmSettings): string =>
  `${keycloak.url}/realms/${name}`

/** The library works without its background, so that access tokens end at all; what is served works with it. */
export async function install(
  stage: Pick<Stage, 'keycloak' | 'folder'>,
  realm: RealmSettings,
  { provider = {}, client = {} }: InstallationMore = {},
): Promise<Installation> {
  const issuer = issuerOf(stage, realm)
  const place: Place = {
    path: join(stage.folder, 'data', 'tokenkeep.db'),
    keyFile: join(stage.folder, 'configuration', 'tokenkeep.key'),
  }
  const keep = await openTokenkeep({ ...place, background: false })
  await keep.providers.put({
    id: PROVIDER,
    preset: 'keycloak',
    issuer,
    reuse: realm.maxReuse === 0 ? { kind: 'strict' } : { kind: 'counted', n: realm.maxReuse },
    ...provider,
  })
  await keep.clients.put({ id: 'app', provider: PROVIDER, clientId: 'app', clientSecret: SECRET, ...client })
  return { keep, issuer, place, [Symbol.asyncDispose]: () => keep.close() }
}

/** Keeps a sign-in, with what the answer of Keycloak's token endpoint says of its end. */
export async function importSignIn(
  keep: Tokenkeep,
  id: string,
  { response, refreshToken, scope }: SignIn,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  const endsIn = Number(response['refresh_expires_in'])
  const end = endsIn > 0 ? { refreshTokenExpiresAt: Date.now() + endsIn * 1000 } : {}
  await keep.connections.import({ id, client: 'app', refreshToken, scope, labels, ...end })
}

export interface Served {
  /** Without a slash at the end. */
  readonly url: string
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

const servers = new Set<number>()

/** For whoever ends without having time. */
export function killServed(): void {
  for (const pid of servers) process.kill(pid, 'SIGKILL')
}

/** What Node is given to run the command `tokenkeep` on the data of an installation, with JSON for its answers. */
export const argumentsFor = ({ path, keyFile }: Place, args: readonly string[]): string[] => [
  ...[LAUNCHER, '--data', join(path, '..'), '--key-file', keyFile, '--json'],
  ...args,
]

/** Starts `tokenkeep serve` on the data of an installation. */
export async function serve(place: Place): Promise<Served> {
  const child = spawn(process.execPath, argumentsFor(place, ['serve', '--port', '0', '--log-level', 'silent']), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error('`tokenkeep serve` could not be started')
  servers.add(pid)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  void ended.then(() => servers.delete(pid))
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { readonly url: string }
    child.stdout.resume()
    return {
      url,
      async [Symbol.asyncDispose]() {
        child.kill('SIGTERM')
        await ended
      },
    }
  }
  throw new Error('`tokenkeep serve` ended before it was ready')
}
