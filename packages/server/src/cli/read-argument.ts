/** Reads the values of options; what is wrong is one short sentence, which commander puts behind the option's name. */
import { InvalidArgumentError } from 'commander'
import type { ProviderWords, ReusePolicy, Winner } from '@tokenkeep/core'

export function filled(text: string): string {
  // An unset variable in a script must not silently mean the default place.
  if (text === '') throw new InvalidArgumentError('It is empty.')
  return text
}

export function seconds(text: string): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || !Number.isFinite(value))
    throw new InvalidArgumentError('It is a number of seconds.')
  return value
}

export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number, 1 or more.')
  return Number(text)
}

export function limit(text: string): number | null {
  return text === 'none' ? null : count(text)
}

export function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError('It is a port, 0 to 65535.')
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

export const labelled = (text: string, before?: Pairs): Pairs => paired(text, before, 'A label is NAME=VALUE.')
export const sourced = (text: string, before?: Pairs): Pairs => paired(text, before, 'A source is PROVIDER=CONNECTION.')

export const claim = (text: string, before?: Pairs): Pairs => paired(text, before, 'A claim is NAME=VALUE.')
export const variable = (text: string, before?: Pairs): Pairs => paired(text, before, 'A variable is NAME=VALUE.')
export const parameter = (text: string, before?: Pairs): Pairs => paired(text, before, 'A parameter is NAME=VALUE.')
export const header = (text: string, before?: Pairs): Pairs => paired(text, before, 'A header is NAME=VALUE.')

/** What `--sign` calls each list of a provider's words. */
const SIGN_NAMES = {
  reused: 'reused',
  rejected: 'rejected',
  interactionRequired: 'interaction-required',
  misconfigured: 'misconfigured',
  unavailable: 'unavailable',
  inDoubt: 'in-doubt',
} as const satisfies Record<keyof ProviderWords, string>
const OUTCOMES: ReadonlyMap<string, keyof ProviderWords> = new Map(
  (Object.keys(SIGN_NAMES) as (keyof ProviderWords)[]).map((outcome) => [SIGN_NAMES[outcome], outcome]),
)

type Signs = import('./provider.ts').OutcomeSigns

export function signed(text: string, before: Signs = {}): Signs {
  const [, name = '', status, word] = /^([a-z-]+)=(?:(\d{3}):)?(.*)$/s.exec(text) ?? []
  const outcome = OUTCOMES.get(name)
  if (outcome === undefined || (status === undefined && word === '')) {
    throw new InvalidArgumentError(
      `It is OUTCOME=WORD or OUTCOME=STATUS:WORD, with ${[...OUTCOMES.keys()].join(', ')}.`,
    )
  }
  const sign =
    status === undefined ? (word ?? '') : { status: Number(status), ...(word === '' ? {} : { word: word ?? '' }) }
  return { ...before, [outcome]: [...(before[outcome] ?? []), sign] }
}

export function paired(text: string, before: Pairs | undefined, form: string): Pairs {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(form)
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

const WINNERS: readonly Winner[] = ['same', 'any', 'newest']

export function reusePolicy(text: string): ReusePolicy {
  if (text === 'strict' || text === 'reusable' || text === 'unknown') return { kind: text }
  const [, times] = /^counted:(\d{1,4})$/.exec(text) ?? []
  if (times !== undefined) return { kind: 'counted', n: Number(times) }
  const [, grace, said] = /^grace:(\d{1,6})(?::([a-z]+))?$/.exec(text) ?? []
  const winner = WINNERS.find((each) => each === (said ?? 'newest'))
  if (grace !== undefined && winner !== undefined) return { kind: 'grace', seconds: Number(grace), winner }
  throw new InvalidArgumentError('It is strict, reusable, unknown, counted:N or grace:SECONDS[:same|any|newest].')
}
