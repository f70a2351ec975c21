/** One installation as an operator has it: an authorization server, and commands and servers of ours as processes on one database. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startDevserver, type Devserver, type SessionCounters } from '@tokenkeep/devserver'
import { postgresMissing } from '@tokenkeep/testpostgres'
import { commandHere } from './command-here.ts'
import { answer, openDesk, type Desk, type Ended } from './command.ts'

export const REALM = 'external'
const CLIENT_SECRET = 'canary-client-secret'

/** Says what cannot be run where there is no server. */
export function lacksPostgres(t: TestContext): boolean {
  const reason = postgresMissing()
  if (reason !== null) t.diagnostic(`NOT RUN: ${reason}`)
  return reason !== null
}

export interface Serving {
  readonly url: string
  readonly ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, and its exit code. */
  end(): Promise<number | null>
  /** Any path, with the API key. */
  ask(path: string, init?: RequestInit): Promise<Response>
  /** The access token of a connection; its answer has to be 200. */
  token(id: string): Promise<string>
  /** The code of the problem that is answered instead of a token. */
  refusedToken(id: string, waitSeconds?: number): Promise<string>
  /** An API refused this access token. */
  rejected(id: string, accessToken: string): Promise<void>
}

/** What one host has of its own. */
export interface Host {
  readonly keyFile: string
  /** The data folder; with Postgres, that of its locks and slots. */
  readonly data: string
}

export interface Installation extends AsyncDisposable {
  readonly desk: Desk
  readonly provider: Devserver
  /** What no process may print. */
  readonly secrets: Set<string>
  /** Runs a command with `--json`. */
  command(args: readonly string[], options?: { readonly input?: string; readonly host?: Host }): Promise<Ended>
  /** Runs a command in this process, where it starts at once; what it prints is not looked through for secrets. */
  prepare<Shape>(args: readonly string[], input?: string): Promise<Shape>
  /** Starts a server, and waits until it is ready. */
  serve(args?: readonly string[], host?: Host): Promise<Serving>
  /** A sign-in whose refresh token alone is known: whoever asks for a token causes a refresh. */
  importSignIn(id: string, more?: readonly string[]): Promise<string>
  counters(sessionId: string): Promise<SessionCounters>
  readonly host: Host
  /** What every command and server of a host is given; of `host`, where none is named. */
  environmentOf(host?: Host): Readonly<Record<string, string>>
}

/** @param postgres the URL of a database; absent: SQLite in a folder */
export async function openInstallation({ postgres }: { readonly postgres?: string } = {}): Promise<Installation> {
  const desk = openDesk()
  const provider = await startDevserver({
    realms: [{ name: REALM, clients: [{ clientId: 'app', clientSecret: CLIENT_SECRET }] }],
  })
  const host: Host = { keyFile: join(desk.folder, 'keys', 'master.key'), data: join(desk.folder, 'kept') }
  const environmentOf = ({ keyFile, data }: Host = host) => ({
    TOKENKEEP_DATA: data,
    TOKENKEEP_KEY_FILE: keyFile,
    ...(postgres === undefined ? {} : { TOKENKEEP_DATABASE: postgres }),
  })
  const secrets = new Set([CLIENT_SECRET, ...(postgres === undefined ? [] : [new URL(postgres).password])])
  const command: Installation['command'] = (args, { input, host: on } = {}) =>
    desk.run([...args, '--json'], { environment: environmentOf(on), ...(input === undefined ? {} : { input }) })
  const prepare = async <Shape>(args: readonly string[], input?: string): Promise<Shape> =>
    answer<Shape>(
      await commandHere([...args, '--json'], {
        folder: desk.folder,
        environment: { ...desk.environment, ...environmentOf() },
        ...(input === undefined ? {} : { input }),
      }),
    )
  const adding = ['provider', 'add', 'ext', '--preset', 'keycloak', '--issuer', provider.issuer(REALM)]
  await prepare([...adding, '--reuse', 'strict'])
  await prepare(
    ['client', 'add', 'app', '--provider', 'ext', '--client-id', 'app', '--client-secret-stdin'],
    CLIENT_SECRET,
  )
  const { key } = await prepare<{ key: string }>(['key', 'create', '--name', 'ops', '--scope', 'admin'])
  secrets.add(key)

  return {
    desk,
    provider,
    secrets,
    command,
    prepare,
    host,
    environmentOf,
    async serve(args = [], on = host) {
      const { child, line, ended } = desk.start(['serve', '--port', '0', '--json', ...args], {
        environment: environmentOf(on),
      })
      // Its log: nobody reads it, and it must not fill the pipe.
      child.stderr?.resume()
      const { url } = JSON.parse(await line(() => true)) as { url: string }
      const ask: Serving['ask'] = (path, init = {}) =>
        fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } })
      return {
        url,
        ended,
        kill: (signal) => void child.kill(signal),
        async end() {
          child.kill('SIGTERM')
          return (await ended).code
        },
        ask,
        async token(id) {
          const response = await ask(`/v1/connections/${id}/token`)
          const text = await response.text()
          assert.equal(response.status, 200, text)
          const { access_token } = JSON.parse(text) as { access_token: string }
          secrets.add(access_token)
          return access_token
        },
        async refusedToken(id, waitSeconds = 1) {
          const response = await ask(`/v1/connections/${id}/token`, { headers: { prefer: `wait=${waitSeconds}` } })
          assert.notEqual(response.status, 200)
          return ((await response.json()) as { code: string }).code
        },
        async rejected(id, accessToken) {
          const response = await ask(`/v1/connections/${id}/rejected`, {
            method: 'POST',
            body: JSON.stringify({ access_token: accessToken }),
            headers: { 'content-type': 'application/json' },
          })
          assert.equal(response.status, 200, await response.text())
        },
      }
    },
    async importSignIn(id, more = []) {
      const { refreshToken, sessionId } = await provider.control.seedSession(REALM, { clientId: 'app' })
      assert.ok(refreshToken)
      secrets.add(refreshToken)
      await prepare(['connection', 'import', id, '--client', 'app', '--refresh-token-stdin', ...more], refreshToken)
      return sessionId
    },
    counters: (sessionId) => provider.control.counters(REALM, sessionId),
    async [Symbol.asyncDispose]() {
      await provider.close()
      const printed = desk.printed()
      desk.close()
      for (const secret of secrets) assert.ok(!printed.includes(secret), 'a secret was printed')
    },
  }
}

/** Looks again and again until `probe` is true: no longer than a minute, on a machine that others use as well. */
export async function eventually(what: string, probe: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + 60_000
  while (performance.now() < until) {
    if (await probe()) return
    await pause(20)
  }
  throw new Error(`it did not come about that ${what}`)
}

/** What the API of the authorization server says to a token. */
export async function apiStatus(provider: Devserver, accessToken: string): Promise<number> {
  const response = await fetch(provider.demoApi, { headers: { authorization: `Bearer ${accessToken}` } })
  await response.body?.cancel()
  return response.status
}
