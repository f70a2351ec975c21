/** What doctor says about one thing. The words stand in tables, one for each area, which `docs/doctor.md` repeats. */

/** `ok`: as it should be. `note`: worth knowing. `wrong`: somebody has to do something. */
export type Verdict = 'ok' | 'note' | 'wrong'

/** A kind of finding. In braces stands what is different each time. */
export interface Kind {
  readonly is: Verdict
  /** What was seen. */
  readonly says: string
  /** What to do about it; null: nothing. */
  readonly todo: string | null
}
export type Kinds = Readonly<Record<string, Kind>>

export type Fact = string | number

export interface Finding {
  readonly area: string
  readonly code: string
  readonly is: Verdict
  readonly says: string
  readonly todo: string | null
  readonly facts: Readonly<Record<string, Fact>>
}

type Braced<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Braced<Rest> : never
export type FactsOf<Of extends Kind> = Readonly<Record<Braced<Of['says']> | Braced<Of['todo']>, Fact>>

export type Find<Table extends Kinds> = <Code extends keyof Table & string>(
  code: Code,
  facts: FactsOf<Table[Code]>,
) => Finding

/** @returns what makes findings of one area, each with the facts that its words need and no others */
export const findingsOf =
  <const Table extends Kinds>(area: string, table: Table): Find<Table> =>
  (code, facts) => {
    const { is, says, todo } = table[code] as Kind
    return { area, code, is, says: filled(says, facts), todo: todo === null ? null : filled(todo, facts), facts }
  }

const filled = (text: string, facts: Readonly<Record<string, Fact>>): string =>
  text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(facts, name) ? String(facts[name]) : whole))

/** `3 answers`, `1 answer`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`
