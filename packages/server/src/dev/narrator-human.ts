import { basename, isAbsolute, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { TokenkeepEvent } from '@tokenkeep/core'
import { accessTokenShort, remedyFor, statusCell } from '../cli/connection-words.ts'
import { localClock, span } from '../cli/moments.ts'
import type { Colours, Output } from '../cli/output.ts'
import { printable, shellWord } from '../cli/printable.ts'
import { DEV_FOLDER } from '../cli/place.ts'
import type { Surroundings } from '../cli/surroundings.ts'
import { pairs, table, type Cell } from '../cli/table.ts'
import type { ByHand, ConnectionStatus, Facts, Narrator } from './narrator.ts'

const IN_PLACE_EVERY_MS = 1000
const AS_LINES_EVERY_MS = 10_000

/** Tells it to people: one line for what happens, and at a terminal the connections below, always up to date. */
export function createHumanNarrator(output: Output, around: Surroundings): Narrator {
  const { colours } = output
  const screen = createScreen(output, around)
  const at = (moment: number): string => colours.dim(localClock(moment))
  const say = (line: string): void => screen.log(`${at(around.now())} ${line}`)
  return {
    statusEveryMs: screen.inPlace ? IN_PLACE_EVERY_MS : AS_LINES_EVERY_MS,
    ready: (facts) => introduction(facts, output, around.folder).forEach((line) => screen.log(line)),
    event(event) {
      const of = 'connection' in event ? event.connection : 'client' in event ? event.provider : null
      const name = of === null ? '' : `${colours.bold(printable(of))} `
      screen.log(`${at(event.at)} ${name}${printable(sentence(event))}`)
    },
    status(statuses) {
      const lines = statusLines(statuses, output, around.now())
      screen.status(screen.inPlace ? lines : lines.map((line) => `${at(around.now())} ${line}`))
    },
    callFailed: (id, because) => say(`${colours.bold(id)} ${colours.red(`call failed: ${printable(because)}`)}`),
    step: ({ name, ok, detail }) =>
      screen.log(`${ok ? colours.green('ok    ') : colours.red('failed')} ${name.padEnd(24)} ${printable(detail)}`),
    tourEnded: (ok) =>
      screen.log(ok ? colours.green('\nThe tour went well.') : colours.red('\nThe tour did not go well.')),
    stopping: () => screen.log('Stopping. Started again, it goes on from here.'),
  }
}

// ---- what is said --------------------------------------------------------------------------------------------------

function introduction(facts: Facts, { colours }: Output, folder: string): string[] {
  const { place, byHand } = facts
  const near = relative(folder, place.folder)
  const data = near !== '' && !near.startsWith('..') && !isAbsolute(near) ? `./${near}` : place.folder
  const key = place.keyBesideData
    ? `${data}/dev.key, beside the data: for trying only`
    : (place.keyFile ?? 'TOKENKEEP_KEY')
  const where = pairs(
    [
      ['  Tokenkeep', facts.url],
      ['  authorization server', facts.authorizationServer],
      ['  API', facts.demoApi],
      ['  data', `${data}/tokenkeep.db`],
      ['  key', key],
    ],
    colours.dim,
  )
  if (byHand === null) return [colours.bold('A tour of Tokenkeep, with sign-ins of four seconds.'), '', ...where, '']
  return [
    ...theWebPage(facts, colours),
    ...overHttp(facts, { colours, credentials: `${data}/${basename(place.credentials)}` }),
    colours.bold('Tokenkeep keeps three sign-ins alive. Ctrl-C stops it; started again, it goes on.'),
    '',
    ...where,
    '',
    ...fromSecondTerminal(facts, data),
    ...straightAtTheServer(byHand),
  ]
}

/** The code is good once, so that whoever reads this later in a scrollback gets nowhere with it. */
function theWebPage({ url, page, pageOpened }: Facts, colours: Colours): string[] {
  if (page === null) return []
  const how = pageOpened
    ? [`  ${url}/`, '', 'It opens in your browser, signed in.']
    : [
        `  ${page}`,
        '',
        'This link signs a browser in, once, within a minute. After that the page asks',
        'for the API key that stands below.',
      ]
  return [colours.bold('The web page shows which connections work, and what comes next.'), '', ...how, '']
}

/** The request of the page that it all began with, and the same for programs that are no OAuth clients. */
function overHttp(
  { url, tokenEndpoint, credentials: { apiKey, clientId, clientSecret, refreshToken } }: Facts,
  { colours, credentials }: { readonly colours: Colours; readonly credentials: string },
): string[] {
  return [
    colours.bold('Any OAuth client can ask Tokenkeep as it would ask the provider.'),
    'As often as you like, from as many programs at once as you like: this refresh',
    'token stays good, while Tokenkeep rotates the one behind it.',
    '',
    '  curl -X POST \\',
    `    ${tokenEndpoint} \\`,
    `    -d grant_type=refresh_token -d client_id=${clientId} \\`,
    `    -d client_secret=${clientSecret} \\`,
    `    -d refresh_token=${refreshToken}`,
    '',
    'Every other program asks the HTTP API:',
    '',
    `  curl -H 'Authorization: Bearer ${apiKey}' ${url}/v1/connections/dealer-42/token`,
    '',
    colours.dim(`These keys are kept in ${credentials}, and stay the same.`),
    '',
  ]
}

function fromSecondTerminal({ demoApi }: Facts, data: string): string[] {
  // Without the `--`, npx takes an option before the first word for its own and drops it.
  const command = data === `./${DEV_FOLDER}` ? 'npx --no tokenkeep' : `npx --no -- tokenkeep --data ${shellWord(data)}`
  return [
    'Try from a second terminal, in this folder:',
    '',
    `  curl -H "Authorization: Bearer $(${command} token dealer-42)" ${demoApi}`,
    `  ${command} connection list`,
    `  ${command} connection history dealer-42`,
    '',
  ]
}

function straightAtTheServer({ tokenEndpoint, clientId, clientSecret, refreshToken }: ByHand): string[] {
  return [
    'What Tokenkeep does for you, by hand. It works once: the answer has the next',
    'refresh token, and to present this one again ends that sign-in (none of the',
    'three above).',
    '',
    `  curl ${tokenEndpoint} \\`,
    '    -d grant_type=refresh_token \\',
    `    -d client_id=${clientId} -d client_secret=${clientSecret} \\`,
    `    -d scope=dealer-api -d refresh_token=${refreshToken}`,
    '',
  ]
}

function sentence(event: TokenkeepEvent): string {
  switch (event.type) {
    case 'connection_imported':
      return 'imported'
    case 'connection_reconnected':
      return 'signed in again'
    case 'connection_deleted':
      return event.revokedUpstream ? 'deleted, and revoked at the provider' : 'deleted'
    case 'refreshed': {
      const { rotated, generation, expiresAt, at, spilled } = event
      // A machine has no refresh token.
      const brought = [
        rotated ? `refresh token rotated to generation ${generation}` : null,
        expiresAt === null ? 'access token' : `access token for ${span(Math.ceil((expiresAt - at) / 1000) * 1000)}`,
        spilled ? 'kept in a slot' : null,
      ]
      return `refreshed in ${Math.ceil(event.tookMs)} ms: ${brought.filter((each) => each !== null).join(', ')}`
    }
    case 'slow':
      return `no answer for ${span(event.waitedMs)}, still listening`
    case 'unavailable':
      return `not refreshed, nothing lost: ${event.because}${statusWords(event.status)}${nextTry(event.retryAt)}`
    case 'in_doubt':
      return `in doubt: ${event.because}${statusWords(event.status)}${nextTry(event.retryAt)}`
    case 'suspect':
      return `refused ${event.refusals} times, to be confirmed${nextTry(event.retryAt)}`
    case 'blocked':
      return `blocked (${event.reason}${event.word === null ? '' : `: ${event.word}`})${nextTry(event.retryAt)}`
    case 'signed_out':
      return 'signed out at the provider: the next presentation decides'
    case 'needs_user':
      return `needs its user: ${event.reason}`
    case 'expiring':
      return `its session ends at ${localClock(event.endsAt)}, whatever is refreshed before`
    case 'access_token_rejected':
      return event.current ? 'the API refused its access token' : 'the API refused an old access token'
    case 'answer_kept_for_history':
      return 'an answer came too late to matter'
    case 'answer_kept_as_sibling':
      return 'an answer lost to a later one, and is kept as a last resort'
    case 'replayed':
      return 'an answer was found in a slot and kept'
    case 'circuit_opened':
      return `no answer for ${event.connections} connections: what can wait is held back`
    case 'circuit_closed':
      return `answers again, after ${span(event.openMs)}`
    case 'rate_limited':
      return `asks us to wait for ${span(event.waitMs)}`
    case 'client_refused':
      return `refuses our client${event.word === null ? '' : ` (${event.word})`}${nextTry(event.retryAt)}`
    case 'store_unavailable':
      return 'the database does not answer'
    case 'slots_unreadable':
      return 'the slots of a process that died cannot be read: its refreshes wait'
    case 'on_hold':
      return 'on hold: this database is a copy or was put back; nothing is presented until `tokenkeep adopt`'
    case 'adopted':
      return 'adopted: the hold is over'
  }
}

const statusWords = (status: number | null): string => (status === null ? '' : ` (status ${status})`)
const nextTry = (atMs: number | null): string => (atMs === null ? '' : `, next try at ${localClock(atMs)}`)

function statusLines(statuses: readonly ConnectionStatus[], { colours }: Output, nowMs: number): string[] {
  const rows = statuses.map(({ info, calls }): Cell[] => [
    { text: info.id, paint: colours.bold },
    statusCell(info, colours),
    `token ${accessTokenShort(info, nowMs)}`,
    `generation ${info.generation}`,
    `${calls.ok} calls ok`,
    { text: `${calls.failed} failed`, paint: calls.failed === 0 ? colours.dim : colours.red },
  ])
  const [, ...lines] = table([], rows, colours.dim)
  return [...lines, ...statuses.flatMap(({ info }) => remedyFor(info) ?? []).map(printable)]
}

// ---- where it is said ----------------------------------------------------------------------------------------------

interface Screen {
  /** The status stays at the bottom and is drawn anew. */
  readonly inPlace: boolean
  log(line: string): void
  status(lines: readonly string[]): void
}

const UP_AND_CLEAR = (lines: number): string => (lines === 0 ? '' : `\u001b[${lines}A\u001b[J`)

function createScreen(output: Output, { output: stream, environment }: Surroundings): Screen {
  const inPlace = stream.isTTY === true && environment['TERM'] !== 'dumb'
  let drawn: readonly string[] = []
  const fits = (lines: readonly string[]): boolean =>
    lines.every((line) => stripVTControlCharacters(line).length < (stream.columns ?? 80))
  const write = (lines: readonly string[]): void => output.text(lines.map((line) => `${line}\n`).join(''))
  return {
    inPlace,
    log(line) {
      output.text(UP_AND_CLEAR(drawn.length))
      write([line, ...drawn])
    },
    status(lines) {
      if (!inPlace) {
        write(lines)
        return
      }
      output.text(UP_AND_CLEAR(drawn.length))
      // A line that the terminal breaks would be counted wrongly and leave its rest behind.
      drawn = fits(lines)
        ? lines
        : lines.map((line) => stripVTControlCharacters(line).slice(0, (stream.columns ?? 80) - 1))
      write(drawn)
    },
  }
}
