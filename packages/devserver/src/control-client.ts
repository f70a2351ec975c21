import type { Control } from './control.ts'
import { OPERATIONS, type Operation } from './control-operations.ts'
import { InvalidInput } from './json-shape.ts'

/**
 * The control API of a devserver in another process, with the same methods as in process.
 *
 * @param controlUrl as in its ready line, `http://127.0.0.1:port/control`
 * @throws {InvalidInput} what the server refuses, with its message
 */
export function createControlClient(controlUrl: string): Control {
  const method =
    (name: Operation) =>
    (...values: readonly unknown[]) => {
      const keys: readonly string[] = OPERATIONS[name]
      return ask(`${controlUrl}/${name}`, Object.fromEntries(keys.map((key, at) => [key, values[at]])))
    }
  const names = Object.keys(OPERATIONS) as Operation[]
  return Object.fromEntries(names.map((name) => [name, method(name)])) as unknown as Control
}

async function ask(url: string, given: Readonly<Record<string, unknown>>): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(given),
  })
  const answer: unknown = await response.json()
  if (response.ok) return answer
  const message = typeof answer === 'object' && answer !== null && 'message' in answer ? String(answer.message) : ''
  if (response.status === 400) throw new InvalidInput(message)
  throw new Error(`control API answered ${response.status}: ${message}`)
}
