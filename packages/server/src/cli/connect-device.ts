/** `tokenkeep connect PROVIDER --device`: a person types a code in a browser somewhere else, and the sign-in is kept (RFC 8628). */
import { TokenError, type ConnectionInfo } from '@tokenkeep/core'
import type { DeviceSignIn, DeviceSignInInput } from '@tokenkeep/node'
import { Interrupted, withFolder, type Context } from './context.ts'
import { printable } from './printable.ts'
import { findServer } from './server-place.ts'
import { signInFailed, tooLate } from './sign-in-failed.ts'

/** @throws TokenError `sign_in_failed`, and what beginning a sign-in on a device throws */
export async function connectDevice(
  context: Context,
  input: DeviceSignInInput,
  { port, waitMs }: { readonly port: number | undefined; readonly waitMs: number | undefined },
): Promise<ConnectionInfo> {
  if (port !== undefined)
    throw wrong('--port is where a browser comes back to, and with --device none does: leave one of them out')
  const server = findServer(context.options, context.around)
  if (server !== null)
    throw wrong(
      `--device waits on the machine of the data, and ${server.said} names a server: run it there, or leave --device out ` +
        'and open the link of the server on any device',
    )
  return withFolder(context, async (keep) => {
    const signIn = await keep.deviceSignIns.begin(input)
    show(context, signIn)
    const { signal } = context.around.interruption
    const late = new AbortController()
    const timer = waitMs === undefined ? undefined : setTimeout(() => late.abort(), waitMs)
    const finished = await signIn.finished(AbortSignal.any([signal, late.signal])).finally(() => clearTimeout(timer))
    switch (finished.kind) {
      case 'connected':
        return keep.connections.get(finished.connection)
      case 'failed':
        throw finished.because === 'expired' ? codeOver() : signInFailed(finished.because, signIn.provider)
      case 'stopped':
        throw signal.aborted ? new Interrupted() : tooLate()
    }
  })
}

function show({ output }: Context, signIn: DeviceSignIn): void {
  const { provider, connection, userCode, verificationUri, verificationUriComplete, expiresAt, intervalMs } = signIn
  if (output.json) {
    output.line({ connection, userCode, verificationUri, verificationUriComplete, expiresAt, intervalMs })
    return
  }
  const { bold } = output.colours
  const whole =
    verificationUriComplete === null
      ? ''
      : `Or open this address, which has the code in it:\n\n    ${printable(verificationUriComplete)}\n\n`
  output.text(
    `To sign in at ${printable(provider)}, open this address in a browser on any device:\n\n` +
      `    ${bold(printable(verificationUri))}\n\nand type this code:\n\n    ${bold(printable(userCode))}\n\n${whole}`,
  )
  output.aside('Waiting. Ctrl-C ends it.')
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)

const codeOver = (): TokenError =>
  new TokenError('sign_in_failed', 'nobody signed in before the code ended, so nothing was changed: begin again')
