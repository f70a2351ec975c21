/** `tokenkeep token ID` from a warm database, from the start of the process to its end. */
import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { openInstallation } from '../installation.ts'
import { alternate } from '../rounds.ts'
import type { Row } from '../row.ts'

const HOUR_MS = 3_600_000
const LAUNCHER = fileURLToPath(new URL('../../packages/server/bin/tokenkeep.js', import.meta.url))

export const startUp: Row<'time'> = {
  name: 'start-up',
  figures: {
    time: {
      name: 'start-up',
      reference: 'node -e 0',
      direction: 'at most',
      unit: 'ratio',
      bound: 4,
    },
  },
  processes: 1,
  async measure() {
    await using installation = await openInstallation({})
    const [id = ''] = await installation.connect('dealer', 1, HOUR_MS)
    const { accessToken } = await installation.keep.token(id)
    await installation.keep.close()
    const command = [LAUNCHER, '--data', dirname(installation.database), '--key-file', installation.keyFile]

    const subject = async (): Promise<{ time: number }> => {
      const { tookMs, output } = timed([...command, 'token', id])
      if (output !== `${accessToken}\n`) throw new Error('`tokenkeep token` printed something else than the token')
      return { time: tookMs }
    }
    const bare = async (): Promise<{ time: number }> => ({ time: timed(['-e', '0']).tookMs })
    return await alternate({ subject, reference: bare, copy: bare }, { rounds: 20, warmUp: 2 })
  },
}

function timed(parameters: readonly string[]): { readonly tookMs: number; readonly output: string } {
  const startedAt = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, parameters, { encoding: 'utf8', env: ENVIRONMENT })
  const tookMs = performance.now() - startedAt
  if (status !== 0) throw new Error(`exit code ${status ?? 'none'}: ${stderr}`)
  return { tookMs, output: stdout }
}

/** Ours without what would change where data and key are, or how Node starts. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(TOKENKEEP_|NODE_OPTIONS$|NODE_COMPILE_CACHE$)/.test(name)),
)
