/** HTTP servers against a bare one, for the rows about routes: requests a second, and how long the slowest hundredth waits. */
import { secondCopy } from './copy.ts'
import { startLoadDriver, type Load } from './load.ts'
import { startBareServer, type BareAnswer } from './references/bare-server.ts'
import { alternate } from './rounds.ts'
import type { Series } from './row.ts'

const CONNECTIONS = 32
const ROUND_MS = 500

/**
 * Puts the same load on a route and on a bare `node:http` server with a fixed answer, in turn.
 *
 * @param subject the route's URL with method, headers and body; its server may run in this process or in another
 * @param bare the fixed answer: as long as the subject's, and whether the body of a request is read first
 */
export async function compareWithBareServer(
  subject: Omit<Load, 'connections' | 'forMs'>,
  bare: BareAnswer,
): Promise<Readonly<Record<'rate' | 'p99', Series>>> {
  const { startBareServer: startAgain } = await secondCopy<typeof import('./references/bare-server.ts')>(
    new URL('references/bare-server.ts', import.meta.url),
  )
  await using driver = startLoadDriver()
  await using reference = await startBareServer(bare)
  await using copy = await startAgain(bare)
  const round = (url: string) => async () => {
    const { perSecond, p99Ms } = await driver.run({ ...subject, url, connections: CONNECTIONS, forMs: ROUND_MS })
    return { rate: perSecond, p99: p99Ms }
  }
  return await alternate(
    { subject: round(subject.url), reference: round(reference.url), copy: round(copy.url) },
    { rounds: 12, warmUp: 2 },
  )
}
