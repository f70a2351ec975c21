/** Reads what stands behind an option, and says what is wrong with it. */
import { InvalidArgumentError } from 'commander'

export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number, 1 or more.')
  return Number(text)
}

export const collected = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  text,
]

/** One of some words; may be repeated. */
export const oneOf =
  <Word extends string>(words: readonly Word[]) =>
  (text: string, before: readonly Word[] | undefined): readonly Word[] => {
    const word = words.find((each) => each === text)
    if (word === undefined) throw new InvalidArgumentError(`Allowed choices are ${words.join(', ')}.`)
    return [...(before ?? []), word]
  }

export type Pairs = Readonly<Record<string, string>>

export function paired(text: string, before: Pairs | undefined, form: string): Pairs {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(form)
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

export const labelled = (text: string, before?: Pairs): Pairs => paired(text, before, 'A label is NAME=VALUE.')
