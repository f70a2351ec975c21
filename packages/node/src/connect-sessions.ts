/**
 * Connect sessions: how a person's sign-in becomes a connection, from the link that is made to the tokens that are kept.
 *
 * What comes back from a provider is believed only where its `state` is known, it comes from the browser that was sent
 * there, and it names the issuer that it was sent to. Each answer is taken once, whoever repeats it and wherever.
 *
 * @see RFC 6749 section 4.1, RFC 7636 (PKCE), RFC 9207 (`iss`), RFC 9700 sections 2.1, 4.4 and 4.7
 */
import { hash, randomBytes } from 'node:crypto'
import {
  answered,
  assertNever,
  begun,
  connectStateNow,
  next,
  Secret,
  TokenError,
  type Cipher,
  type DpopKey,
  type DpopKeys,
  type Clock,
  type ConnectFailure,
  type ConnectionId,
  type ConnectSession,
  type ConnectState,
  type Random,
  type Registry,
  type Revision,
  type Sealed,
  type Serial,
} from '@tokenkeep/core'
import { readConnectSessionInput, type ConnectSessionInput } from './connect-session-input.ts'
import { unknownClient, type SignInKeeper } from './keep-sign-in.ts'
import { readWebUrl } from './web-url.ts'
import type { SignIns } from './sign-in.ts'
import type { SignedIn } from './sign-in-answer.ts'

export interface ConnectSessions {
  /**
   * Prepares a sign-in.
   *
   * @param by the API key for which it is made, and the labels that it is limited to; null: nobody's
   * @returns with `link`, which lets a person begin: `tkc_` and 43 characters, shown now and never again
   * @throws TokenError `invalid_input`, `unknown_client`, `unknown_provider`, `store_unavailable`
   */
  create(
    input: ConnectSessionInput,
    by?: { readonly id: string; readonly labels: Readonly<Record<string, string>> } | null,
  ): Promise<{ readonly session: ConnectSession; readonly link: string }>
  /** @throws TokenError `unknown_connect_session` */
  get(id: string): Promise<ConnectSession>
  /** The session that a link is for; null: there is none, or not any more. */
  byLink(link: string): Promise<ConnectSession | null>
  /**
   * Sends a person to the provider. Whoever begins again makes the answer to the time before worthless.
   *
   * @param of `redirectUri`: where the provider sends the browser back to, as it is registered there. `boundTo`: what only
   *   this browser has, such as the secret in a cookie: an answer that another browser brings is refused
   * @returns where the browser is to go; it holds no secret of ours but the `state`
   * @throws TokenError `unknown_connect_session` (also one that is over), `invalid_input`, `unavailable`: the provider does
   *   not answer; `provider_refused`: it has no such endpoint, or refused the pushed request
   */
  begin(link: string, of: { readonly redirectUri: string; readonly boundTo: string }): Promise<{ readonly url: string }>
  /**
   * Takes what a provider sent the browser back with, and connects.
   *
   * @param answer the whole URL to which the browser came, or its query
   * @param of `boundTo` as when it began; `provider`: whose answer it claims to be, where its address says so
   * @throws TokenError `store_unavailable`: nothing was taken, the same answer can be brought again
   */
  finish(
    answer: string | URLSearchParams,
    of: { readonly boundTo: string; readonly provider?: string | undefined },
  ): Promise<Finished>
}

export type Finished =
  | {
      readonly kind: 'connected'
      readonly session: ConnectSession
      /** Who signed in, as the provider calls them; null: not told, or this answer was brought before. */
      readonly account: string | null
    }
  | { readonly kind: 'failed'; readonly session: ConnectSession; readonly because: ConnectFailure }
  /** The same answer is being taken at this moment, or was and failed. */
  | { readonly kind: 'taken'; readonly session: ConnectSession }
  /** It began in another browser. */
  | { readonly kind: 'other_browser' }
  /** Nobody was sent away with this `state`, or it is too long ago. */
  | { readonly kind: 'unknown' }

/** A session as the database keeps it. */
export interface StoredConnectSession {
  readonly session: ConnectSession
  /** SHA-256 of the link. */
  readonly link: string
  /** SHA-256 of the newest `state`; null: nobody has begun. It stays, so that an answer that comes again is known. */
  readonly state: string | null
  /** SHA-256 of what the browser has that began. */
  readonly boundTo: string | null
  /** What the exchange of the code needs: the PKCE verifier and the nonce. */
  readonly secrets: { readonly sealed: Sealed; readonly serial: Serial } | null
}

/** What a database has to be able to do for connect sessions. */
export interface ConnectSessionRows {
  /** And forgets those that ended before. */
  add(stored: StoredConnectSession, forgetBefore: number): Promise<void>
  find(by: ConnectSessionKey): Promise<StoredConnectSession | null>
  /** Where it still has the revision before; false: somebody else was first. */
  change(stored: StoredConnectSession): Promise<boolean>
}
export type ConnectSessionKey = { readonly id: string } | { readonly link: string } | { readonly state: string }

export interface ConnectSessionsSetup {
  readonly rows: ConnectSessionRows
  readonly registry: Registry
  readonly keeper: SignInKeeper
  readonly cipher: Cipher
  readonly dpopKeys: DpopKeys
  readonly clock: Pick<Clock, 'now'>
  readonly random: Random
  /** Loaded when a person begins. */
  readonly signIns: () => Promise<SignIns>
  /** Reads an id that a person wrote. @throws TokenError `invalid_input` */
  readonly connectionId: (given: unknown) => ConnectionId
}

const LINK_PREFIX = 'tkc_'
const SECRET_BYTES = 32
const KEPT_MS = 24 * 3600 * 1000
const BOUND_TO_LENGTH_MAX = 1000
/** Others begin the same session at the same moment; each try is a request to the provider. */
const BEGINS_MOST = 3

export function createConnectSessions(setup: ConnectSessionsSetup): ConnectSessions {
  const { rows, registry, keeper, cipher, clock, random, connectionId } = setup

  /** All that a step with the provider needs: what comes of it has to be kept. */
  const readyFor = async (session: ConnectSession) => {
    const [provider, client, signIns, sealer] = await Promise.all([
      registry.provider(session.provider),
      registry.client(session.client),
      setup.signIns(),
      cipher.sealer(),
    ])
    return { provider, client, signIns, sealer }
  }

  /** The session with another state; null: somebody else was first. */
  const moved = async (stored: StoredConnectSession, change: Partial<StoredConnectSession>, state: ConnectState) => {
    const session = { ...stored.session, revision: next(stored.session.revision), state }
    const changed = { ...stored, ...change, session }
    return (await rows.change(changed)) ? changed : null
  }

  const failed = async (
    stored: StoredConnectSession,
    because: ConnectFailure,
    word: string | null,
  ): Promise<Finished> => {
    const state: ConnectState = { status: 'open', failure: { because, word, at: clock.now().wall } }
    // Where this cannot be written, the session says the same after a minute, without the reason.
    const written = await moved(stored, { secrets: null }, state).catch(() => null)
    return { kind: 'failed', session: (written ?? stored).session, because }
  }

  const create: ConnectSessions['create'] = async (input, by = null) => {
    const read = readConnectSessionInput(input, connectionId)
    const { client, connection } = await keeper.destinationOf(read)
    const now = clock.now().wall
    const link = `${LINK_PREFIX}${newSecret()}`
    const session: ConnectSession = {
      id: `cs_${randomBytes(9).toString('hex')}`,
      revision: 1 as Revision,
      provider: client.provider,
      client: client.id,
      connection,
      labels: read.labels,
      scope: read.scope,
      resources: read.resources,
      otherAccount: read.otherAccount,
      returnTo: read.returnTo,
      madeBy: by?.id ?? null,
      within: by?.labels ?? {},
      createdAt: Math.round(now) as ConnectSession['createdAt'],
      expiresAt: Math.round(now + read.expiresInMs) as ConnectSession['expiresAt'],
      state: { status: 'open', failure: null },
    }
    const stored = { session, link: digestOf(link), state: null, boundTo: null, secrets: null }
    await rows.add(stored, Math.floor(now - KEPT_MS))
    return { session, link }
  }

  const finish: ConnectSessions['finish'] = async (answer, { boundTo, provider: claimed }) => {
    const given = queryOf(answer)
    const state = given?.getAll('state') ?? []
    if (given === null || state.length !== 1) return { kind: 'unknown' }
    const found = await rows.find({ state: digestOf(state[0] ?? '') })
    if (found === null) return { kind: 'unknown' }
    const { session } = found
    if (claimed !== undefined && claimed !== session.provider) return { kind: 'unknown' }
    // Before anything is told of it: the link of an attacker's sign-in must not show, or take, the victim's (RFC 9700 section 4.7).
    if (found.boundTo !== digestOf(boundTo)) return { kind: 'other_browser' }
    const took = answered(session, clock.now().wall)
    if (took === 'connected') return { kind: 'connected', session, account: null }
    if (took === 'not_signing_in') return { kind: 'taken', session }
    // What comes back has to be kept, and what is needed for it read: where that fails, nothing was taken.
    const ready = await readyFor(session)
    const taken = await moved(found, {}, took)
    if (taken === null) return { kind: 'taken', session }
    return connect(taken, given, session.state, ready)
  }

  /** From here on every way ends in `failed` or `connected`: the answer is taken and cannot be brought again. */
  const connect = async (
    taken: StoredConnectSession,
    answer: URLSearchParams,
    before: ConnectState,
    { provider, client, signIns }: Awaited<ReturnType<typeof readyFor>>,
  ): Promise<Finished> => {
    const { session } = taken
    const secrets = openedSecrets(taken)
    if (provider === null || client === null || typeof client === 'string') return failed(taken, 'misconfigured', null)
    if (secrets === null || before.status !== 'signing_in') return failed(taken, 'unavailable', null)
    const authorized = await signIns.read(provider, answer)
    if (authorized.kind === 'failed') return failed(taken, authorized.because, authorized.word)
    const asked = { redirectUri: before.redirectUri, scope: session.scope, resources: session.resources }
    const signedIn = await signIns.exchange({ provider, client, code: authorized.code, ...secrets, ...asked })
    if (signedIn.kind === 'failed') return failed(taken, signedIn.because, signedIn.word)
    return kept(taken, signedIn, secrets.dpopKey)
  }

  const kept = async (
    taken: StoredConnectSession,
    { signIn }: SignedIn,
    dpopKey: DpopKey | null,
  ): Promise<Finished> => {
    const bound = dpopKey === null ? signIn : { ...signIn, dpopKey: dpopKey.reveal() }
    const done = await keeper.keep(taken.session, bound)
    if (done.kind === 'failed') return failed(taken, done.because, null)
    const { connection, renewed, scope } = done
    const state: ConnectState = { status: 'connected', at: clock.now().wall, connection, renewed, scope }
    // The connection is made: a session that cannot be written only tells less.
    const written = await moved(taken, { secrets: null }, state).catch(() => null)
    return { kind: 'connected', session: { ...(written ?? taken).session, state }, account: signIn.account }
  }

  const openedSecrets = ({ session, secrets }: StoredConnectSession): Secrets | null => {
    if (secrets === null) return null
    const opened = cipher.open('connect_session', secrets.sealed, placeOf(session.id, secrets.serial))
    if (typeof opened === 'string') return null
    const [codeVerifier = '', nonce = '', key] = opened.reveal().split(' ')
    return { codeVerifier, nonce, dpopKey: key === undefined ? null : new Secret('dpop_key', key) }
  }

  return {
    create,

    async get(id) {
      const found = typeof id === 'string' ? await rows.find({ id }) : null
      if (found === null) throw unknownSession()
      return asOfNow(found.session, clock.now().wall)
    },

    async byLink(link) {
      if (!looksLikeLink(link)) return null
      const found = await rows.find({ link: digestOf(link) })
      return found === null ? null : asOfNow(found.session, clock.now().wall)
    },

    async begin(link, { redirectUri, boundTo }) {
      if (typeof boundTo !== 'string' || boundTo === '' || boundTo.length > BOUND_TO_LENGTH_MAX)
        throw new TokenError('invalid_input', 'boundTo is what only the browser of this person has, as a string')
      const back = readWebUrl('redirectUri', redirectUri, (sentence) => {
        throw new TokenError('invalid_input', sentence)
      })
      for (let tries = 0; tries < BEGINS_MOST; tries += 1) {
        const found = looksLikeLink(link) ? await rows.find({ link: digestOf(link) }) : null
        if (found === null) throw unknownSession()
        const { session } = found
        const state = begun(session, { redirectUri: back, now: clock.now().wall })
        if (typeof state === 'string') throw overBecause(state)
        const { provider, client, signIns, sealer } = await readyFor(session)
        if (provider === null || client === null || typeof client === 'string') throw unknownClient(session.client)
        const bound = client.dpopBoundAccessTokens ? await setup.dpopKeys.make() : null
        const secrets: SecretsSent = { codeVerifier: newSecret(), nonce: newSecret() }
        const stateParameter = newSecret()
        const serial = random.uuid() as Serial
        // No space is in any of them.
        const kept = [secrets.codeVerifier, secrets.nonce, ...(bound === null ? [] : [bound.key.reveal()])].join(' ')
        const sealed = sealer.seal(new Secret('connect_session', kept), placeOf(session.id, serial))
        // Before it is noted: a provider that is down leaves the session as it was.
        const { url } = await signIns.authorizationUrl({
          provider,
          client,
          redirectUri: back,
          state: stateParameter,
          ...secrets,
          dpopJkt: bound?.jkt ?? null,
          scope: session.scope,
          resources: session.resources,
        })
        const change = {
          state: digestOf(stateParameter),
          boundTo: digestOf(boundTo),
          secrets: { sealed, serial },
        }
        if ((await moved(found, change, state)) !== null) return { url }
      }
      throw overBecause('busy')
    },

    finish,
  }
}

/** What the provider is told of, or compares with what it was told. */
interface SecretsSent {
  readonly codeVerifier: string
  readonly nonce: string
}

interface Secrets extends SecretsSent {
  /** What the tokens will be bound to; null: nothing. */
  readonly dpopKey: DpopKey | null
}

const newSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url')
const digestOf = (secret: string): string => hash('sha256', secret, 'base64url')
const placeOf = (id: string, serial: Serial) =>
  ({ owner: `connect-session:${id}`, purpose: 'sign-in', serial }) as const

const looksLikeLink = (link: unknown): link is string =>
  typeof link === 'string' && link.length === LINK_PREFIX.length + 43 && link.startsWith(LINK_PREFIX)

/** As it is at this moment; one that is over and that nobody finished says so by its end. */
const asOfNow = (session: ConnectSession, now: ConnectSession['createdAt']): ConnectSession => ({
  ...session,
  state: connectStateNow(session, now),
})

function queryOf(answer: string | URLSearchParams): URLSearchParams | null {
  if (answer instanceof URLSearchParams) return answer
  if (typeof answer !== 'string' || answer.length > 64 * 1024) return null
  const at = answer.indexOf('?')
  return new URLSearchParams(at < 0 ? answer : answer.slice(at + 1).replace(/#.*$/s, ''))
}

const unknownSession = (): TokenError =>
  new TokenError('unknown_connect_session', 'there is no such connect session, or not any more: make a new one')

function overBecause(state: 'busy' | 'connected' | 'expired'): TokenError {
  switch (state) {
    case 'busy':
      return new TokenError('unavailable', 'this sign-in is being finished at this moment')
    case 'connected':
      return new TokenError('unknown_connect_session', 'this connect session is over: it has connected already')
    case 'expired':
      return new TokenError('unknown_connect_session', 'this connect session has expired: make a new one')
    default:
      return assertNever(state)
  }
}
