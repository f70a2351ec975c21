import type { IncomingMessage, ServerResponse } from 'node:http'
import { jsonAnswer, send, type Answer } from './answer.ts'
import { InvalidProof, PROOF_ALGORITHMS, readProof, type Proof } from './dpop-proof.ts'
import { fingerprint } from './fingerprint.ts'
import type { AccessTokenStanding, Realm } from './realm.ts'
import { serveVisit } from './visit.ts'
import type { World } from './world.ts'

export const DEMO_API_PATH = '/dealer-api/v1/offers'
const SCOPE = 'dealer-api'

const OFFERS = [
  { id: 'offer-1001', bike: 'Cargo bike, 75 Nm', price: 4890, currency: 'EUR', status: 'open' },
  { id: 'offer-1002', bike: 'Trekking e-bike, 500 Wh', price: 2990, currency: 'EUR', status: 'accepted' },
  { id: 'offer-1003', bike: 'Gravel bike', price: 1850, currency: 'EUR', status: 'open' },
]

type Scheme = 'Bearer' | 'DPoP'

/** What a caller showed: a token, how it was shown, and the proof beside it. */
interface Shown {
  readonly scheme: Scheme
  readonly token: string
  readonly proof: string | null
}

interface Refusal {
  readonly status: 401 | 403
  readonly error: string
  readonly description: string
}

/**
 * The protected demo API: a resource server for the access tokens of every realm, JWT or opaque, Bearer or DPoP.
 *
 * It knows at once when a token was revoked, which no resource server elsewhere does with a JWT.
 *
 * @see RFC 6750 section 3 and RFC 9449 section 7.1 (challenges)
 */
export async function serveDemoApi(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET') {
    send(response, jsonAnswer(405, { error: 'method_not_allowed' }, { allow: 'GET' }))
    return
  }
  const shown = readShown(request)
  const { standing, realm } = shown ? look(world, shown.token) : { standing: null, realm: null }
  const sessionId = standing && 'sessionId' in standing ? standing.sessionId : null
  await serveVisit(world, {
    target: { endpoint: 'demo-api', realm: realm?.name ?? null, sessionId, grantType: null },
    clientId: null,
    tokenFingerprint: shown ? fingerprint(shown.token) : null,
    scope: null,
    response,
    // Looked up again: a delay before the call may outlive the token.
    carryOut: async () => (shown ? verdict(world, shown) : challenge(world)),
  })
}

function readShown({ headers }: IncomingMessage): Shown | null {
  const [name, token, ...rest] = headers.authorization?.split(' ') ?? []
  const scheme = (['Bearer', 'DPoP'] as const).find((it) => it.toLowerCase() === name?.toLowerCase())
  if (!scheme || !token || rest.length > 0) return null
  return { scheme, token, proof: typeof headers['dpop'] === 'string' ? headers['dpop'] : null }
}

function look(world: World, token: string): { standing: AccessTokenStanding; realm: Realm | null } {
  for (const realm of world.realms.values()) {
    const standing = realm.standing(token, Date.now())
    if (standing.standing !== 'unknown') return { standing, realm }
  }
  return { standing: { standing: 'unknown' }, realm: null }
}

async function verdict(world: World, shown: Shown): Promise<Answer> {
  const { standing, realm } = look(world, shown.token)
  const scheme = standing.standing === 'active' && standing.jkt !== null ? 'DPoP' : shown.scheme
  // A realm with nonces gives the next one with every answer to a proof, good or bad.
  const nonce = scheme === 'DPoP' && realm?.settings.dpopNonce === true ? realm.apiNonces.next(Date.now()) : null
  const headers = nonce === null ? {} : { 'dpop-nonce': nonce }
  const refusal = await whyRefused(world, shown, standing, realm)
  if (refusal) return refused(scheme, refusal, headers)
  return jsonAnswer(200, { offers: OFFERS, subject: 'subject' in standing ? standing.subject : '' }, headers)
}

async function whyRefused(
  world: World,
  shown: Shown,
  standing: AccessTokenStanding,
  realm: Realm | null,
): Promise<Refusal | null> {
  switch (standing.standing) {
    case 'unknown':
      return invalidToken('The access token is unknown or malformed')
    case 'expired':
      return invalidToken('The access token expired')
    case 'revoked':
      return invalidToken('The access token was revoked')
    case 'active': {
      const unproven = await whyUnproven(world, shown, standing.jkt, realm)
      if (unproven) return unproven
      if (standing.scope.split(' ').includes(SCOPE)) return null
      return { status: 403, error: 'insufficient_scope', description: `The scope ${SCOPE} is needed` }
    }
  }
}

/** Judges whether whoever shows a token has its key (RFC 9449 section 7); null for yes, and for a token without one. */
async function whyUnproven(
  world: World,
  { scheme, token, proof: text }: Shown,
  jkt: string | null,
  realm: Realm | null,
): Promise<Refusal | null> {
  if (jkt === null) return scheme === 'Bearer' ? null : invalidToken('The access token is bound to no key')
  if (scheme === 'Bearer') return invalidToken('The access token is bound to a key: it needs a DPoP proof')
  if (text === null) return invalidProof('The DPoP proof is missing')
  const nowMs = Date.now()
  let proof: Proof
  try {
    proof = await readProof(text, { method: 'GET', url: `${world.origin}${DEMO_API_PATH}`, accessToken: token }, nowMs)
  } catch (error) {
    if (!(error instanceof InvalidProof)) throw error
    return invalidProof(error.message)
  }
  if (proof.jkt !== jkt) return invalidToken('The access token is bound to another key')
  if (realm?.settings.dpopNonce === true && !realm.apiNonces.knows(proof.nonce ?? '', nowMs)) {
    return { status: 401, error: 'use_dpop_nonce', description: 'A nonce of this API is needed in the proof' }
  }
  return world.proofs.take(proof, nowMs) ? null : invalidProof('jti was used before')
}

function invalidToken(description: string): Refusal {
  return { status: 401, error: 'invalid_token', description }
}

function invalidProof(description: string): Refusal {
  return { status: 401, error: 'invalid_dpop_proof', description }
}

function refused(scheme: Scheme, { status, error, description }: Refusal, headers: Record<string, string>): Answer {
  const quoted = description.replace(/["\\]/g, "'")
  const algorithms = scheme === 'DPoP' ? `, algs="${PROOF_ALGORITHMS.join(' ')}"` : ''
  const scope = status === 403 ? `, scope="${SCOPE}"` : ''
  const why = `, error="${error}", error_description="${quoted}"${scope}`
  return jsonAnswer(
    status,
    { error, error_description: description },
    { ...headers, 'www-authenticate': `${scheme} realm="dealer-api"${algorithms}${why}` },
  )
}

/** RFC 6750 section 3.1: a request without credentials gets the challenge without an error code. */
function challenge(world: World): Answer {
  const proofs = [...world.realms.values()].some(({ settings }) => settings.dpop !== 'off')
  const bearer = 'Bearer realm="dealer-api"'
  const dpop = `DPoP realm="dealer-api", algs="${PROOF_ALGORITHMS.join(' ')}"`
  return jsonAnswer(401, { error: 'unauthorized' }, { 'www-authenticate': proofs ? `${bearer}, ${dpop}` : bearer })
}
