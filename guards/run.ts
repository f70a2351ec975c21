/**
 * `npm run guards`: switches off each guard alone, in a copy of the sources, and sees its test fail;
 * `npm run guards -- --only 3` some of them, `npm run guards -- --write` writes `docs/guards.md`.
 *
 * The exit code is 1 where a guard is not caught or nothing is shown, 2 for a number that does not exist.
 */
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { documentOf, sumOf, type Result } from './document.ts'
import type { Guard, Removal } from './guard.ts'
import { GUARDS } from './guards.ts'
import { endAll } from './test-process.ts'
import { missingFor, tried, wrongControls, wrongUnchanged, type Verdict } from './verdict.ts'
import { makeWorkingCopy, type WorkingCopy } from './working-copy.ts'

const DOCUMENT = fileURLToPath(new URL('../docs/guards.md', import.meta.url))
// Each in a copy of its own. Some tests wait for other processes; more than two would make those late.
const AT_ONCE = 2

const { guards, write } = chosen()
const begun = performance.now()
await using cleanUp = new AsyncDisposableStack()
const copies: WorkingCopy[] = []
for (let count = 0; count < AT_ONCE; count += 1) copies.push(cleanUp.use(await makeWorkingCopy()))
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endAll()
    void cleanUp.disposeAsync().finally(() => process.exit(130))
  })
}
process.exitCode = (await believable()) ? await report(await playAll()) : 1

function chosen(): { guards: readonly Guard[]; write: boolean } {
  let values: { only?: string[] | undefined; write?: boolean | undefined }
  try {
    values = parseArgs({ options: { only: { type: 'string', multiple: true }, write: { type: 'boolean' } } }).values
  } catch {
    refuse('give --only <number>, as often as you like, or --write')
  }
  const { only, write: writes = false } = values
  if (only === undefined) return { guards: GUARDS, write: writes }
  if (writes) refuse('--write is for all guards together, so it does not go with --only')
  for (const asked of only) {
    if (GUARDS.some(({ number }) => String(number) === asked)) continue
    const known = GUARDS.map(({ number, name }) => `\n  ${String(number).padStart(2)}  ${name}`).join('')
    refuse(`no guard has the number ${asked}; there are${known}`)
  }
  return { guards: GUARDS.filter(({ number }) => only.includes(String(number))), write: false }
}

function refuse(message: string): never {
  process.stderr.write(`tokenkeep: ${message}\n`)
  process.exit(2)
}

/** Whether a failure will mean something: the tests pass as they are, and the copy is what they test. */
async function believable(): Promise<boolean> {
  const [one, other] = copies
  if (one === undefined || other === undefined) return false
  const wanted = guards
    .flatMap(({ removals }) => removals)
    .filter((removal) => missingFor(removal) === null)
    .map(({ caughtBy }) => caughtBy)
  const wrong = (await Promise.all([wrongControls(one), wrongUnchanged(other, wanted)])).flat()
  for (const sentence of wrong) process.stderr.write(`tokenkeep: ${sentence}\n`)
  return wrong.length === 0
}

async function playAll(): Promise<readonly Result[]> {
  const left = guards.flatMap((guard) => guard.removals.map((removal) => ({ guard, removal })))
  const verdicts = new Map<Removal, Verdict>()
  const all = [...left]
  await Promise.all(
    copies.map(async (copy) => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const verdict = await tried(copy, next.removal)
        verdicts.set(next.removal, verdict)
        process.stdout.write(`${lineOf({ ...next, verdict })}\n`)
      }
    }),
  )
  return all.map(({ guard, removal }) => {
    const verdict = verdicts.get(removal) ?? ({ kind: 'broken', because: 'it was not played' } as const)
    return { guard, removal, verdict }
  })
}

function lineOf({ guard, removal, verdict }: Result): string {
  const word = { caught: 'ok     ', missed: 'MISSED ', broken: 'BROKEN ', not_run: 'NOT RUN' }[verdict.kind]
  const more = verdict.kind === 'missed' ? '' : `\n          ${verdict.because}`
  return `${word} ${String(guard.number).padStart(2)} ${guard.name}: ${removal.what}${more}`
}

async function report(results: readonly Result[]): Promise<number> {
  const bad = results.filter(({ verdict }) => verdict.kind === 'missed' || verdict.kind === 'broken')
  const seconds = Math.round((performance.now() - begun) / 1000)
  process.stdout.write(`\ntokenkeep: ${sumOf(results)} (${seconds} s)\n`)
  for (const { number, name, open } of guards)
    if (open !== undefined) process.stdout.write(`tokenkeep: open, ${number} ${name}: ${open}\n`)
  for (const result of bad) process.stderr.write(`tokenkeep: ${lineOf(result)}\n`)
  if (write) await writeFile(DOCUMENT, await documentOf(GUARDS, results, DOCUMENT))
  return bad.length === 0 ? 0 : 1
}
