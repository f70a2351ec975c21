/** The rows as a table for people, on the screen and in `results.md`. */
import type { Counts, Row } from './scenario.ts'

const HEADER = [
  'scenario',
  'peer',
  'refreshes per expiry',
  'second presentations',
  'logins killed',
  'logins lost',
  'bad calls',
  'failed calls while the server was out',
  'why, and notes',
] as const

export function tableOf(rows: readonly Row[]): string {
  return layOut([HEADER, ...rows.map(({ scenario, peer, counts, remark }) => cellsOf(scenario, peer, counts, remark))])
}

function cellsOf(scenario: string, peer: string, counts: Counts | null, remark: string): readonly string[] {
  if (counts === null) return [scenario, peer, '', '', '', '', '', '', `NOT PLAYED TO THE END: ${remark}`]
  const { expiries, refreshes, secondPresentations, logins, killed, lost, calls, bad, out } = counts
  return [
    scenario,
    peer,
    // Where tokens are refreshed ahead, expiries do not come to pass and say nothing.
    out.length > 0 ? '' : (refreshes / expiries).toFixed(2),
    String(secondPresentations),
    `${killed} of ${logins}`,
    `${lost} of ${logins}`,
    `${bad} of ${calls}`,
    out.map((each) => `${each.when}: ${each.failed} of ${each.calls}`).join('; '),
    remark,
  ]
}

/** A Markdown table whose columns are as wide as their widest cell. */
export function layOut(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '/').replaceAll('\n', ' ')))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [first = [], ...others] = cells
  return [line(first), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others.map(line)].join('\n')
}
