/** Which connection a proxied request names, and what follows for the API: read as it was written, for it is sent so. */
import { HttpProblem } from '../problem.ts'

export interface ProxyTarget {
  readonly connection: string
  /** Empty, or from its slash on. Nobody has looked yet whether it is a good one. */
  readonly path: string
  /** Undefined: there is no question mark. */
  readonly query: string | undefined
}

/**
 * @param url the request target: in the origin form, or the absolute one, whose host was looked at
 * @throws HttpProblem `malformed_request`
 */
export function readProxyTarget(url: string): ProxyTarget {
  const target = url.replace(/^https?:\/\/[^/?#]*/i, '')
  // The router decodes before it compares: it knows /v1/pro%78y, too.
  const [, id, path = '', query] = /^\/v1\/proxy\/([^/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(target) ?? []
  const connection = id === undefined ? null : decoded(id)
  if (connection === null) {
    throw new HttpProblem(
      'malformed_request',
      'the path is written /v1/proxy/{id}/{path}?{query}: the id escaped, no fragment (#...) behind it.',
    )
  }
  return { connection, path, query }
}

function decoded(id: string): string | null {
  try {
    return decodeURIComponent(id)
  } catch {
    return null
  }
}
