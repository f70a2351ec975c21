/** 10,000 callers who ask at once for one connection whose access token has expired, until the last of them is served. */
import { openInstallation } from '../installation.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'
import { startTokenEndpoint } from '../token-endpoint.ts'

const CALLERS = 10_000
/** As slow as a provider is: what callers wait for, and what their crowd must not make much longer. */
const ENDPOINT_MS = 100
const EXPIRED_MS = -1000

export const waiters: Row<'time'> = {
  name: 'waiters',
  figures: {
    time: {
      name: 'waiters',
      reference: 'one caller, token endpoint of 100 ms',
      direction: 'at most',
      unit: 'ratio',
      bound: 1.3,
    },
  },
  processes: 1,
  async measure() {
    await using endpoint = await startTokenEndpoint({ delayMs: ENDPOINT_MS })
    await using installation = await openInstallation({ tokenEndpoint: endpoint.url })
    const { keep } = installation

    let crowd = 0
    const many = async (): Promise<{ time: number }> => {
      crowd += 1
      const [id = ''] = await installation.connect(`crowd-${crowd}`, 1, EXPIRED_MS)
      const startedAt = performance.now()
      const callers: Promise<unknown>[] = []
      for (let caller = 0; caller < CALLERS; caller += 1) callers.push(keep.token(id))
      await Promise.all(callers)
      return { time: performance.now() - startedAt }
    }
    let alone = 0
    const one = async (): Promise<{ time: number }> => {
      alone += 1
      const [id = ''] = await installation.connect(`alone-${alone}`, 1, EXPIRED_MS)
      const startedAt = performance.now()
      await keep.token(id)
      return { time: performance.now() - startedAt }
    }
    return await alternate({ subject: many, reference: one, copy: one }, { rounds: 12, warmUp: 3 })
  },
}
