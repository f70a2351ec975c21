import type { RecordedEvent } from '@tokenkeep/node'
import type { EventWire } from './event-wire.ts'

/**
 * An event as everybody outside sees it: members that are null for its type are left out, moments are RFC 3339, lengths
 * seconds.
 */
export const eventWire = ({ id, type, at, connection, provider, client, labels, data }: RecordedEvent): EventWire => ({
  id,
  type,
  timestamp: new Date(at).toISOString(),
  data: {
    ...(connection === null ? {} : { connection }),
    ...(provider === null ? {} : { provider }),
    ...(client === null ? {} : { client }),
    ...(connection === null ? {} : { labels }),
    ...Object.fromEntries(Object.entries(data).map(spelled)),
  },
})

function spelled([name, value]: readonly [string, unknown]): readonly [string, unknown] {
  if (name.endsWith('Ms') && typeof value === 'number') return [`${snake(name.slice(0, -2))}_seconds`, value / 1000]
  const moment = name.endsWith('At') && typeof value === 'number'
  return [snake(name), moment ? new Date(value).toISOString() : value]
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
