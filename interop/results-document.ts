/** `results.md`, and the two tables of the README: what was played, with what, and how it went. Nothing here asks anybody. */
import { layOut } from '../gauntlet/table.ts'
import type { FleetCount } from './counting.ts'
import type { ClientResult, KeycloakResult } from './row.ts'

/** When and with which Tokenkeep a row was played. */
interface Measured {
  /** The calendar day, UTC. */
  readonly measuredOn: string
  /** Version and commit. */
  readonly tokenkeep: string
}

export interface Recorded {
  readonly keycloak: string
  readonly java: string
  readonly node: string
  readonly system: string
  readonly cores: number
  /** In the order of the table. */
  readonly rows: readonly (KeycloakResult & Measured & { readonly about: string })[]
  readonly clients: readonly (ClientResult & Measured)[]
}

export function resultsDocument(recorded: Recorded): string {
  const { keycloak, java, node, system, cores, rows, clients } = recorded
  return `# Tokenkeep among strangers

Written by \`npm run interop\` on ${inWords([...rows, ...clients].map(({ measuredOn }) => measuredOn))}. Keycloak ${keycloak} on Java ${java}; Tokenkeep ${inWords([...rows, ...clients].map(({ tokenkeep }) => tokenkeep))}; Node ${node} on ${system}, ${cores} cores.
How it is done, and what the columns mean, says [README.md](README.md).

## Tokenkeep at Keycloak

${layOut([
  [
    'row',
    'what happens',
    'refreshes granted',
    'refused',
    'presentations of one refresh token, at most',
    'logins lost',
    'seen',
  ],
  ...rows.map(rowOf),
])}

## Unmodified clients

${layOut([
  [
    'client',
    'version',
    'at Keycloak: tokens',
    'processes that lost the login',
    'in its words',
    'at Tokenkeep: tokens',
    'processes that lost the login',
    'refreshes upstream',
    'presentations of one refresh token, at most',
  ],
  ...clients.map(clientRowOf),
])}
`
}

function rowOf({ name, about, played, failed }: Recorded['rows'][number]): readonly string[] {
  if (played === null) return [`\`${name}\``, about, '', '', '', '', `NOT AS IT MUST: ${failed}`]
  const { presented, logins, lost, seen } = played
  const counts = presented === null ? ['', '', ''] : [presented.granted, presented.refused, presented.mostOfOne]
  return [`\`${name}\``, about, ...counts.map(String), `${lost} of ${logins}`, seen]
}

function clientRowOf({ name, version, straight, dropIn, failed }: ClientResult): readonly string[] {
  if (straight === null || dropIn === null) return [name, version, '', '', `NOT PLAYED: ${failed}`, '', '', '', '']
  return [
    name,
    version,
    tokensOf(straight),
    lostOf(straight),
    straight.because ?? '',
    tokensOf(dropIn),
    lostOf(dropIn),
    String(dropIn.refreshes),
    String(dropIn.mostOfOne),
  ]
}

const tokensOf = ({ granted, expiries }: FleetCount): string => `${granted} of ${expiries}`
const lostOf = ({ lost, processes }: FleetCount): string => `${lost} of ${processes}`

/** The tables that the README has to show as they are here: a check compares. */
export function readmeTables({ rows, clients }: Recorded): { readonly keycloak: string; readonly clients: string } {
  return {
    keycloak: layOut([
      ['', 'Refreshes', 'Presentations of one refresh token, at most', 'Logins lost'],
      ...rows.flatMap(({ about, played }) =>
        played === null || played.presented === null
          ? []
          : [
              [
                about,
                String(played.presented.granted),
                String(played.presented.mostOfOne),
                `${played.lost} of ${played.logins}`,
              ],
            ],
      ),
    ]),
    clients: layOut([
      ['', 'Straight at Keycloak: tokens', 'lost the login', 'At Tokenkeep: tokens', 'lost the login'],
      ...clients.flatMap(({ version, straight, dropIn }) =>
        straight === null || dropIn === null
          ? []
          : [[version, tokensOf(straight), `**${lostOf(straight)}**`, tokensOf(dropIn), lostOf(dropIn)]],
      ),
    ]),
  }
}

const inWords = (words: readonly string[]): string => [...new Set(words)].sort().join(', ')
