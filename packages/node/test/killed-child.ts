/** Refreshes as fast as it can until it is killed. Its orders come as one JSON line on stdin. */
import process from 'node:process'
import { createInterface } from 'node:readline'
import { TokenError } from '@tokenkeep/core'
import { openTokenkeep } from '../src/open.ts'

interface Orders {
  readonly path: string
  readonly keyFile: string
  readonly ids: readonly string[]
  readonly life: number
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { path, keyFile, ids, life } = JSON.parse((await lines.next()).value ?? '') as Orders
const keep = await openTokenkeep({ path, keyFile, keyBesideData: true })
process.stdout.write('open\n')

const work = async (id: string): Promise<void> => {
  for (let call = 0; ; call += 1) {
    try {
      // A resource never asked for before: no remembered token will do, so each call is a rotation.
      await keep.token(id, { resource: `https://api.example/${life}/${call}`, waitMs: 1_000 })
      process.stdout.write(`ok ${id}\n`)
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      process.stdout.write(`${error.code} ${id}\n`)
      if (!error.retryable) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
await Promise.all(ids.map(work))
