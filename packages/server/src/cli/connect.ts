/** `tokenkeep connect PROVIDER`: a person signs in in a browser, and the sign-in is kept. */
import { randomBytes } from 'node:crypto'
import { TokenError, type ConnectionInfo } from '@tokenkeep/core'
import type { ConnectSessionInput, DeviceSignInInput } from '@tokenkeep/node'
import { connectionLines } from './connection.ts'
import { Interrupted, withFolder, withServer, type Context } from './context.ts'
import { listenForAnswer } from './loopback-listener.ts'
import { openInBrowser } from './open-in-browser.ts'
import { printable, shellWord } from './printable.ts'
import { findServer } from './server-place.ts'
import { signInFailed, tooLate } from './sign-in-failed.ts'

export interface ConnectArguments {
  readonly id?: string
  readonly client?: string
  readonly scope?: string
  readonly resource?: readonly string[]
  readonly label?: Readonly<Record<string, string>>
  readonly otherAccount?: boolean
  /** The person signs in on another device (RFC 8628). */
  readonly device?: boolean
  readonly port?: number
  /** False: the URL is only printed. */
  readonly open: boolean
  /** Seconds. */
  readonly wait?: number
}

const WAIT_SECONDS = 600
const LOOK_EVERY_MS = 1000
/** A longer delay overflows to 1 ms in Node. */
const WAIT_MS_MAX = 2 ** 31 - 1

/** @throws TokenError `sign_in_failed`, and what making a connect session throws */
export async function connect(context: Context, provider: string, given: ConnectArguments): Promise<void> {
  const waitMs = Math.min((given.wait ?? WAIT_SECONDS) * 1000, WAIT_MS_MAX)
  const asked: DeviceSignInInput = {
    provider,
    client: given.client,
    connection: given.id,
    labels: given.label,
    scope: given.scope,
    resource: given.resource,
    otherAccount: given.otherAccount,
  }
  const input = { ...asked, expiresInMs: Math.min(Math.max(waitMs, 1000), 7 * 24 * 3_600_000) }
  const until = context.around.now() + waitMs
  const info =
    given.device === true
      ? await (
          await import('./connect-device.ts')
        ).connectDevice(context, asked, {
          port: given.port,
          // Absent: as long as the code lives.
          waitMs: given.wait === undefined ? undefined : waitMs,
        })
      : findServer(context.options, context.around) === null
        ? await connectHere(context, input, { ...given, until })
        : await connectAtServer(context, input, { ...given, until })
  context.output.answer(info, () => [
    ...connectionLines(info, context),
    '',
    `Next: tokenkeep token ${shellWord(info.id)}`,
  ])
}

type Waiting = ConnectArguments & { readonly until: number }

/** With a listener on this machine, to which the provider sends the browser back (RFC 8252 section 7.3). */
async function connectHere(context: Context, input: ConnectSessionInput, given: Waiting): Promise<ConnectionInfo> {
  return withFolder(context, async (keep) => {
    const { session, link } = await keep.connectSessions.create(input)
    // Only this process knows it: an answer is taken by whoever sent the browser away.
    const boundTo = randomBytes(32).toString('base64url')
    await using listener = await listenForAnswer({
      port: given.port ?? 0,
      path: `/connect/callback/${session.provider}`,
      finish: (answer) => keep.connectSessions.finish(answer, { boundTo, provider: session.provider }),
    })
    const { url } = await keep.connectSessions.begin(link, { redirectUri: listener.redirectUri, boundTo })
    show(context, { url, provider: session.provider, redirectUri: listener.redirectUri, open: given.open })
    const finished = await untilOver(context, given.until, listener.finished)
    if (finished.kind === 'failed') throw signInFailed(finished.because, session.provider)
    return await keep.connections.get(session.connection)
  })
}

/** The server has the pages; here the link is shown and what becomes of it is looked at. */
async function connectAtServer(context: Context, input: ConnectSessionInput, given: Waiting): Promise<ConnectionInfo> {
  if (given.port !== undefined)
    throw new TokenError(
      'invalid_input',
      '--port is for signing in on this machine: a server has an address of its own',
    )
  return withServer(context, async (keep) => {
    const { id, provider, connection, url } = await keep.connectSessions.create(input)
    show(context, { url, provider, redirectUri: null, open: given.open })
    for (;;) {
      await untilOver(context, given.until, new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS)))
      const { status, failure } = await keep.connectSessions.get(id)
      if (status === 'connected') return keep.connections.get(connection)
      if (failure !== null) throw signInFailed(failure, provider)
      if (status === 'expired') throw tooLate()
    }
  })
}

function show(
  { output, around }: Context,
  of: { readonly url: string; readonly provider: string; readonly redirectUri: string | null; readonly open: boolean },
): void {
  if (output.json) {
    output.line({ url: of.url, redirectUri: of.redirectUri })
    return
  }
  const opened = of.open && openInBrowser(of.url, around)
  const what = opened ? 'A browser opens this address, where you sign in' : 'Open this address in a browser to sign in'
  output.text(`${what} at ${printable(of.provider)}:\n\n  ${printable(of.url)}\n\n`)
  if (of.redirectUri !== null)
    output.aside(`The provider sends the browser back to ${of.redirectUri}, which has to be registered there.`)
  output.aside('Waiting. Ctrl-C ends it.')
}

async function untilOver<Value>({ around }: Context, until: number, waited: Promise<Value>): Promise<Value> {
  const { signal } = around.interruption
  if (signal.aborted) throw new Interrupted()
  const over = Promise.withResolvers<never>()
  const timer = setTimeout(() => over.reject(tooLate()), Math.max(0, until - around.now()))
  const interrupt = (): void => over.reject(new Interrupted())
  signal.addEventListener('abort', interrupt, { once: true })
  try {
    return await Promise.race([waited, over.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', interrupt)
  }
}
