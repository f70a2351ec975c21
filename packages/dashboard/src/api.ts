/** One request to the HTTP API, and what the page learns from every answer beside it: the server's clock, and that it is there. */
import type { ProblemBody } from './contract.ts'
import { heard, silent } from './link.ts'

/** What went wrong, in the server's own sentence. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: string
  /** 0: there was no answer. */
  readonly status: number

  constructor(status: number, code: string, detail: string) {
    super(detail)
    this.status = status
    this.code = code
  }
}

const TIMEOUT_MS = 20_000
let signedOut: (() => void) | null = null
/** Who is to know that nobody is signed in any more. */
export const onSignedOut = (tell: () => void): void => void (signedOut = tell)

let aheadMs = 0
/** By the server's clock, epoch milliseconds: only that one knows when something is due. */
export const serverNow = (): number => Date.now() + aheadMs

export async function ask<T>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  const answer = await send(method, path, body, headers)
  noteClock(answer.headers.get('date'))
  const text = await answer.text()
  if (answer.ok) {
    heard()
    return JSON.parse(text) as T
  }
  const problem = problemOf(answer.status, text)
  if (answer.status >= 500) silent()
  else heard()
  if (problem.code === 'unauthorized' && !path.startsWith('/v1/session')) signedOut?.()
  throw problem
}

export const get = <T>(path: string): Promise<T> => ask('GET', path)

async function send(
  method: string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  try {
    return await fetch(path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        ...headers,
        'tokenkeep-page': '1',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch {
    silent()
    throw new Problem(0, 'no_answer', 'The server does not answer.')
  }
}

function problemOf(status: number, text: string): Problem {
  try {
    const { code, detail, errors } = JSON.parse(text) as Partial<ProblemBody>
    const each = (errors ?? []).map((error) => `${error.name} ${error.detail}`).join('; ')
    const said = detail ?? `The server answered ${status}.`
    return new Problem(
      status,
      code ?? 'unexpected',
      sentence(each === '' || said.includes(each) ? said : `${said} ${each}`),
    )
  } catch {
    return new Problem(
      status,
      'unexpected',
      `The server answered ${status}, and not as Tokenkeep does: a proxy may stand between.`,
    )
  }
}

/** Whole seconds are what the header has, so small differences are none. */
function noteClock(date: string | null): void {
  const at = date === null ? NaN : Date.parse(date)
  if (Number.isNaN(at)) return
  const difference = at + 500 - Date.now()
  aheadMs = Math.abs(difference) < 1500 ? 0 : difference
}

const sentence = (text: string): string => {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}
