/** The results as a table for people, on the screen and in `results.md`. */
import type { Finding, Result } from './scenario.ts'

const WORDS = { holds: 'ok', fails: 'FAILS', not_run: 'NOT RUN' } as const satisfies Record<Finding['verdict'], string>

export function tableOf(results: readonly Result[]): string {
  const rows = results.flatMap((result) =>
    result.findings.map((each) => [
      result.scenario,
      result.database,
      each.claim,
      each.measured,
      WORDS[each.verdict],
      result.measuredOn,
    ]),
  )
  const header = ['', 'database', 'must be so', 'measured', '', 'on']
  const cells = [header, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '/')))
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [first = [], ...others] = cells
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [line(first), rule, ...others.map(line)].join('\n')
}
