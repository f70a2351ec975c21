/** A database that is a copy or was put back: that it is said, and how it ends. */
import { TokenError } from '@tokenkeep/core'
import type { Keeper } from '../remote/keeper.ts'
import { withTokenkeep, type Context } from './context.ts'
import { holdWords } from './hold-words.ts'
import type { Output } from './output.ts'

/** Says so beside the answer of a command, in one line. A server that does not tell keeps no answer back. */
export async function tellOfHold(keep: Keeper, output: Output): Promise<void> {
  const { hold } = await keep.incarnation().catch((error: unknown) => {
    if (error instanceof TokenError) return { hold: null }
    throw error
  })
  if (hold !== null) output.aside(holdWords(hold))
}

/** `tokenkeep adopt` */
export async function adopt(context: Context): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const { wasOnHold, inDoubt } = await keep.adopt()
    output.answer({ wasOnHold, inDoubt }, () =>
      wasOnHold
        ? [
            'The hold is over: this database goes on in the place of its original, which must never run again.',
            `${inDoubt} connections are in doubt: each is refreshed once more when its access token has ended. One that is`,
            'refused then needs its user, for the original has probably refreshed it since.',
          ]
        : ['This database is not on hold; nothing was changed.'],
    )
  })
}
