/** Plays one scenario with one peer. Whatever the driver does, there is a row in the end. */
import { DriverFailed } from './driver-child.ts'
import type { Row, Scenario } from './scenario.ts'
import { openStage, type StageOptions } from './stage.ts'

/** @param peer the name for the row */
export async function play(scenario: Scenario, peer: string, options: StageOptions): Promise<Row> {
  const startedAt = performance.now()
  const row = (counts: Row['counts'], remark: string): Row => ({
    scenario: scenario.name,
    peer,
    counts,
    remark,
    tookSeconds: Math.round((performance.now() - startedAt) / 1000),
  })
  const stage = await openStage(options)
  try {
    await scenario.play(stage)
    const { counts, remark } = await stage.finish()
    return row(counts, remark)
  } catch (error) {
    // Anything else is a mistake of ours, and is not laid at a driver's door.
    if (!(error instanceof DriverFailed)) throw error
    return row(null, `the driver: ${error.message}`)
  } finally {
    await stage.close()
  }
}
