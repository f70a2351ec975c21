/** Results as a table for a terminal, which is a table in Markdown, too. */
import type { Result } from './row.ts'

const HEAD = ['row', 'reference', 'median', 'middle half', 'bound', 'noise floor', ''] as const

export function tableOf(results: readonly Result[]): string {
  const lines = [HEAD, ...results.map(cellsOf)]
  const widths = HEAD.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  const rule = widths.map((width) => '-'.repeat(width))
  return [HEAD, rule, ...lines.slice(1)].map(line).join('\n')
}

function cellsOf({ row, reference, ratio, low, high, direction, bound, noise, unit, ok }: Result): readonly string[] {
  const shown = (value: number): string => (unit === 'ms' ? `${value.toFixed(1)} ms` : value.toFixed(2))
  return [
    row,
    reference,
    shown(ratio),
    `${shown(low)} to ${shown(high)}`,
    bound === null ? '-' : `${direction} ${shown(bound)}`,
    `±${noise.toFixed(2)}`,
    bound === null ? '' : ok ? 'ok' : 'MISSED',
  ]
}
