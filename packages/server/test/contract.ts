/** The published OpenAPI document, as the judge of every answer. */
import assert from 'node:assert/strict'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Answer, Sent } from './any-request.ts'

export interface Contract {
  /** @throws AssertionError for an answer that the document does not announce, or that has another form than it says */
  check(sent: Sent, answer: Answer): void
  /** What came so far: the name of an operation, and `ok` or the code of a problem. */
  readonly reached: ReadonlySet<string>
  /** What the document announces, in the same words. */
  readonly announced: ReadonlySet<string>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>
}
interface DocumentedOperation {
  readonly operationId: string
  readonly responses: Readonly<Record<string, DocumentedResponse>>
}
interface DocumentedResponse {
  /** For a problem: its codes. */
  readonly description: string
  readonly content: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, unknown>>
}

/** @param text the document, as it was answered */
export function readContract(text: string): Contract {
  const document = JSON.parse(text) as Document
  const ajv = new Ajv2020({ strict: false, validateSchema: false })
  addFormats.default(ajv)
  ajv.addSchema(document, 'document')
  // What the proxy answers is the API's, and what providers are answered others have defined: `proxy.test.ts` and
  // `receivers.test.ts` look at those.
  const own = Object.entries(document.paths).filter(([path]) => !/^\/(v1\/proxy|providers)\//.test(path))
  const operations = own.flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      pointer: ['paths', path, method, 'responses'],
      ...operation,
    })),
  )
  const announced = new Set(
    operations.flatMap(({ operationId, responses }) =>
      Object.entries(responses).flatMap(([status, { description }]) =>
        outcomesOf(status, description).map((outcome) => `${operationId} ${outcome}`),
      ),
    ),
  )
  const schemaAt = (pointer: readonly string[]): ValidateFunction => {
    const found = ajv.getSchema(`document#/${pointer.map(escaped).join('/')}`)
    assert.ok(found, `the document has no schema at ${pointer.join(' ')}`)
    return found
  }
  const problem = schemaAt(['components', 'schemas', 'Problem'])
  const reached = new Set<string>()

  return {
    reached,
    announced,
    check({ method = 'GET', target }, answer) {
      const { status, text, headers } = answer
      // Public keys are the one thing that may be kept.
      const type = headers['content-type']?.split(';')[0] ?? 'nothing'
      const [path = ''] = target.split('?', 1)
      if (path.startsWith('/connect/')) {
        sameForPages(answer)
        return
      }
      if (target === '/' || target.startsWith('/assets/')) return
      const sets = path === '/v1/session' && method !== 'GET' && status < 300
      assert.equal(
        headers['set-cookie'] !== undefined,
        sets,
        'a cookie comes where somebody signs in or out, and nowhere else',
      )
      const operation = operations.find((each) => each.method === method && each.path.test(path))
      // It names a state for If-Match; nothing is kept by it.
      const tagged = operation?.responses[status]?.headers?.['ETag'] !== undefined
      sameForAll(answer, {
        kept: status === 200 && /^\/clients\/[^/]+\/jwks\.json$/.test(target) ? PUBLIC : 'no-store',
        tagged,
      })
      if (operation === undefined) {
        // The drop-in says errors as RFC 6749 does.
        if (status >= 400 && method !== 'HEAD' && !/^\/(realms|providers)\//.test(path))
          valid(problem, text, `${method} of no operation`)
        return
      }
      const { operationId, responses, pointer } = operation
      if (status === 401) assert.match(String(headers['www-authenticate']), /^Bearer realm="tokenkeep"/)
      const response = responses[status]
      assert.ok(response, `${operationId} answered ${status}, which is not announced: ${text}`)
      assert.ok(Object.hasOwn(response.content, type), `${operationId} answered ${status} as ${type}`)
      const said = valid(
        schemaAt([...pointer, String(status), 'content', type, 'schema']),
        text,
        `${operationId} ${status}`,
      )
      const outcome = status < 400 ? 'ok' : (said as { code: string }).code
      assert.ok(
        announced.has(`${operationId} ${outcome}`),
        `${operationId} answered ${outcome}, which is not announced`,
      )
      if (status >= 400) assert.equal((said as { status: number }).status, status, 'the status of the problem')
      reached.add(`${operationId} ${outcome}`)
    },
  }
}

/** What no answer lacks, and what none has. */
const PUBLIC = 'public, max-age=300'
export function sameForAll(
  { status, headers, text }: Answer,
  { kept = 'no-store', tagged = false }: { kept?: typeof PUBLIC | 'no-store'; tagged?: boolean } = {},
): void {
  assert.equal(headers['cache-control'], kept, `cache-control of a ${status}: ${text.slice(0, 200)}`)
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'")
  assert.equal(headers['referrer-policy'], 'no-referrer')
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
  const foreign = Object.keys(headers).filter((name) => /^access-control-|^server$|^x-powered-by$/.test(name))
  assert.equal(headers['etag'] !== undefined, tagged, 'an ETag where the document announces one')
  assert.deepEqual(foreign, [], 'nothing for other origins, about our software, or to be kept')
  assert.doesNotMatch(text, /\\n\s+at |\n\s+at .+:\d+|node_modules|\.[jt]s:\d+/, 'no stack')
  if (status === 503 || status === 429) assert.match(String(headers['retry-after']), /^\d+$/)
}

/** The same of the pages that a person sees. */
export function sameForPages({ status, headers, text }: Answer): void {
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.match(String(headers['referrer-policy']), /^(?:same-origin|no-referrer)$/)
  assert.match(String(headers['content-security-policy']), /^default-src 'none'; .*frame-ancestors 'none'$/)
  assert.deepEqual(
    Object.keys(headers).filter((name) => /^access-control-|^server$|^x-powered-by$|^etag$/.test(name)),
    [],
  )
  assert.doesNotMatch(text, /<script|\bon\w+=|javascript:|node_modules|\.[jt]s:\d+/i)
  if (status !== 303) assert.match(String(headers['content-type']), /^text\/html; charset=utf-8$/)
}

/** A JSON answer, read member by member. */
export const readAnswer = ({ text }: Answer): { readonly body: Readonly<Record<string, unknown>> } => ({
  body: JSON.parse(text) as Readonly<Record<string, unknown>>,
})

/** `200`, or `400 invalid_input`. */
export const codeOf = (answer: Answer): string =>
  answer.status < 400 ? `${answer.status}` : `${answer.status} ${String(readAnswer(answer).body['code'])}`

const outcomesOf = (status: string, description: string): readonly string[] =>
  Number(status) < 400 ? ['ok'] : description.split(', ')

const escaped = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

function valid(schema: ValidateFunction, text: string, what: string): unknown {
  const value: unknown = JSON.parse(text)
  assert.ok(schema(value), `${what}: ${JSON.stringify(schema.errors)} in ${text}`)
  return value
}
