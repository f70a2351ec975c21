/** A request as it goes out, in the encoding that its provider reads. */
import type { RequestShape } from '@tokenkeep/core'
import type { Outgoing } from './line.ts'

export function outgoing(
  headers: Readonly<Record<string, string>>,
  parameters: URLSearchParams,
  encoding: RequestShape['encoding'],
): Outgoing {
  if (encoding === 'form') return { headers, body: parameters.toString() }
  const members = [...new Set(parameters.keys())].map((name) => {
    const values = parameters.getAll(name)
    return [name, values.length === 1 ? values[0] : values]
  })
  return {
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(Object.fromEntries(members)),
  }
}
