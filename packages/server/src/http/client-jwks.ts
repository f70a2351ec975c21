/**
 * The public keys of a client, for its provider to fetch (`jwks_uri`): no API key is asked for, and nothing secret is near.
 *
 * A set is believed for a second, so that whoever asks without end reaches the database once.
 */
import type { FastifyInstance } from 'fastify'
import { parseName, TokenError, type Clock } from '@tokenkeep/core'
import type { Jwks, Tokenkeep } from '@tokenkeep/node'
import { jwksPath } from '../api/jwks-path.ts'
import { createBelieved } from './bounded.ts'
import type { Metrics } from './metrics.ts'
import type { Pressure } from './pressure.ts'

const OPERATION = 'clientJwks'
const REMEMBERED_MAX = 1_000
/** A new key is published a day before it signs; whoever rotates at once waits as long as this. */
const CACHED_SECONDS = 300

export function registerClientJwks(
  app: FastifyInstance,
  setup: {
    readonly keep: Pick<Tokenkeep, 'clients'>
    readonly metrics: Metrics
    readonly pressure: Pressure
    readonly clock: Pick<Clock, 'now'>
  },
): void {
  const { keep, metrics, pressure, clock } = setup
  const believed = createBelieved<Jwks>(REMEMBERED_MAX)

  const published = async (id: string): Promise<Jwks> => {
    // A client without keys and one that is not there are the same to whoever guesses ids.
    if ('wrong' in parseName('client', id)) return NONE
    const { mono: now } = clock.now()
    const known = believed.get(id, now)
    if (known !== undefined) return known
    try {
      const jwks = await keep.clients.jwks(id).catch(noneWhereUnknown)
      believed.put(id, jwks, now)
      return jwks
    } catch (error) {
      return believed.instead(id, error, now)
    }
  }

  app.route({
    method: ['GET', 'HEAD'],
    url: jwksPath(':id').replace('%3A', ':'),
    config: { operation: OPERATION },
    handler: async (request, reply) => {
      pressure.check()
      const jwks = await published((request.params as { readonly id: string }).id)
      if (jwks.keys.length === 0) {
        throw new TokenError('unknown_client', 'there is no client of this id that publishes keys.')
      }
      metrics.answered(OPERATION, 200)
      return reply
        .header('content-type', 'application/json; charset=utf-8')
        .header('cache-control', `public, max-age=${CACHED_SECONDS}`)
        .send(JSON.stringify(jwks))
    },
  })
}

const NONE: Jwks = { keys: [] }

function noneWhereUnknown(error: unknown): Jwks {
  if (error instanceof TokenError && error.code === 'unknown_client') return NONE
  throw error
}
