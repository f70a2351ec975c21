import { TokenError } from '@tokenkeep/core'
import { EVENT_TYPES, type EventFilter, type RecordedEvent } from '@tokenkeep/node'
import { eventWire } from '../api/event-object.ts'
import { withTokenkeep, type Context } from './context.ts'
import { eventDetail, eventPaint, subjectOf } from './event-words.ts'
import { localIso } from './moments.ts'
import { printable } from './printable.ts'
import { table } from './table.ts'

export interface EventsArguments {
  readonly follow?: true
  readonly type?: readonly string[]
  readonly connection?: string
  readonly label?: Readonly<Record<string, string>>
  readonly limit?: number
  readonly after?: string
}

const NEWEST = 20
const LIST_MOST = 1000

/** `tokenkeep events` */
export async function showEvents(context: Context, given: EventsArguments): Promise<void> {
  const { output, around } = context
  const { follow, after, limit } = given
  if (follow === true && after !== undefined)
    throw new TokenError('invalid_input', '--follow begins with the newest events: leave --after out')
  if ((limit ?? 1) > LIST_MOST) throw new TokenError('invalid_input', `--limit is ${LIST_MOST} at most`)
  const filter = filterOf(given)
  await withTokenkeep(context, { missing: 'refuse' }, async ({ events }) => {
    const ends = AbortSignal.any([around.interruption.signal, output.gone])
    // From before the newest are read, so that nothing is missed in between.
    const following = follow === true ? events.follow({ ...filter, signal: ends })[Symbol.asyncIterator]() : null
    const first = following?.next()
    // The same for a program that goes on with --after.
    const newest = after === undefined ? await newestCursor() : null
    const page =
      after === undefined
        ? await events.list({ ...filter, newestFirst: true, limit: limit ?? NEWEST })
        : await events.list({ ...filter, after, limit: limit ?? LIST_MOST })
    const found = after === undefined ? page.events.toReversed() : page.events
    if (following === null) {
      output.answer(
        { events: found.map(eventWire), cursor: newest ?? page.cursor, more: after !== undefined && page.more },
        () => (found.length === 0 ? ['no such events'] : lines(found, context)),
      )
      return
    }
    const shown = new Set(found.map(({ id }) => id))
    for (const event of found) tell(event, context)
    for (let next = await first; next?.done === false; next = await following.next())
      if (!shown.has(next.value.id)) tell(next.value, context)

    async function newestCursor(): Promise<string> {
      const { cursor, events: last } = await events.list({ newestFirst: true, limit: 1 })
      return last.length === 0 ? '0' : (cursor ?? '0')
    }
  })
}

function filterOf({ type, connection, label }: EventsArguments): EventFilter {
  const unknown = type?.find((each) => !(EVENT_TYPES as readonly string[]).includes(each))
  if (unknown !== undefined)
    throw new TokenError(
      'invalid_input',
      `there is no type of event "${printable(unknown)}"; there are ${EVENT_TYPES.join(', ')}`,
    )
  return { types: type as EventFilter['types'], connection, labels: label }
}

function lines(events: readonly RecordedEvent[], { output: { colours }, around }: Context): readonly string[] {
  const now = around.now()
  return table(
    ['WHEN', 'EVENT', 'OF', 'WHAT'],
    events.map((event) => [
      localIso(event.at),
      { text: event.type, paint: eventPaint(event.type, colours) },
      subjectOf(event),
      eventDetail(event, now),
    ]),
    colours.dim,
  )
}

function tell(event: RecordedEvent, { output, around }: Context): void {
  if (output.json) return output.line(eventWire(event))
  const paint = eventPaint(event.type, output.colours)
  const detail = eventDetail(event, around.now())
  output.text(
    `${output.colours.dim(localIso(event.at))}  ${paint(printable(event.type))}  ${printable(subjectOf(event))}` +
      `${detail === '' ? '' : `  ${printable(detail)}`}\n`,
  )
}
