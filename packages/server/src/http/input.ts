/** Reads what a request brings by the schemas of the API; everything that is wrong is said at once, and no value repeated. */
import type { z } from 'zod'
import { HttpProblem, type InputError } from './problem.ts'

/** @throws HttpProblem `invalid_input` */
export function readInput<Schema extends z.ZodObject>(
  where: 'query' | 'body',
  schema: Schema,
  value: unknown,
): z.infer<Schema> {
  const read = schema.safeParse(value, { reportInput: true })
  if (read.success) return read.data
  const errors = read.error.issues.flatMap((issue) => errorsOf(where, issue))
  const [first] = errors
  throw new HttpProblem(
    'invalid_input',
    errors.length === 1 && first !== undefined
      ? `in the ${where}, ${first.name} ${first.detail}`
      : `${errors.length} things are wrong in the ${where}: the member errors lists them.`,
    { errors },
  )
}

/**
 * The query as its schema wants it: a parameter that may be repeated is a list, any other may come once.
 *
 * @throws HttpProblem `invalid_input`
 */
export function readQuery<Schema extends z.ZodObject>(schema: Schema, search: string): z.infer<Schema> {
  const shape: z.core.$ZodShape = schema.shape
  const given = Object.create(null) as Record<string, string | number | string[]>
  const repeated = new Set<string>()
  for (const [name, value] of new URLSearchParams(search)) {
    const member = Object.hasOwn(shape, name) ? shape[name] : undefined
    if (member !== undefined && isList(member)) {
      const list = given[name]
      if (Array.isArray(list)) list.push(value)
      else given[name] = [value]
    } else if (name in given) repeated.add(name)
    else given[name] = member !== undefined && isNumber(member) && DECIMAL.test(value) ? Number(value) : value
  }
  if (repeated.size > 0) {
    const errors = [...repeated].map((name) => ({
      in: 'query' as const,
      name: spelled(name),
      detail: 'is given twice',
    }))
    throw new HttpProblem('invalid_input', `in the query, ${errors[0]?.name ?? 'a parameter'} is given twice`, {
      errors,
    })
  }
  return readInput('query', schema, { ...given })
}

/** As people write numbers: neither nothing, which would be 0, nor hexadecimal. */
const DECIMAL = /^\d{1,12}(\.\d{1,6})?$/

const isList = (schema: z.core.$ZodType): boolean => typeOf(schema) === 'array'
const isNumber = (schema: z.core.$ZodType): boolean => typeOf(schema) === 'number'

function typeOf(schema: z.core.$ZodType): string {
  const { def } = schema._zod
  return def.type === 'optional' ? typeOf((def as z.core.$ZodOptionalDef).innerType) : def.type
}

function errorsOf(where: 'query' | 'body', issue: z.core.$ZodIssue): InputError[] {
  const at = issue.path.map((part) => spelled(String(part))).join('.')
  const name = at === '' ? 'it' : at
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        in: where,
        name: at === '' ? spelled(key) : `${at}.${spelled(key)}`,
        detail: 'is not known here',
      }))
    case 'invalid_type':
      return [{ in: where, name, detail: issue.input === undefined ? 'is missing' : `must be ${kind(issue.expected)}` }]
    case 'invalid_value':
      return [{ in: where, name, detail: `must be one of ${issue.values.map(String).join(', ')}` }]
    case 'too_big':
      return [
        { in: where, name, detail: ownWords(issue.message) ?? `must be at most ${issue.maximum}${unit(issue.origin)}` },
      ]
    case 'too_small':
      return [
        {
          in: where,
          name,
          detail: ownWords(issue.message) ?? `must be at least ${issue.minimum}${unit(issue.origin)}`,
        },
      ]
    case 'invalid_format':
      return [{ in: where, name, detail: ownWords(issue.message) ?? `is not a valid ${issue.format}` }]
    case 'invalid_key':
    case 'invalid_element':
      return [{ in: where, name, detail: 'has a member that is not allowed' }]
    case 'invalid_union':
      return [{ in: where, name, detail: 'has none of the known forms (openapi.json lists them)' }]
    case 'not_multiple_of':
    case 'custom':
      return [{ in: where, name, detail: 'is not allowed' }]
  }
}

/** Messages of our schemas are half sentences in lower case; those of the library are not, and could hold the value. */
const ownWords = (message: string): string | null => (/^(is|has|must) /.test(message) ? message : null)
const kind = (expected: string): string => (/^[aeio]/.test(expected) ? `an ${expected}` : `a ${expected}`)
const unit = (origin: string): string => (origin === 'string' ? ' characters long' : origin === 'array' ? ' long' : '')

/** A name as an answer may repeat it: whoever swaps name and value sends a secret as the name, and those have digits. */
const spelled = (name: string): string =>
  /^(?:[A-Za-z_.-]{1,40}|\d{1,3})$/.test(name) ? name : 'a name that is no plain word'
