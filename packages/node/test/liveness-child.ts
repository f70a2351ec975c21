/**
 * A manager's sign of life in a process of its own: told by the first argument, in the state folder of the second.
 *
 * `own <folder> <owner>`: lives until a line comes on its input, then ends as it should.
 * `judge <folder> <owner> <other>`: says what it makes of another owner when a line comes, and holds a proof until the next.
 * `hunt <folder> <owner>`: looks at every owner all the time from one line to the next, then says how many deaths it proved.
 */
import { once } from 'node:events'
import process from 'node:process'
import type { OwnerId } from '@tokenkeep/core'
import { createLiveness } from '../src/liveness.ts'

const [what, folder = '', owner = '', other = ''] = process.argv.slice(2)
const liveness = await createLiveness({ folder, owner: owner as OwnerId })
process.stdout.write('ready\n')
await once(process.stdin, 'data')
if (what === 'hunt') await hunt()
if (what === 'judge') {
  const judged = await liveness.judge(other as OwnerId, null)
  process.stdout.write(typeof judged === 'string' ? `${judged}\n` : 'dead\n')
  await once(process.stdin, 'data')
  if (typeof judged !== 'string') judged.release(true)
}
liveness.close()
process.stdin.destroy()

async function hunt(): Promise<void> {
  let over = false
  let proven = 0
  process.stdin.once('data', () => (over = true))
  while (!over) {
    for (const one of await liveness.others()) {
      const judged = await liveness.judge(one, null)
      if (typeof judged === 'string') continue
      proven += 1
      judged.release(true)
    }
    await new Promise((turn) => setImmediate(turn))
  }
  process.stdout.write(`${proven}\n`)
}
