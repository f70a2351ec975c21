import { errors, type TokenEndpointGrantContext } from 'oidc-provider'
import { checkDpopReplay, validateDpop } from 'oidc-provider/lib/helpers/grants.js'
import type { RefreshToken } from './engine-models.ts'
import { openAnswer, repeatAnswer, sealAnswer } from './kept-answer.ts'
import { NO_END_SECONDS, type Lifetimes } from './lifetimes.ts'
import type { Realm } from './realm.ts'
import { judgePresentation, type Verdict } from './rotation.ts'
import type { KnownRefreshToken, Outcome, Session } from './sessions.ts'
import { tokenAnswer, type TokenAnswer } from './token-answer.ts'

type Context = TokenEndpointGrantContext

/** One presentation, with everything about it that was looked up. */
interface Presentation {
  readonly ctx: Context
  readonly realm: Realm
  readonly secret: string
  readonly known: KnownRefreshToken
  readonly session: Session
  /** Not there when it is expired, to the millisecond. */
  readonly token: RefreshToken | undefined
  /** The key that the client has proven to have (RFC 9449), as its thumbprint. */
  readonly jkt: string | null
  readonly nowMs: number
}

/** A presentation that will be answered. */
interface Admitted extends Presentation {
  readonly token: RefreshToken
  readonly lifetimes: Lifetimes
  readonly scope: string
  readonly resource: string | null
}

/**
 * The refresh grant of one realm, in place of the engine's own: it knows grace, counted reuse and counters.
 *
 * Runs inside one unit of the state file and in its session's turn, so that what it reads is what it decides about.
 *
 * @see RFC 6749 section 6; RFC 9700 section 4.14.2; the refusals carry Keycloak's descriptions
 */
export function createRefreshGrant(realm: Realm): (ctx: Context) => Promise<void> {
  return async (ctx) => {
    const presentation = await lookUp(realm, ctx)
    const verdict = judge(presentation)
    const admitted = await admit(presentation)
    const { answer, outcome } = await act(admitted, verdict)
    count(presentation, outcome, outcome)
    ctx.body = answer
  }
}

async function lookUp(realm: Realm, ctx: Context): Promise<Presentation> {
  const jkt = await provenKey(ctx)
  const secret = ctx.oidc.params['refresh_token']
  if (typeof secret !== 'string') throw new errors.InvalidRequest("missing required parameter(s) 'refresh_token'")

  const known = realm.sessions.refreshToken(secret)
  const session = known && realm.sessions.find(known.sessionId)
  // A token of another client is not this client's business: no counter moves, and the answer tells nothing.
  if (!known || !session || known.clientId !== ctx.oidc.client.clientId) throw invalidGrant('Invalid refresh token')
  const token = await ctx.oidc.provider.RefreshToken.find(secret)
  const presentation = { ctx, realm, secret, known, session, token, jkt, nowMs: Date.now() }
  // Before reuse is judged: whoever found a token, but not its key, must not end the session with it.
  if (token?.jkt !== undefined && token.jkt !== jkt) refuse(presentation, 'DPoP proof is not by the key of this token')
  return presentation
}

/** Checks the DPoP proof, where there must be one or is one, before anything else happens (RFC 9449 section 5). */
async function provenKey(ctx: Context): Promise<string | null> {
  const { provider, client } = ctx.oidc
  const proof = await validateDpop(provider, ctx)
  if (!proof) {
    if (client.dpopBoundAccessTokens === true) throw new errors.InvalidDpopProof('DPoP proof is missing')
    return null
  }
  await checkDpopReplay(provider, ctx, proof, client.clientId, errors.InvalidDpopProof)
  return proof.thumbprint
}

function judge(presentation: Presentation): Verdict {
  const { realm, known, session, nowMs } = presentation
  if (session.killedBecause !== null) refuse(presentation, 'Session not active')
  const verdict = judgePresentation(realm.settings.rotation, known, nowMs)
  if (verdict.verdict === 'reuse') {
    realm.sessions.kill(session.id, 'reuse', nowMs)
    refuse(presentation, 'Maximum allowed refresh token reuse exceeded')
  }
  if (verdict.verdict === 'stale') refuse(presentation, 'Stale token')
  return verdict
}

async function admit(presentation: Presentation): Promise<Admitted> {
  const { ctx, realm, session, token, nowMs } = presentation
  if (!token) refuse(presentation, 'Token is not active')
  const lifetimes = realm.lifetimes(session, nowMs)
  if (lifetimes.accessSeconds === 0) refuse(presentation, 'Session not active')

  // Everything that may be wrong with the request itself is found before the token is spent.
  const asked = ctx.oidc.requestParamScopes
  const missing = [...asked].filter((scope) => !token.scopes.has(scope))
  if (missing.length > 0) {
    count(presentation, 'refused', 'invalid_scope')
    throw new errors.InvalidScope('the refresh token does not have the requested scope', missing.join(' '))
  }
  const resource = askedResource(presentation)
  const scope = asked.size > 0 ? [...asked].join(' ') : (token.scope ?? '')
  return { ...presentation, token, lifetimes, scope, resource }
}

function askedResource(presentation: Presentation): string | null {
  const { resource } = presentation.ctx.oidc.params
  if (resource === undefined) return null
  const refusal = (description: string) => {
    count(presentation, 'refused', 'invalid_target')
    return new errors.CustomOIDCProviderError('invalid_target', description)
  }
  if (Array.isArray(resource)) throw refusal('only a single resource indicator is supported')
  if (!URL.canParse(resource) || resource.includes('#')) {
    throw refusal('resource indicator must be an absolute URI without a fragment') // RFC 8707 section 2
  }
  return resource
}

async function act(admitted: Admitted, verdict: Verdict): Promise<{ answer: TokenAnswer; outcome: Outcome }> {
  const { realm, secret, known, session, nowMs, token } = admitted
  if (verdict.verdict === 'repeat_answer' && known.answer !== null) {
    realm.sessions.spent(known, null, nowMs)
    return { answer: repeatAnswer(openAnswer(known.answer, secret), nowMs), outcome: 'answered_again' }
  }
  if (realm.settings.refreshKillsAccessToken) realm.sessions.killAccessTokensOf(session.id, nowMs)
  if (verdict.verdict === 'keep') return { answer: await keep(admitted, verdict.answer), outcome: 'refreshed' }

  if (verdict.verdict === 'rotate_again' && verdict.retireEarlier === 'yes') realm.sessions.retireSuccessorsOf(known)
  if (known.uses === 0) await token.consume()
  const answer = await rotate(admitted)
  return { answer, outcome: known.uses === 0 ? 'refreshed' : 'answered_again' }
}

/** Reusable: the same refresh token goes on, as it is or unmentioned. */
async function keep(admitted: Admitted, mention: 'same' | 'none'): Promise<TokenAnswer> {
  const { realm, secret, known, token, scope, nowMs, lifetimes } = admitted
  if (realm.settings.narrowing === 'sticks' && scope !== token.scope) {
    token.scope = scope
    await token.save()
  }
  const left = lifetimes.refreshSeconds === null ? null : Math.max(0, Math.floor((known.expiresMs - nowMs) / 1000))
  return issue(admitted, mention === 'same' ? { secret, left } : { secret: null, left })
}

async function rotate(admitted: Admitted): Promise<TokenAnswer> {
  const { ctx, realm, secret, known, session, token, lifetimes, scope, jkt, nowMs } = admitted
  const successor = new ctx.oidc.provider.RefreshToken({
    client: ctx.oidc.client,
    accountId: token.accountId,
    acr: token.acr,
    authTime: token.authTime,
    claims: token.claims,
    grantId: session.id,
    gty: 'refresh_token',
    iiat: token.iiat,
    nonce: token.nonce,
    resource: token.resource,
    rotations: (token.rotations ?? 0) + 1,
    scope: realm.settings.narrowing === 'sticks' ? scope : (token.scope ?? ''),
    sessionUid: token.sessionUid,
    sid: token.sid,
    expiresIn: lifetimes.refreshSeconds ?? NO_END_SECONDS,
  })
  // A client that proves itself to be the client may come with another key; a public one has nothing but its key.
  const bound = token.jkt ?? (ctx.oidc.client.clientAuthMethod === 'none' ? jkt : null)
  if (bound !== null) successor.jkt = bound
  const successorSecret = await successor.save()
  realm.sessions.spent(known, successorSecret, nowMs)
  const answer = await issue(admitted, { secret: successorSecret, left: lifetimes.refreshSeconds })

  const { rotation } = realm.settings
  if (rotation.kind === 'grace' && rotation.winner === 'same') {
    const accessExpiresMs = nowMs + lifetimes.accessSeconds * 1000
    const refreshExpiresMs = lifetimes.refreshSeconds === null ? null : nowMs + lifetimes.refreshSeconds * 1000
    realm.sessions.keepAnswer(known, sealAnswer({ answer, accessExpiresMs, refreshExpiresMs }, secret))
  }
  return answer
}

async function issue(admitted: Admitted, refreshToken: { secret: string | null; left: number | null }) {
  const { ctx, realm, session, token, lifetimes, scope, resource, jkt } = admitted
  const accessToken = new ctx.oidc.provider.AccessToken({
    client: ctx.oidc.client,
    accountId: token.accountId,
    claims: token.claims,
    grantId: session.id,
    gty: 'refresh_token',
    scope,
    sessionUid: token.sessionUid,
    sid: token.sid,
    expiresIn: lifetimes.accessSeconds,
  })
  if (jkt !== null) accessToken.setThumbprint('jkt', jkt)
  if (resource !== null) accessToken.setAudience(resource)
  await accessToken.save()
  return tokenAnswer({
    accessToken: realm.presentable(accessToken, lifetimes.accessSeconds),
    tokenType: accessToken.tokenType,
    expiresIn: lifetimes.accessSeconds,
    refreshToken: refreshToken.secret,
    refreshExpiresIn: refreshToken.left,
    idToken: scope.split(' ').includes('openid') ? await idToken(admitted) : null,
    scope,
    sessionId: session.id,
  })
}

async function idToken({ ctx, token, session }: Admitted): Promise<string> {
  const made = new ctx.oidc.provider.IdToken({ sub: token.accountId, auth_time: token.authTime }, { ctx })
  Object.assign(made, { scope: 'openid' }) // The types lack it; without it the engine leaves `sub` alone in the token.
  made.set('nonce', token.nonce)
  made.set('sid', session.id)
  return made.issue({ use: 'idtoken' })
}

function count({ realm, known, session, nowMs }: Presentation, outcome: Outcome, detail: string): void {
  const second = known.uses > 0 && realm.settings.rotation.kind !== 'reusable' ? 1 : 0
  realm.sessions.presented(session.id, { outcome, second, detail, atMs: nowMs })
}

function refuse(presentation: Presentation, description: string): never {
  count(presentation, 'refused', description)
  throw invalidGrant(description)
}

function invalidGrant(description: string): Error {
  return new errors.CustomOIDCProviderError('invalid_grant', description)
}
