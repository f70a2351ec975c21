/** The OpenAPI document, made from the table that the routes are made from. */
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi'
import { z } from 'zod'
import { OPERATIONS, PROXY, type Operation } from '../api/operations.ts'
import { RECEIVER_PATHS } from '../api/receivers.ts'
import { HTTP_STATUS, type ProblemCode } from '../api/problem-codes.ts'
import { Problem } from '../api/wire.ts'
import { CONDITIONAL } from './preconditions.ts'

/** What every operation can be answered with. */
const EVERYWHERE = [
  'malformed_request',
  'invalid_input',
  'unauthorized',
  'forbidden',
  'origin_refused',
  'host_refused',
  'rate_limited',
  'unexpected',
  'store_unavailable',
  'overloaded',
  'stopping',
  'request_timeout',
] as const satisfies readonly ProblemCode[]
/** Also where no body is wanted: one that is sent all the same is looked at. */
const WITH_A_BODY = ['body_too_large', 'unsupported_media_type'] as const satisfies readonly ProblemCode[]

/**
 * @param version of this server
 * @returns an OpenAPI 3.1 document
 */
export function openApiDocument(version: string): object {
  const paths: ZodOpenApiPathsObject = { ...RECEIVER_PATHS }
  for (const [id, operation] of Object.entries(OPERATIONS) as [string, Operation][]) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method.toLowerCase()]: operationObject(id, operation),
    }
  }
  paths[PROXY.path] = Object.fromEntries(PROXY.methods.map((method) => [method, proxyObject(method)]))
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Tokenkeep',
      version,
      summary: 'Keeps OAuth 2.0 tokens alive',
      description:
        'Durations are seconds, moments are RFC 3339 in UTC. Errors are problem details (RFC 9457) with a stable `code`. ' +
        'The drop-in token endpoint of each realm is described by its own discovery document (RFC 8414).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }, { pageSession: [] }],
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'An API key (`tokenkeep key create`)' },
        pageSession: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-tokenkeep-session',
          description:
            'The session of the web page, `tokenkeep-session` where there is no https; what is not GET has the header `Tokenkeep-Page: 1` as well',
        },
      },
    },
    paths,
  })
}

function operationObject(id: string, operation: Operation): ZodOpenApiOperationObject {
  const { method, path, query, body, status, answer, summary, scopes } = operation
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, z.string()] as const)
  return {
    operationId: id,
    summary,
    ...(operation.keyOnly === true ? { security: [{ apiKey: [] }] } : id === 'createSession' ? { security: [] } : {}),
    description:
      scopes.length === 0
        ? 'For every API key.'
        : `Needs an API key with scope ${scopes.map((scope) => `\`${scope}\``).join(' or ')} (or \`admin\`).`,
    requestParams: {
      ...(inPath.length === 0 ? {} : { path: z.object(Object.fromEntries(inPath)) }),
      ...(query === undefined ? {} : { query }),
      ...(id === 'getToken' ? { header: PREFER } : {}),
      ...(isConditional(id) && method !== 'GET' ? { header: IF_MATCH } : {}),
    },
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: {
      [`${status}` as const]: {
        description: 'Done',
        ...(isConditional(id) ? { headers: z.object({ ETag: z.string() }) } : {}),
        content: { 'application/json': { schema: answer } },
      },
      ...problemResponses([
        ...operation.problems,
        ...EVERYWHERE.filter((code) => code !== 'forbidden' || scopes.length > 0),
        ...(method === 'GET' ? [] : WITH_A_BODY),
      ]),
    },
  }
}

function proxyObject(method: string): ZodOpenApiOperationObject {
  return {
    operationId: `proxy${method.charAt(0).toUpperCase()}${method.slice(1)}`,
    summary: PROXY.summary,
    security: [{ apiKey: [] }],
    description:
      `Needs an API key with scope ${PROXY.scopes.map((scope) => `\`${scope}\``).join(' or ')} (or \`admin\`). ` +
      'The path may hold slashes, and may be left out; query and body are handed on. An answer of the API has the header ' +
      '`Proxy-Status: tokenkeep; received-status=...` (RFC 9209), one of this server has not.',
    requestParams: {
      path: z.object({ id: z.string(), path: z.string() }),
      header: z.object({
        'Tokenkeep-Base-Url': z
          .string()
          .optional()
          .meta({ description: "One of the provider's `api_base_urls`, as it is listed; the first where absent" }),
      }),
    },
    responses: {
      ...problemResponses([...PROXY.problems, ...EVERYWHERE]),
      default: { description: 'What the API answered', content: { '*/*': {} } },
    },
  }
}

const isConditional = (id: string): boolean => CONDITIONAL.some((each) => each === id)

const IF_MATCH = z.object({
  'If-Match': z
    .string()
    .optional()
    .meta({ description: 'An ETag: only if it is still in that state, 412 otherwise (RFC 9110 section 13.1.1)' }),
})

const PREFER = z.object({
  Prefer: z
    .string()
    .optional()
    .meta({
      description: 'wait=SECONDS: how long to wait for a refresh, 20 where absent (RFC 7240)',
      examples: ['wait=5'],
    }),
})

function problemResponses(codes: readonly ProblemCode[]) {
  const byStatus = Map.groupBy(new Set(codes), (code) => HTTP_STATUS[code])
  return Object.fromEntries(
    [...byStatus].map(([status, each]) => [
      `${status}` as const,
      { description: each.join(', '), content: { 'application/problem+json': { schema: Problem } } },
    ]),
  )
}
