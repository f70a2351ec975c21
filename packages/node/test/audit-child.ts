/** Deletes a connection whose provider does not answer, until it is killed. Its orders come as one JSON line. */
import process from 'node:process'
import { createInterface } from 'node:readline'
import { openTokenkeep } from '../src/open.ts'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { path, keyFile, id } = JSON.parse((await lines.next()).value ?? '') as Record<'path' | 'keyFile' | 'id', string>
const keep = await openTokenkeep({ path, keyFile, keyBesideData: true, background: false })
void keep.connections.delete(id).catch(() => undefined)
setInterval(() => undefined, 60_000)
