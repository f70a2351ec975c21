/** Findings as people read them: grouped by area, short lines, what to do beneath what is wrong. */
import type { Output } from '../cli/output.ts'
import { printable } from '../cli/printable.ts'
import { AREAS } from './catalogue.ts'
import { counted, type Finding, type Verdict } from './finding.ts'

const WIDTH = 80
const INDENT = '         '
const TITLES: Readonly<Record<string, string>> = {
  program: 'Program',
  configuration: 'Configuration',
  key: 'Master key',
  folder: 'Data folder',
  processes: 'Processes of this host',
  database: 'Database',
  server: 'Server',
  clock: 'Clock',
  providers: 'Providers',
  clients: 'Clients',
  connections: 'Connections',
  doctor: 'Not looked at',
}

export interface Summary {
  readonly wrong: number
  readonly notes: number
  readonly ok: number
}

export const summaryOf = (findings: readonly Finding[]): Summary => {
  const count = (verdict: Verdict): number => findings.filter(({ is }) => is === verdict).length
  return { wrong: count('wrong'), notes: count('note'), ok: count('ok') }
}

/** In the order of the catalogue; within an area as they were found. */
export const inOrder = (findings: readonly Finding[]): readonly Finding[] =>
  AREAS.flatMap((area) => findings.filter((finding) => finding.area === area))

export function linesOf(findings: readonly Finding[], { bold, dim, red, yellow, green }: Output['colours']): string[] {
  const paint = { ok: green, note: yellow, wrong: red }
  const lines: string[] = []
  for (const area of AREAS) {
    const own = findings.filter((finding) => finding.area === area)
    if (own.length === 0) continue
    lines.push(bold(TITLES[area] ?? area))
    for (const { is, says, todo } of own) {
      const [first = '', ...more] = wrapped(printable(says))
      lines.push(`  ${paint[is](is.padEnd(5))}  ${first}`, ...more.map((line) => `${INDENT}${line}`))
      if (todo !== null) lines.push(...wrapped(`-> ${printable(todo)}`).map((line) => `${INDENT}${dim(line)}`))
    }
  }
  const { wrong, notes, ok } = summaryOf(findings)
  const all = `${counted(wrong, 'thing is', 'things are')} wrong, ${counted(notes, 'note')}, ${ok} as they should be`
  lines.push('', (wrong > 0 ? red : green)(all))
  return lines
}

/** Words that are longer than a line stay whole, so that they can be copied. */
function wrapped(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH - INDENT.length) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
