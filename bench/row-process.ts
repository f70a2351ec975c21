/** Measures one row in a process of its own, so that no row finds the heap, the caches or the compiled code of another. */
import process from 'node:process'
import { ROWS } from './rows.ts'

const name = process.argv[2] ?? ''
const row = ROWS.find((each) => each.name === name)
if (row === undefined || process.send === undefined)
  throw new Error(`this is started by run.ts, with the name of a row`)
process.send(await row.measure())
process.disconnect()
