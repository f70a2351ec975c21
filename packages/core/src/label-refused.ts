/** Why the labels of a connection stay as they are. */
import { tooManyLabels } from './connection-input.ts'
import { assertNever, TokenError } from './failures.ts'

/** @param because what the store answered instead of writing */
export function labelsRefused(because: 'changed' | 'too_many' | 'outside', id: string): TokenError {
  switch (because) {
    case 'changed':
      return new TokenError(
        'changed_meanwhile',
        `the labels of connection "${id}" were changed since you saw them: read them again, and make your change to what is there now.`,
        { subject: id },
      )
    case 'too_many':
      return tooManyLabels()
    case 'outside':
      return new TokenError(
        'forbidden',
        `connection "${id}" would lose a label that whoever asks is limited to: those labels stay as they are.`,
        { subject: id },
      )
    default:
      return assertNever(because)
  }
}
