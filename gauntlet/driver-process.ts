/** A driver in a process of its own: does what it is told, one order after another. */
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import type { Answer, Driver, Ended, Order } from './driver.ts'

/** Timers are late by a millisecond or two; the rest is waited for awake, so that processes meet in one instant. */
const AWAKE_MS = 4

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error('started without a driver')
// A driver exports the functions of `Driver`.
const driver = (await import(file)) as Driver

process.on('message', (message) => {
  // Sent by our own runner.
  const order = message as Order
  carryOut(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ number: order.number, failed: wordsOf(error) } satisfies Answer),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ number: 0, daemon: null } satisfies Answer)

async function carryOut(order: Order): Promise<Answer> {
  const { number } = order
  switch (order.do) {
    case 'start':
      return { number, daemon: (await driver.start(order.place)) ?? null }
    case 'seed':
      for (const [at, signIn] of order.signIns.entries()) {
        await driver.seed(signIn, at < order.signIns.length - 1 ? 'by_more' : 'by_none')
      }
      return { number, daemon: null }
    case 'call': {
      await pause(order.at - now() - AWAKE_MS)
      while (now() < order.at);
      const { ids, times, atOnce, limitMs } = order
      const calls = ids.flatMap((id) => Array.from({ length: times }, () => id))
      const ended: Ended[] = []
      const work = async (): Promise<void> => {
        for (let id = calls.shift(); id !== undefined; id = calls.shift()) ended.push(await call(id, limitMs))
      }
      await Promise.all(Array.from({ length: Math.min(atOnce, calls.length) }, work))
      return { number, ended: together(ended) }
    }
    case 'stop':
      await driver.stop()
      return { number, daemon: null }
    case 'crash':
      if (driver.crash === undefined) throw new Error('this driver has no daemon')
      return { number, daemon: await driver.crash() }
  }
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function call(id: string, limitMs: number): Promise<Ended> {
  const ended = (token: string | null, why: string): Ended => ({ id, token, why, count: 1 })
  const late = new AbortController()
  const hangs = pause(limitMs, ended(null, `no answer within ${limitMs / 1000} s`), { signal: late.signal })
  const answered = Promise.resolve()
    .then(() => driver.getToken(id))
    .then(
      (token: unknown) =>
        typeof token === 'string' && token !== '' ? ended(token, '') : ended(null, 'a token that is no text'),
      (error: unknown) => ended(null, wordsOf(error)),
    )
  try {
    return await Promise.race([answered, hangs])
  } finally {
    late.abort()
  }
}

function together(calls: readonly Ended[]): readonly Ended[] {
  const kinds = new Map<string, Ended>()
  for (const each of calls) {
    const kind = JSON.stringify([each.id, each.token, each.why])
    kinds.set(kind, { ...each, count: (kinds.get(kind)?.count ?? 0) + 1 })
  }
  return [...kinds.values()]
}

/** A few words: the OAuth error where there is one, else a code, else the message. */
function wordsOf(error: unknown): string {
  const said = error as Said | null
  const words = [said?.error, said?.data?.payload?.error, said?.cause?.code, said?.code, said?.message, said?.name]
  const word = String(words.find((each) => typeof each === 'string' && each !== '') ?? error)
  return (/"error": ?"([a-z_]+)"/.exec(word)?.[1] ?? word).slice(0, 60)
}

/** Where the libraries have what went wrong. */
interface Said {
  readonly error?: unknown
  readonly data?: { readonly payload?: { readonly error?: unknown } }
  readonly cause?: { readonly code?: unknown }
  readonly code?: unknown
  readonly message?: unknown
  readonly name?: unknown
}
