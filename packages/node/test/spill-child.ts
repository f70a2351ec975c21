/**
 * An owner that keeps answers in its slots and is then killed: `<folder> <owner> <how many> <cleared>`.
 *
 * The last line of its output is what it kept, as JSON; the first `cleared` of them it cleared again.
 */
import process from 'node:process'
import type { OwnerId, Spilled } from '@tokenkeep/core'
import { createLiveness } from '../src/liveness.ts'
import { createSpill } from '../src/spill-slots.ts'
import { answer, roomIn, sealerFor } from './spill-answers.ts'

const [folder = '', name = '', count = '1', cleared = '0'] = process.argv.slice(2)
const owner = name as OwnerId
await createLiveness({ folder, owner })
const spill = createSpill({ folder, owner })
const sealer = await sealerFor()
const entries: Spilled[] = []
for (let n = 0; n < Number(count); n += 1) {
  entries.push(await spill.keep(await roomIn(spill, sealer), answer(sealer, { attempt: `attempt-${n}` })))
}
for (const entry of entries.slice(0, Number(cleared))) await spill.clear(entry)
process.stdout.write('kept\n')
setInterval(() => undefined, 1000)
