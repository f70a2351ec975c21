/** Why a database is on hold, and how that ends, in words. */
import type { Hold, HoldReason } from '@tokenkeep/core'

const BECAUSE = {
  another_place: 'this database is a copy of another file',
  older_epoch: 'an earlier state of this database was put back',
  another_branch: 'another copy of this database went on from the same state',
  backup: 'this database was restored from a backup',
} as const satisfies Record<HoldReason, string>

/** Why nothing is presented, and what to do. */
export const holdWords = ({ because }: Pick<Hold, 'because'>): string =>
  `on hold: ${BECAUSE[because]}, so no refresh token is presented. When the original is off for good: tokenkeep adopt`
