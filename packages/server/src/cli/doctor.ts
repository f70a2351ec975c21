/** `tokenkeep doctor`: looks at everything that can be wrong with an installation, and says what to do. */
import { TokenError } from '@tokenkeep/core'
import { summaryOf, inOrder, linesOf } from '../doctor/report.ts'
import { createLooks, hung } from '../doctor/looks.ts'
import { examineHere, hereMs } from '../doctor/examine-here.ts'
import { examineServer, SERVER_MS } from '../doctor/examine-server.ts'
import type { Context } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { findServer } from './server-place.ts'
import { supervised, tellBegun } from './supervised.ts'

/** With the settings of `serve`, as commander has them. */
export interface DoctorArguments extends Readonly<Record<string, unknown>> {
  readonly offline?: boolean
  readonly quickCheck?: boolean
}

/** For the start of a Node on a busy machine, and the writing of the answer. */
const MARGIN_MS = 3_000

/**
 * @returns 0 where nothing needs attention, else 6
 * @throws TokenError `invalid_input` for options that contradict each other
 */
export async function doctor(
  context: Context,
  { given, version }: { readonly given: DoctorArguments; readonly version: string },
): Promise<number> {
  const { around, output, options } = context
  const { offline = false, quickCheck = false, ...flags } = given
  const server = findServer(options, around)
  if (server !== null && (offline || quickCheck)) {
    const option = offline ? '--offline' : '--quick-check'
    throw new TokenError(
      'invalid_input',
      `${server.said} names a server, and ${option} is for this machine: leave one out`,
    )
  }
  const asked = { flags, offline, quickCheck, version }
  const supervision = await supervised(around, (server === null ? hereMs(asked) : SERVER_MS) + MARGIN_MS)
  if (supervision.kind === 'ended') return supervision.code

  const looks = createLooks({ debug: debugging(context), begun: tellBegun })
  if (supervision.kind === 'hung') looks.findings.push(hung(supervision.during))
  else if (server === null) await examineHere(context, asked, looks)
  else await examineServer(context, { server, own: version }, looks)
  // A copy, because looks that were given up go on finding.
  const findings = inOrder([...looks.findings])
  const summary = summaryOf(findings)
  output.answer({ ...summary, version, findings }, () => linesOf(findings, output.colours))
  return summary.wrong > 0 ? EXIT.operator : EXIT.ok
}

const debugging =
  ({ around }: Context) =>
  (error: unknown): void => {
    if (!around.environment['TOKENKEEP_DEBUG']) return
    around.complaints.write(`${error instanceof Error ? (error.stack ?? error.name) : typeof error}\n`)
  }
