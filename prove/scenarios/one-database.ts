/** 8: a server, programs with the library and the command, all on one database, while tokens end all the time. */
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openDesk, type Desk, type Started } from '../../packages/server/test/command.ts'
import { badCalls, countOf } from '../counts.ts'
import { DATABASES } from '../database.ts'
import { openPlace, type Place } from '../place.ts'
import { finding, type Scenario } from '../scenario.ts'

const CONNECTIONS = 20
const LIFE_SECONDS = 6
const FOR_MS = 40_000

export const oneDatabase: Scenario = {
  name: '8',
  title: 'a server, library processes and the command on one database',
  databases: DATABASES,
  limitSeconds: 240,
  async run(stage) {
    await using place = await openPlace({
      database: stage.database,
      realm: { accessTokenSeconds: LIFE_SECONDS },
      provider: { reuse: { kind: 'strict' } },
    })
    const signIns = await place.connect(CONNECTIONS, false)
    const ids = signIns.map(({ id }) => id)
    const desk = openDesk()
    try {
      const environment = environmentFor(place)
      const made = await desk.run(['key', 'create', '--name', 'prove', '--scope', 'admin', '--json'], { environment })
      const { key } = JSON.parse(made.out) as { key: string }
      const until = performance.now() + FOR_MS
      // On Postgres one of the programs lives on another host, as far as files can tell.
      const elsewhere = stage.database === 'postgres' ? { stateFolder: join(place.folder, 'elsewhere') } : {}
      const library = await Promise.all([place.start(), place.start(elsewhere)])
      for (const manager of library) {
        await manager.tell({ do: 'work', ids, callers: 2, pauseMs: 20, api: place.server.demoApi })
      }
      const [http, command] = await Promise.all([
        askTheServer({ place, desk, environment, key, ids, until }),
        askByCommand({ place, desk, environment, ids, until }),
      ])
      const tallies = await Promise.all(library.map((manager) => manager.tell({ do: 'rest' })))
      const bad = tallies.map((tally) => Object.entries(tally.bad).map(([word, count]) => `${count} ${word}`))
      const good = tallies.reduce((sum, tally) => sum + tally.good, 0)
      const last = await library[0]?.tell({ do: 'token', ids, api: place.server.demoApi })
      const counts = await countOf(place, signIns)
      stage.say(`${counts.refreshes} refreshes`)
      return [
        finding(
          'no call fails, whichever way it comes, also while the server is ended and started again',
          `library: ${good} good, bad: ${bad.flat().join(', ') || 'none'}; HTTP: ${http.good} good, bad: ${http.bad.join(', ') || 'none'}; command: ${command.good} good, bad: ${command.bad.join(', ') || 'none'}`,
          [bad.flat(), http.bad, command.bad].every((each) => each.length === 0) &&
            [good, http.good, command.good].every((count) => count > 0),
        ),
        finding(
          'nothing is presented twice, nobody is lost',
          `${counts.refreshes} refreshes, ${counts.secondPresentations} second presentations, ${counts.killed} killed`,
          counts.refreshes > CONNECTIONS &&
            counts.secondPresentations === 0 &&
            counts.killed === 0 &&
            badCalls(last ?? []).length === 0,
        ),
      ]
    } finally {
      desk.close()
    }
  },
}

interface Asking {
  readonly place: Place
  readonly desk: Desk
  readonly environment: Readonly<Record<string, string>>
  readonly ids: readonly string[]
  readonly until: number
}

interface Came {
  readonly good: number
  readonly bad: readonly string[]
}

const environmentFor = ({ options }: Place): Readonly<Record<string, string>> => ({
  ...(options.postgres === undefined
    ? { TOKENKEEP_DATA: dirname(options.path ?? '') }
    : { TOKENKEEP_DATABASE: options.postgres, TOKENKEEP_DATA: options.stateFolder ?? '' }),
  TOKENKEEP_KEY_FILE: options.keyFile ?? '',
})

/** Half of the time by one server, then by the next: whoever is asked ends in order. */
async function askTheServer({ key, ...asking }: Asking & { readonly key: string }): Promise<Came> {
  const { desk, environment, until } = asking
  let good = 0
  const bad: string[] = []
  const halfway = performance.now() + (until - performance.now()) / 2
  for (const end of [halfway, until]) {
    const server = desk.start(['serve', '--port', '0', '--log-level', 'error', '--json'], { environment })
    const url = await readyAt(server)
    for (let n = 0; performance.now() < end; n += 1) {
      const id = asking.ids[n % asking.ids.length] ?? ''
      const response = await fetch(`${url}/v1/connections/${id}/token`, { headers: { authorization: `Bearer ${key}` } })
      const body = (await response.json()) as { access_token?: string; code?: string }
      const shown = response.ok ? await show(asking.place, body.access_token ?? '') : `${response.status} ${body.code}`
      if (shown === 'ok') good += 1
      else bad.push(shown)
      await pause(10)
    }
    server.child.kill('SIGTERM')
    const { code } = await server.ended
    if (code !== 0) bad.push(`server ended with ${code}`)
  }
  return { good, bad }
}

async function readyAt(server: Started): Promise<string> {
  const line = await server.line((text) => text.includes('"ready"'))
  return (JSON.parse(line) as { url: string }).url
}

async function askByCommand({ place, desk, environment, ids, until }: Asking): Promise<Came> {
  let good = 0
  const bad: string[] = []
  for (let n = 0; performance.now() < until; n += 1) {
    const { code, out, err } = await desk.run(['token', ids[n % ids.length] ?? ''], { environment })
    const shown = code === 0 ? await show(place, out.trim()) : `exit code ${code}: ${err.trim()}`
    if (shown === 'ok') good += 1
    else bad.push(shown)
  }
  return { good, bad }
}

async function show(place: Place, accessToken: string): Promise<string> {
  const response = await fetch(place.server.demoApi, { headers: { authorization: `Bearer ${accessToken}` } })
  await response.arrayBuffer()
  return response.status === 200 ? 'ok' : `api ${response.status}`
}
