/** Hands out as often as it is told, then says so and goes on living, until it is killed. Its orders come as one JSON line. */
import process from 'node:process'
import { createInterface } from 'node:readline'
import { openTokenkeep } from '../src/open.ts'

interface Orders {
  readonly path: string
  readonly keyFile: string
  readonly id: string
  readonly written: number
  readonly unwritten: number
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { path, keyFile, id, written, unwritten } = JSON.parse((await lines.next()).value ?? '') as Orders
const keep = await openTokenkeep({ path, keyFile, keyBesideData: true, background: false })
for (let count = 0; count < written; count += 1) await keep.token(id)
// Whoever reads has what it counted written first.
await keep.handOuts.list()
for (let count = 0; count < unwritten; count += 1) await keep.token(id)
process.stdout.write('counted\n')
setInterval(() => undefined, 60_000)
