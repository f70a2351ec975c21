/**
 * `npm run explore`: plays every interleaving of each field and prints what it came to; `-- --field PART` only those with that
 * in their names, `--workers N` in so many threads; `--field NAME --path 0,0,7` tells the story of one.
 *
 * The exit code is 1 where something broke, 2 for what is not understood.
 */
import process from 'node:process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isAvoidable, type Loss } from '../losses.ts'
import type { Explored } from './explore.ts'
import { say } from '../say.ts'
import { exploreInThread } from './explore-thread.ts'
import { FIELDS } from './fields.ts'
import { tellStory } from './story.ts'

const WORKERS_MOST = 256
const { fields, workers, path } = chosen()
process.exitCode = path === null ? await exploreAll() : await tellOne(path)

async function tellOne(choices: readonly number[]): Promise<number> {
  const [field] = fields
  if (field === undefined || fields.length > 1) refuse('--path takes one whole name after --field')
  const told = await tellStory({
    ...field,
    path: choices,
    tells: true,
    territory: { arrives: () => 'go_on', wrote: () => undefined, timeGoesOn: () => undefined },
  })
  for (const line of told.story) say(line)
  if (told.loss !== null) say(`lost: ${told.loss}`)
  for (const sentence of told.broken) say(`BROKEN: ${sentence}`)
  if (told.broken.length === 0) say('everything held')
  return told.broken.length === 0 ? 0 : 1
}

async function exploreAll(): Promise<number> {
  const width = Math.max(...fields.map(({ name }) => name.length))
  const line = (name: string, ...cells: readonly (string | number)[]): string =>
    `${name.padEnd(width)}${cells
      .slice(0, -1)
      .map((cell) => String(cell).padStart(10))
      .join('')}   ${cells.at(-1)}`
  say(line('field', 'states', 'choices', 'stories', 'longest', 'seconds', 'broken', 'lost, and why'))
  const total = { states: 0, choices: 0, ended: 0, broken: 0, avoidable: 0, unavoidable: 0 }
  const begun = performance.now()
  const left = [...fields]
  await Promise.all(
    Array.from({ length: Math.min(workers, fields.length) }, async () => {
      for (let field = left.shift(); field !== undefined; field = left.shift()) {
        const from = performance.now()
        const explored = await exploreInThread(field)
        const why = [...explored.losses].sort(([, a], [, b]) => b - a).map(([loss, times]) => `${times} ${loss}`)
        const seconds = ((performance.now() - from) / 1000).toFixed(0)
        const { states, choices, ended, deepest, broken } = explored
        say(line(field.name, states, choices, ended, deepest, seconds, broken.length, why.join(', ') || '0'))
        for (const one of broken) {
          say(`  BROKEN: ${one.sentences.join('; ')}`)
          say(`  again: npm run explore -- --field ${field.name} --path ${one.path.join(',')}`)
        }
        total.states += states
        total.choices += choices
        total.ended += ended
        total.broken += broken.length
        total.avoidable += lost(explored, isAvoidable)
        total.unavoidable += lost(explored, (loss) => !isAvoidable(loss))
      }
    }),
  )
  const seconds = ((performance.now() - begun) / 1000).toFixed(0)
  say(
    `\n${fields.length} fields, ${total.states} states, ${total.choices} choices, ${total.ended} stories to their end, ${seconds} s`,
  )
  say(`${total.broken} broken; lost: ${total.avoidable} avoidably, ${total.unavoidable} unavoidably`)
  return total.broken > 0 ? 1 : 0
}

function lost({ losses }: Explored, counts: (loss: Loss) => boolean): number {
  return [...losses].reduce((sum, [loss, times]) => sum + (counts(loss) ? times : 0), 0)
}

function chosen() {
  const options = { field: { type: 'string' }, workers: { type: 'string' }, path: { type: 'string' } } as const
  let values: { [Name in keyof typeof options]?: string | undefined }
  try {
    values = parseArgs({ options }).values
  } catch {
    refuse('give --field NAME, --workers N, or with a field --path 0,1,2')
  }
  const name = values.field ?? ''
  const exact = FIELDS.filter((field) => field.name === name)
  const meant = exact.length > 0 ? exact : FIELDS.filter((field) => field.name.includes(name))
  if (meant.length === 0)
    refuse(
      `no field has ${JSON.stringify(name)} in its name; there are ${FIELDS.map((field) => field.name).join(', ')}`,
    )
  const threads = values.workers === undefined ? availableParallelism() : Number(values.workers)
  if (!Number.isInteger(threads) || threads < 1 || threads > WORKERS_MOST)
    refuse(`--workers takes a number from 1 to ${WORKERS_MOST}, not ${JSON.stringify(values.workers)}`)
  if (values.path !== undefined && !/^(\d{1,4}(,\d{1,4})*)?$/.test(values.path))
    refuse(`--path takes whole numbers with commas between them, not ${JSON.stringify(values.path)}`)
  return {
    fields: meant,
    workers: threads,
    path: values.path === undefined ? null : values.path.split(',').filter(Boolean).map(Number),
  }
}

function refuse(message: string): never {
  process.stderr.write(`tokenkeep: ${message}\n`)
  process.exit(2)
}
