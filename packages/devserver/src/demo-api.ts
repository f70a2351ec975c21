import type { IncomingMessage, ServerResponse } from 'node:http'
import { jsonAnswer, send, type Answer } from './answer.ts'
import { fingerprint } from './fingerprint.ts'
import type { AccessTokenStanding } from './realm.ts'
import { serveVisit } from './visit.ts'
import type { World } from './world.ts'

export const DEMO_API_PATH = '/dealer-api/v1/offers'
const SCOPE = 'dealer-api'

const OFFERS = [
  { id: 'offer-1001', bike: 'Cargo bike, 75 Nm', price: 4890, currency: 'EUR', status: 'open' },
  { id: 'offer-1002', bike: 'Trekking e-bike, 500 Wh', price: 2990, currency: 'EUR', status: 'accepted' },
  { id: 'offer-1003', bike: 'Gravel bike', price: 1850, currency: 'EUR', status: 'open' },
]

/**
 * The protected demo API: a resource server for the access tokens of every realm, JWT or opaque.
 *
 * It knows at once when a token was revoked, which no resource server elsewhere does with a JWT.
 *
 * @see RFC 6750 section 3 (challenges)
 */
export async function serveDemoApi(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET') {
    send(response, jsonAnswer(405, { error: 'method_not_allowed' }, { allow: 'GET' }))
    return
  }
  const [scheme, shown, ...rest] = request.headers.authorization?.split(' ') ?? []
  const token = scheme?.toLowerCase() === 'bearer' && rest.length === 0 ? shown : undefined
  const { standing, realm } = token ? look(world, token) : { standing: null, realm: null }
  const sessionId = standing && 'sessionId' in standing ? standing.sessionId : null
  await serveVisit(world, {
    target: { endpoint: 'demo-api', realm, sessionId, grantType: null },
    clientId: null,
    tokenFingerprint: token ? fingerprint(token) : null,
    scope: null,
    response,
    // Looked up again: a delay before the call may outlive the token.
    carryOut: async () => verdict(token ? look(world, token).standing : null),
  })
}

function look(world: World, token: string): { standing: AccessTokenStanding; realm: string | null } {
  for (const realm of world.realms.values()) {
    const standing = realm.standing(token, Date.now())
    if (standing.standing !== 'unknown') return { standing, realm: realm.name }
  }
  return { standing: { standing: 'unknown' }, realm: null }
}

function verdict(standing: AccessTokenStanding | null): Answer {
  // RFC 6750 section 3.1: a request without credentials gets the challenge without an error code.
  if (standing === null) return refusal(401, null)
  switch (standing.standing) {
    case 'unknown':
      return refusal(401, { error: 'invalid_token', description: 'The access token is unknown or malformed' })
    case 'expired':
      return refusal(401, { error: 'invalid_token', description: 'The access token expired' })
    case 'revoked':
      return refusal(401, { error: 'invalid_token', description: 'The access token was revoked' })
    case 'active':
      if (standing.scope.split(' ').includes(SCOPE)) {
        return jsonAnswer(200, { offers: OFFERS, subject: standing.subject })
      }
      return refusal(403, { error: 'insufficient_scope', description: `The scope ${SCOPE} is needed` })
  }
}

function refusal(status: number, why: { error: string; description: string } | null): Answer {
  const scope = status === 403 ? `, scope="${SCOPE}"` : ''
  const error = why ? `, error="${why.error}", error_description="${why.description}"${scope}` : ''
  const body = why ? { error: why.error, error_description: why.description } : { error: 'unauthorized' }
  return jsonAnswer(status, body, { 'www-authenticate': `Bearer realm="dealer-api"${error}` })
}
