/** Signs for states: a shape for each tone, so that no meaning is carried by colour alone. */
import type { Connection, Status } from './contract.ts'
import { STATUS, type Tone } from './words.ts'

const SHAPES: Readonly<Record<Tone, string>> = {
  good: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13zM4.8 8.2l2.2 2.2 4.2-4.6',
  busy: 'M13.2 5.2A6 6 0 1 0 14 8M14 2.2v3.4h-3.4',
  doubt: 'M8 1.2 14.8 8 8 14.8 1.2 8zM6.3 6.6a1.8 1.8 0 1 1 2.5 1.7c-.5.2-.8.5-.8 1M8 11.2v.1',
  warn: 'M8 1.8 15 14H1zM8 6.4v3.4M8 12v.1',
  bad: 'M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2zM8 4.6v4M8 11.2v.1',
  quiet: 'M2.5 8h11',
}

export function Mark({ tone }: { readonly tone: Tone }) {
  return (
    <svg class={`mark tone-${tone}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={SHAPES[tone]} />
    </svg>
  )
}

export function StatusSign({ of }: { readonly of: Pick<Connection, 'status' | 'reason' | 'blocked'> }) {
  const { name, tone } = STATUS[of.status]
  const more = of.reason ?? of.blocked
  return (
    <span class={`sign tone-${tone}`}>
      <Mark tone={tone} />
      <span>{name}</span>
      {more === null ? null : <span class="sign-more">{more.replaceAll('_', ' ')}</span>}
    </span>
  )
}

export const toneOf = (status: Status): Tone => STATUS[status].tone
