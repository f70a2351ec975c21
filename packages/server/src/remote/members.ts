/**
 * Reads the members of an answer, each checked when it is read: what answers at a URL may be something else than
 * Tokenkeep, or another version of it. The schemas of the API stay with the server, for loading them costs more than the
 * rest of a command; their types say here which member there is, and of what kind.
 */

/** The members of `Wire` that hold a `Value`. */
type Holding<Wire, Value> = {
  [Name in keyof Wire]-?: Exclude<Wire[Name], undefined> extends Value ? Name : never
}[keyof Wire] &
  string

export interface Members<Wire> {
  text(name: Holding<Wire, string>): string
  textOrNull(name: Holding<Wire, string | null>): string | null
  /** Null: it is absent. */
  textOrAbsent(name: Holding<Wire, string>): string | null
  number(name: Holding<Wire, number>): number
  numberOrNull(name: Holding<Wire, number | null>): number | null
  flag(name: Holding<Wire, boolean>): boolean
  /** RFC 3339 becomes epoch milliseconds. */
  moment(name: Holding<Wire, string>): number
  momentOrNull(name: Holding<Wire, string | null>): number | null
  oneOf<Word extends string>(name: Holding<Wire, string>, words: readonly Word[]): Word
  oneOfOrNull<Word extends string>(name: Holding<Wire, string | null>, words: readonly Word[]): Word | null
  list<Item>(name: Holding<Wire, readonly unknown[]>, read: (item: unknown) => Item): Item[]
  listOrAbsent<Item>(name: Holding<Wire, readonly unknown[]>, read: (item: unknown) => Item): Item[] | null
  /** Names and texts, as labels are. */
  texts(name: Holding<Wire, Readonly<Record<string, string>>>): Record<string, string>
  /** What its author chose, as claims are. */
  record(name: Holding<Wire, Readonly<Record<string, unknown>>>): Readonly<Record<string, unknown>>
  nested<Inner>(name: Holding<Wire, object>): Members<Inner>
  nestedOrNull<Inner>(name: Holding<Wire, object | null>): Members<Inner> | null
}

/** What was read is not what Tokenkeep answers. Its message names the member, and holds nothing that was received. */
export class UnlikeTheWire extends Error {
  override readonly name = 'UnlikeTheWire'
}

/**
 * The members of a JSON object.
 *
 * @param where how the object is called in a complaint
 * @throws UnlikeTheWire, also later, by each reading of a member that is missing or of another kind
 */
export function membersOf<Wire>(value: unknown, where: string): Members<Wire> {
  if (!isRecord(value)) throw new UnlikeTheWire(`${where} is no object`)

  const wrong = (name: string, kind: string): never => {
    throw new UnlikeTheWire(`${where} has no ${kind} "${name}"`)
  }
  const text = (name: string): string => {
    const found = value[name]
    return typeof found === 'string' ? found : wrong(name, 'text')
  }
  const number = (name: string): number => {
    const found = value[name]
    return typeof found === 'number' && Number.isFinite(found) ? found : wrong(name, 'number')
  }
  const moment = (name: string): number => {
    const found = Date.parse(text(name))
    return Number.isNaN(found) ? wrong(name, 'moment') : found
  }
  const oneOf = <Word extends string>(name: string, words: readonly Word[]): Word => {
    const found = text(name)
    return words.find((word) => word === found) ?? wrong(name, 'known word')
  }
  /** Where null is a value, it must be said: absence is another kind of answer. */
  const orNull =
    <Value>(read: (name: string) => Value) =>
    (name: string): Value | null =>
      value[name] === null ? null : read(name)

  const list = <Item>(name: string, read: (item: unknown) => Item): Item[] => {
    const found = value[name]
    return Array.isArray(found) ? found.map((item: unknown) => read(item)) : wrong(name, 'list')
  }

  return {
    text,
    textOrNull: orNull(text),
    textOrAbsent: (name) => (value[name] === undefined ? null : text(name)),
    number,
    numberOrNull: orNull(number),
    flag(name) {
      const found = value[name]
      return typeof found === 'boolean' ? found : wrong(name, 'truth value')
    },
    moment,
    momentOrNull: orNull(moment),
    oneOf,
    oneOfOrNull: (name, words) => orNull((each) => oneOf(each, words))(name),
    list,
    listOrAbsent: (name, read) => (value[name] === undefined ? null : list(name, read)),
    texts(name) {
      const found = value[name]
      if (!isRecord(found)) return wrong(name, 'object')
      return Object.fromEntries(
        Object.entries(found).map(([key, text]) => [key, typeof text === 'string' ? text : wrong(name, 'texts in')]),
      )
    },
    record(name) {
      const found = value[name]
      return isRecord(found) ? found : wrong(name, 'object')
    },
    nested: <Inner>(name: string) => membersOf<Inner>(value[name], `"${name}"`),
    nestedOrNull: <Inner>(name: string) => (value[name] === null ? null : membersOf<Inner>(value[name], `"${name}"`)),
  }
}

/** An item of a list that is a text. @throws UnlikeTheWire */
export function textItem(item: unknown): string {
  if (typeof item === 'string') return item
  throw new UnlikeTheWire('a list has an item that is no text')
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
