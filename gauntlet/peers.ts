/** Who runs the gauntlet, and how. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Peer {
  /** As in `--peer`, and in the table. */
  readonly name: string
  readonly driver: URL
  /** The packages in question, for their versions; none: this clone. */
  readonly packages: readonly string[]
  readonly ours: boolean
  readonly onPostgres: boolean
  /** A program that no package of npm brings. */
  readonly program?: Program
  /** By the name of a scenario: why it is not played. */
  readonly leftOut?: Readonly<Record<string, string>>
  /** What is theirs and what is glue of ours, and which settings were chosen. */
  readonly note: string
}

export interface Program {
  readonly name: string
  /** How it is installed. */
  readonly install: string
}

const driver = (file: string): URL => new URL(`peers/${file}`, import.meta.url)

const tokenkeep = (name: string, file: string, note: string, onPostgres = false): Peer => ({
  name,
  driver: driver(file),
  packages: [],
  ours: true,
  onPostgres,
  note,
})

const peer = (name: string, file: string, packages: readonly string[], note: string): Peer => ({
  name,
  driver: driver(file),
  packages,
  ours: false,
  onPostgres: false,
  note,
})

const FILE = 'The file is ours.'

export const PEERS: readonly Peer[] = [
  tokenkeep(
    'Tokenkeep, SQLite',
    'tokenkeep.ts',
    '`openTokenkeep()` in every process, on one file. Callers wait for up to 55 s. Work in the background is off, so that tokens expire at all.',
  ),
  tokenkeep('Tokenkeep, Postgres', 'tokenkeep.ts', 'The same on one database.', true),
  tokenkeep(
    'Tokenkeep, server',
    'tokenkeep-server.ts',
    '`tokenkeep serve` on SQLite, asked over HTTP for each call; `Prefer: wait=55`. It is the one that is killed and frozen, and is started again after a kill. It works in the background: what is asked for every few seconds (`in-turn`) it refreshes ahead of its end, which counts as more than one refresh for each end.',
  ),
  tokenkeep(
    'Tokenkeep, drop-in',
    'tokenkeep-drop-in.ts',
    'openid-client with a local refresh token at the token endpoint of `tokenkeep serve`, which is the one that is killed and frozen. It waits for 25 s. It hands out nothing that has less than half of its life left, so in `in-turn` it refreshes most.',
  ),
  peer(
    'openid-client',
    'openid-client.mjs',
    ['openid-client'],
    `\`refreshTokenGrant\` where the token has ended. ${FILE}`,
  ),
  peer(
    'simple-oauth2',
    'simple-oauth2.mjs',
    ['simple-oauth2'],
    `\`createToken\`, \`expired()\`, \`refresh()\`, and the token's JSON persisted, as its README shows; \`expired(15)\` in the outages. ${FILE}`,
  ),
  peer(
    '@badgateway/oauth2-client',
    'badgateway.mjs',
    ['@badgateway/oauth2-client'],
    'Its fetch wrapper with `getStoredToken` and `storeToken`, one for each login; made anew from our file when its token has ended, because it reads it only then.',
  ),
  peer(
    'google-auth-library',
    'google-auth-library.mjs',
    ['google-auth-library'],
    'One `OAuth2Client` for each login with the `tokens` event, made anew from our file when its token has ended; `eagerRefreshThresholdMillis: 1`. Made for refresh tokens that do not rotate.',
  ),
  peer(
    'passport-oauth2-refresh',
    'passport-oauth2-refresh.mjs',
    ['passport-oauth2-refresh', 'passport-oauth2'],
    `\`requestNewAccessToken\` where the token has ended. ${FILE}`,
  ),
  peer(
    '@modelcontextprotocol/sdk',
    'mcp-sdk.mjs',
    ['@modelcontextprotocol/sdk'],
    `\`auth()\` with a provider on our file where the token has ended, as its transports call it after a 401. The optional \`invalidateCredentials\`, which would delete tokens, is left out.`,
  ),
  peer(
    'lock file',
    'lock-file.mjs',
    ['openid-client', 'proper-lockfile'],
    'What a careful user builds: openid-client, callers of one process joined, a lock file between processes, our file read again inside the lock. `stale` at its least, 5 s; a margin of 15 s in the outages.',
  ),
  {
    ...peer(
      'oidc-agent',
      'oidc-agent.mjs',
      [],
      'One agent for all processes, with `--pw-store`; `oidc-gen` for each login, `oidc-token` for each call, 20 of them at once at most. The agent is what is killed and frozen; after a kill it is started again, with `oidc-add` for a login that it has not loaded. `oidc-gen` presents the refresh token once: that is not counted, and its access token is let end.',
    ),
    program: { name: 'oidc-agent', install: '`apt-get install oidc-agent-cli` on Debian' },
    leftOut: { sessions: '`oidc-gen` takes up to a second for each login, and 10,000 of them hours' },
  },
]

/** @returns `openid-client 6.9.0`; for Tokenkeep its version, and the commit of this clone where git says it */
export function versionsOf({ packages, program }: Peer): string {
  if (program !== undefined) return versionOfProgram(program) ?? ''
  if (packages.length === 0) return [versionOfClone(), commitOfClone()].filter((each) => each !== '').join(', ')
  return packages.map((name) => `${name} ${versionOf(name)}`).join(', ')
}

/** @returns why it cannot play here, or not in this scenario; null: it can */
export function whyNot({ program, leftOut = {} }: Peer, scenario: string): string | null {
  if (program !== undefined && versionOfProgram(program) === null) return `not installed: ${program.install}`
  return leftOut[scenario] ?? null
}

/** @returns null: it is not installed */
function versionOfProgram({ name }: Program): string | null {
  const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  return status === 0 ? (stdout.split('\n')[0] ?? '').trim() : null
}

function versionOfClone(): string {
  const file = new URL('../packages/server/package.json', import.meta.url)
  return `tokenkeep ${(JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version}`
}

function commitOfClone(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  })
  return status === 0 ? `commit ${stdout.trim()}` : ''
}

function versionOf(name: string): string {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }
  return version
}
