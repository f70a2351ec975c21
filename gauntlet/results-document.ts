/** `results.md`: who was there, what was done, and how it went. */
import { PEERS } from './peers.ts'
import type { Row } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'
import { layOut, tableOf } from './table.ts'

export interface Recorded {
  readonly node: string
  readonly cores: number
  readonly system: string
  /** Each with its calendar day, UTC, and what was played, by version. */
  readonly rows: readonly (Row & { readonly measuredOn: string; readonly versions: string })[]
}

export function resultsDocument({ node, cores, system, rows }: Recorded): string {
  const days = [...new Set(rows.map(({ measuredOn }) => measuredOn))].sort().join(', ')
  const played = SCENARIOS.filter(({ name }) => rows.some(({ scenario }) => scenario === name))
  const there = PEERS.filter(({ name }) => rows.some(({ peer }) => peer === name))
  return `# The gauntlet

Written by \`npm run gauntlet\` on ${days}. Node ${node} on ${system}, ${cores} cores. What the columns mean, and how it is kept fair, says [README.md](README.md).

## Logins lost

${layOut([
  ['', ...played.map(({ title }) => title)],
  ...there.map(({ name }) => [name, ...played.map((scenario) => lostOf(rows, scenario.name, name))]),
])}

## Scenarios

${layOut([['name', 'what happens'], ...played.map(({ name, about }) => [`\`${name}\``, about])])}

## Peers

${layOut([['peer', 'version', 'how'], ...there.map((peer) => [peer.name, versionsIn(rows, peer.name), peer.note])])}

## All of it

${tableOf(rows)}
`
}

function versionsIn(rows: Recorded['rows'], name: string): string {
  return [...new Set(rows.filter(({ peer }) => peer === name).map(({ versions }) => versions))].join('; ')
}

function lostOf(rows: readonly Row[], scenario: string, peer: string): string {
  const counts = rows.find((row) => row.scenario === scenario && row.peer === peer)?.counts
  if (counts === undefined) return ''
  return counts === null ? 'not played' : `${counts.lost} of ${counts.logins}`
}
