import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tokenkeep } from '@tokenkeep/node'
import type { App } from '../src/http/app.ts'
import { endOrderly } from '../src/serve/orderly-end.ts'

/** What is told to the two that end, in its order. What they do is tried with the real ones in `serve.test.ts`. */
function recorded(answered: (keepClosed: Promise<void>) => Promise<unknown>) {
  const told: string[] = []
  const { promise: keepClosed, resolve } = Promise.withResolvers<void>()
  const app: Pick<App, 'stopping' | 'close'> = {
    stopping: () => void told.push('stopping'),
    close: async () => {
      told.push('no new request')
      await answered(keepClosed)
      told.push('all answered')
    },
  }
  const keep: Pick<Tokenkeep, 'close'> = {
    close: async () => {
      told.push('no new refresh')
      resolve()
    },
  }
  return { told, app: app as App, keep: keep as Tokenkeep }
}

test('requests that wait for nobody are answered before the database is closed', async () => {
  const { told, app, keep } = recorded(() => sleep(50))
  await endOrderly({ app, keep, drainMs: 0 })
  assert.deepEqual(told, ['stopping', 'no new request', 'all answered', 'no new refresh'])
})

test('those that wait for a refresh are not waited for: closing hears it out, and that answers them', async () => {
  const { told, app, keep } = recorded((keepClosed) => keepClosed)
  await endOrderly({ app, keep, drainMs: 0 })
  assert.deepEqual(told, ['stopping', 'no new request', 'no new refresh', 'all answered'])
})

test('it is not ready at once, and serves on while it drains', async () => {
  const { told, app, keep } = recorded(async () => undefined)
  const ended = endOrderly({ app, keep, drainMs: 100 })
  assert.deepEqual(told, ['stopping'])
  await sleep(20)
  assert.deepEqual(told, ['stopping'])
  await ended
  assert.equal(told.at(-1), 'no new refresh')
})
