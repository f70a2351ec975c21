/** The labels that a request asks for, and those that its key is limited to. */
import { HttpProblem } from './problem.ts'

export type Labels = Readonly<Record<string, string>>

/** Both together; null: they contradict each other. */
export function merged(own: Labels, asked: Labels): Labels | null {
  const contradicts = Object.entries(own).some(([name, value]) => Object.hasOwn(asked, name) && asked[name] !== value)
  return contradicts ? null : { ...asked, ...own }
}

/** @param given each NAME=VALUE. @throws HttpProblem `invalid_input`: one name has two values */
export function labelsOf(given: readonly string[] | undefined): Labels {
  const labels = new Map<string, string>()
  for (const text of given ?? []) {
    const at = text.indexOf('=')
    const name = text.slice(0, at)
    const value = text.slice(at + 1)
    if ((labels.get(name) ?? value) !== value) {
      throw new HttpProblem(
        'invalid_input',
        'in the query, label names one label with two values, which no connection has',
      )
    }
    labels.set(name, value)
  }
  return Object.fromEntries(labels)
}
