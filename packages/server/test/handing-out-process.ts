/** Another process on the same database: hands out one connection until it is refused; says why, and when it did last. */
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { ms } from '@tokenkeep/core'
import { openTokenkeep, TokenError } from '@tokenkeep/node'

const [path = '', keyFile = '', id = ''] = process.argv.slice(2)
const say = (line: string): void => void process.stdout.write(`${line}\n`)
await using keep = await openTokenkeep({ path, keyFile, numbers: { signOutTakesMs: ms(500) } })
say((await keep.token(id)).accessToken)
for (let last = Date.now(); ;) {
  try {
    await keep.token(id, { waitMs: 5_000 })
    last = Date.now()
    await pause(5)
  } catch (error) {
    say(JSON.stringify({ code: error instanceof TokenError ? error.code : String(error), last }))
    break
  }
}
