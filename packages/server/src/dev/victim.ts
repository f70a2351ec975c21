/**
 * The process that the tour kills: refreshes once, says so, waits for a word, then calls the API.
 *
 * Its access token is fresh then, so no refresh is on its way when it dies: an answer that is lost in the air is another
 * story, told in `PROTOCOL.md` section 6 and by the tests.
 */
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTokenkeep } from '@tokenkeep/node'
import type { VictimOrder, VictimWord } from './victim-process.ts'

const LOOK_EVERY_MS = 100

const input = createInterface({ input: process.stdin })
const lines = input[Symbol.asyncIterator]()
// Whoever was to kill it is gone.
input.once('close', () => process.exit(1))

const { value: order } = await lines.next()
const { open, id, api } = JSON.parse(String(order)) as VictimOrder
await using keep = await openTokenkeep({ ...open, background: false })
const { accessToken } = await keep.token(id)
while ((await keep.token(id)).accessToken === accessToken) await sleep(LOOK_EVERY_MS)
say('refreshed')
await lines.next()
say('calling')
await keep.fetchFor(id)(api)

function say(word: VictimWord): void {
  process.stdout.write(`${word}\n`)
}
