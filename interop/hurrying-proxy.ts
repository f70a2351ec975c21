/** Stands before Keycloak's device flow: tells devices to ask more often than Keycloak allows, and notes what they are answered. */
import { createServer } from 'node:http'

/** A device asked whether its person had signed in. */
export interface Question {
  /** When it came, milliseconds of a monotonic clock. */
  readonly at: number
  /** Keycloak's error word, or `granted`. */
  readonly answer: string
}

export interface HurryingProxy {
  /** Without a slash at the end. */
  readonly url: string
  /** Oldest first. */
  readonly questions: () => readonly Question[]
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
const PASSED_ON = ['authorization', 'content-type', 'accept'] as const

/** @param intervalSeconds what devices are told in the place of Keycloak's own interval */
export async function startHurryingProxy(keycloak: string, intervalSeconds: number): Promise<HurryingProxy> {
  const questions: Question[] = []
  const answerTo = async (path: string, headers: Record<string, string>, body: string): Promise<Response> => {
    const at = performance.now()
    const answered = await fetch(keycloak + path, { method: 'POST', headers, body })
    const text = await answered.text()
    // Both endpoints answer with a JSON object, whatever they say.
    const said = JSON.parse(text) as { readonly error?: string }
    if (new URLSearchParams(body).get('grant_type') === DEVICE_GRANT)
      questions.push({ at, answer: said.error ?? 'granted' })
    const told = 'device_code' in said ? { ...said, interval: intervalSeconds } : said
    return Response.json(told, { status: answered.status })
  }
  const server = createServer((asked, answer) => {
    void (async () => {
      let body = ''
      for await (const chunk of asked.setEncoding('utf8')) body += String(chunk)
      const headers = Object.fromEntries(PASSED_ON.map((name) => [name, asked.headers[name] ?? '']))
      const answered = await answerTo(asked.url ?? '/', headers, body)
      answer.writeHead(answered.status, { 'content-type': 'application/json' }).end(await answered.text())
    })().catch(() => asked.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy found no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    questions: () => questions,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
