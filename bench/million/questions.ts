/** What an operator asks, also what no index answers at once. */
import type { ListOptions } from '@tokenkeep/core'

export interface Question {
  readonly name: string
  /** The last word is a random number for each asking, where an id is wanted somewhere in the middle. */
  readonly options: (somewhere: string) => ListOptions
}

const labels = { team: 'sales' }

export const QUESTIONS: readonly Question[] = [
  { name: 'the first page', options: () => ({}) },
  { name: 'a page somewhere', options: (somewhere) => ({ after: `dealer-${somewhere}` }) },
  { name: 'a page of 1,000', options: (somewhere) => ({ after: `dealer-${somewhere}`, limit: 1_000 }) },
  { name: 'status in_doubt (10,000)', options: () => ({ status: 'in_doubt' }) },
  { name: 'several statuses', options: () => ({ status: ['suspect', 'blocked', 'needs_user'] }) },
  { name: 'reason client (20)', options: () => ({ reason: 'client' }) },
  { name: 'a provider of 500,000', options: (somewhere) => ({ provider: 'large', after: `dealer-${somewhere}` }) },
  { name: 'a client of 10', options: () => ({ client: 'small' }) },
  { name: 'a provider of 500,000, blocked (none)', options: () => ({ provider: 'large', status: 'blocked' }) },
  {
    name: 'a provider of 500,000, in doubt (none of 10,000)',
    options: () => ({ provider: 'large', status: 'in_doubt' }),
  },
  { name: 'a label of 500,000', options: (somewhere) => ({ labels, after: `dealer-${somewhere}` }) },
  { name: 'a label of 500,000, blocked (none)', options: () => ({ labels, status: 'blocked' }) },
  { name: 'a label of 500,000, needs_user (1,000)', options: () => ({ labels, status: 'needs_user' }) },
  { name: 'a label of 500,000, a provider of 500,000 (none)', options: () => ({ labels, provider: 'other' }) },
  {
    name: 'a label of 10,000, a provider of 500,000',
    options: () => ({ labels: { region: 'north' }, provider: 'large' }),
  },
  { name: 'two labels, of 500,000 and 10,000', options: () => ({ labels: { ...labels, region: 'north' } }) },
  { name: 'search: an id', options: (somewhere) => ({ search: `dealer-${somewhere}` }) },
  { name: 'search: what every id begins with', options: () => ({ search: 'dealer-' }) },
  { name: 'search: what every subject begins with', options: () => ({ search: 'user-' }) },
  { name: 'search: a subject', options: (somewhere) => ({ search: `user-${somewhere}` }) },
  { name: 'search: the value of a label', options: () => ({ search: 'north' }) },
  { name: 'search: nothing', options: () => ({ search: 'nothing begins so' }) },
  { name: 'search: what every id begins with, blocked', options: () => ({ search: 'dealer-', status: 'blocked' }) },
  { name: 'search: nothing, of a label of 500,000', options: () => ({ search: 'nothing begins so', labels }) },
]
