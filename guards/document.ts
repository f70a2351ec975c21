/** `docs/guards.md`, from what came of a whole run. */
import process from 'node:process'
import { format, resolveConfig } from 'prettier'
import type { Guard, Removal } from './guard.ts'
import type { Verdict } from './verdict.ts'

export interface Result {
  readonly guard: Guard
  readonly removal: Removal
  readonly verdict: Verdict
}

const WORDS = { caught: 'caught', missed: '**not caught**', broken: '**not shown**', not_run: 'NOT RUN' } as const

/** One line about all of them. */
export function sumOf(results: readonly Result[]): string {
  const count = (kind: Verdict['kind']): number => results.filter(({ verdict }) => verdict.kind === kind).length
  const numbers = new Set(results.map(({ guard }) => guard.number))
  const notRun = count('not_run') === 0 ? '' : `, ${count('not_run')} not run for lack of a part`
  return `${count('caught')} of ${results.length} removals of ${numbers.size} guards are caught${notRun}`
}

/** @param path where it will stand, for its form */
export async function documentOf(guards: readonly Guard[], results: readonly Result[], path: string): Promise<string> {
  const open = guards.filter((guard) => guard.open !== undefined)
  const day = new Date().toISOString().slice(0, 10)
  const text = `# Guards

Each guard that the rotation protocol names is switched off alone, by a change of the source in a copy of it, and the test that was written for it must fail.
The table is written by \`npm run guards -- --write\`; [\`guards/\`](../guards/README.md) has the changes. A cheap check in \`npm test\` sees that
each change still fits the source, and that this page is of these guards.

Last run on ${day}, Node ${process.versions.node} on ${process.platform}: ${sumOf(results)}.

| # | Guard | What it protects | Removed | The test that fails |  |
| - | ----- | ---------------- | ------- | ------------------- | - |
${results.map((result) => rowOf(result)).join('\n')}

## What no removal shows

${open.length === 0 ? 'Nothing.' : open.map(({ number, name, open: why }) => `- **${number}, ${name}**: ${why}`).join('\n')}
`
  return format(text, { ...(await resolveConfig(path)), filepath: path })
}

function rowOf({ guard, removal, verdict }: Result): string {
  const first = guard.removals[0] === removal
  const { file, test } = removal.caughtBy
  const how = verdict.kind === 'caught' && verdict.hung ? 'caught: it never ended' : WORDS[verdict.kind]
  const cells = [
    first ? guard.number : '',
    first ? guard.name : '',
    first ? guard.protects : '',
    removal.what,
    `${test} (\`${file.replace('packages/', '').replace('/test/', '/')}\`)`,
    how,
  ]
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '/')).join(' | ')} |`
}
