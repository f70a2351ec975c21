/**
 * The token endpoint: access tokens of kept connections, for OAuth clients that know nothing of Tokenkeep.
 *
 * @see RFC 6749 sections 3.2, 4.4, 5.1, 5.2 and 6; RFC 8693 (token exchange); RFC 8707 section 2 (`resource`)
 */
import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { parseVariant, TokenError, type FailureCode, type TokenOptions } from '@tokenkeep/core'
import { createDenied } from '../acting.ts'
import { may } from '../caller.ts'
import type { Asking } from './asked-again.ts'
import { registerFormEndpoint, type AskedByForm, type FormEndpointSetup } from './form-endpoint.ts'
import type { Form } from './form.ts'
import { createHandingOut, type HandingOutSetup, type Wanted } from './handing-out.ts'
import { aboutResource, isInvalidGrant, OAuthRefusal, onHold, unknownLocalRefreshToken } from './refusal.ts'
import type { Share, Shares } from './shares.ts'
import { createSources, type Source } from './sources.ts'
import { createTargets } from './targets.ts'
import { subjectTokenOf, TOKEN_EXCHANGE } from './token-exchange.ts'
import { credentialOf, unknownSubject } from './client-authentication.ts'

export interface TokenEndpointSetup extends FormEndpointSetup, Omit<HandingOutSetup, 'operation'> {
  readonly shares: Shares
  /** How long a client is kept waiting for a refresh. */
  readonly waitMs: number
}

/** Each grant type that is served (RFC 6749 section 3.2), for discovery too. */
export const GRANT_TYPES = ['refresh_token', 'client_credentials', TOKEN_EXCHANGE] as const
type GrantType = (typeof GRANT_TYPES)[number]

const OPERATION = 'dropInToken'
/**
 * At least half of its life left: more is never granted, so asking for all of it asks for that. A client with a wide
 * margin would come back at once for less.
 */
const HALF_OF_ITS_LIFE_MS = Number.MAX_SAFE_INTEGER

export function registerTokenEndpoint(scope: FastifyInstance, setup: TokenEndpointSetup): void {
  const { keep, desk, shares, metrics, clock, waitMs, freeSince } = setup
  const askingOf = ({ request }: AskedByForm): Asking => {
    const askedAt = clock.now().mono
    return { askedAt, freeSince: freeSince.of(request.raw.socket, askedAt) }
  }
  const plain: TokenOptions = { minTtlMs: HALF_OF_ITS_LIFE_MS, waitMs }
  const denied = createDenied(setup.acting, setup.log)
  const sources = createSources(setup)
  const targets = createTargets(setup)
  const handOut = createHandingOut({ ...setup, operation: OPERATION })

  const fail = (reply: FastifyReply, form: Form, error: unknown): void => {
    if (!isInvalidGrant(error)) return refuse(reply, form, error)
    void keep
      .incarnation()
      .then(({ hold }) => refuse(reply, form, hold === null ? error : onHold()))
      .catch((unreadable: unknown) => refuse(reply, form, unreadable))
  }
  const refuse = (reply: FastifyReply, form: Form, error: unknown): void => {
    const onlyResource = form.resources.length > 0 && form.get('scope') === undefined
    const refusal = onlyResource ? aboutResource(error) : error
    const code = failureOf(refusal)
    if (code !== null) metrics.handOut('drop_in', code)
    reply.send(refusal)
  }

  const serve = (reply: FastifyReply, form: Form, wanted: Wanted): void => {
    handOut(reply, wanted).catch((error: unknown) => fail(reply, form, error))
  }

  const grants: Readonly<Record<GrantType, (asked: AskedByForm, reply: FastifyReply) => void>> = {
    refresh_token(asked, reply) {
      const { caller, form, realm } = asked
      const token = form.get('refresh_token')
      if (token === undefined) throw missing('refresh_token')
      const asking = askingOf(asked)
      const wantedOf = ({ connection, scope: granted, provider, renewable, confirm }: Share): Wanted => {
        const options = optionsOf(form, granted, plain)
        const holder = holderOf(token, options)
        const refusal = unknownLocalRefreshToken
        const refreshToken = renewable ? token : null
        return {
          caller,
          connection,
          options,
          asking,
          holder,
          confirm,
          refusal,
          refreshToken,
          exchanged: false,
          loopsAt: provider,
        }
      }
      const presented = { token, caller, realm }
      const believed = shares.believed(presented, asking.askedAt)
      if (believed !== undefined) {
        serve(reply, form, wantedOf(believed))
        return
      }
      shares
        .ask(presented)
        .then((share) => {
          if (share === null) throw unknownLocalRefreshToken()
          serve(reply, form, wantedOf(share))
        })
        .catch((error: unknown) => fail(reply, form, error))
    },

    client_credentials(asked, reply) {
      const { caller, form, realm } = asked
      const asking = askingOf(asked)
      const wantedOf = ({ connection, scope: granted, confirm }: Source): Wanted => {
        const options = optionsOf(form, granted, plain)
        const holder = holderOf(`${caller.apiKey.id}\n${connection}`, options)
        const none = { refreshToken: null, exchanged: false, loopsAt: null }
        return { caller, connection, options, asking, holder, confirm, refusal: noSource, ...none }
      }
      const believed = sources.believed(caller, realm, asking.askedAt)
      if (believed !== undefined) {
        serve(reply, form, wantedOf(believed))
        return
      }
      sources
        .ask(caller, realm)
        .then((source) => {
          if (source === null) throw noSource()
          serve(reply, form, wantedOf(source))
        })
        .catch((error: unknown) => fail(reply, form, error))
    },

    [TOKEN_EXCHANGE](asked, reply) {
      const { form } = asked
      const asking = askingOf(asked)
      exchange(asked, asking)
        .then((wanted) => handOut(reply, wanted))
        .catch((error: unknown) => fail(reply, form, isGone(error) ? noTarget() : error))
    },
  }

  const exchange = async (asked: AskedByForm, asking: Asking): Promise<Wanted> => {
    const { caller, form, realm } = asked
    await proveSubject(asked)
    const named = form.get('audience')
    const refusal = named === undefined ? noDefaultTarget : noTarget
    const meant = named === undefined ? null : { caller, realm, named }
    const target =
      meant === null
        ? (sources.believed(caller, realm, asking.askedAt) ?? (await sources.ask(caller, realm)))
        : (targets.believed(meant, asking.askedAt) ?? (await targets.ask(meant)))
    if (target === null) throw refusal()
    const { connection, scope: granted, confirm } = target
    const options = optionsOf(form, granted, plain)
    // As for client_credentials: any number of processes show the identity of one workload.
    const holder = holderOf(`${caller.apiKey.id}\n${connection}`, options)
    const through = { refreshToken: null, exchanged: true, loopsAt: null }
    return { caller, connection, options, asking, holder, confirm, refusal, ...through }
  }

  /** Where the client authenticated by something else, what it exchanges has to show the same client. */
  const proveSubject = async ({ caller, by, form, request }: AskedByForm): Promise<void> => {
    const subjectToken = subjectTokenOf(form)
    if (by === 'subject_token') return
    const credential = credentialOf({ by: 'subject_token', credential: subjectToken })
    const subject = desk.remembered(credential) ?? (await desk.identify(credential, request.ip))
    if (subject?.apiKey.id !== caller.apiKey.id) throw unknownSubject()
  }

  registerFormEndpoint(scope, setup, {
    path: 'token',
    operation: OPERATION,
    exchanges: true,
    handle(asked, reply) {
      const grantType = grantTypeOf(asked.form)
      try {
        if (!may(asked.caller, ['token:read'])) {
          denied(asked.caller, OPERATION, undefined)
          throw mayNot()
        }
        grants[grantType](asked, reply)
      } catch (error) {
        fail(reply, asked.form, error)
      }
    },
  })
}

function grantTypeOf(form: Form): GrantType {
  const given = form.get('grant_type')
  if (given === undefined) throw missing('grant_type')
  const grantType = GRANT_TYPES.find((served) => served === given)
  if (grantType !== undefined) return grantType
  throw new OAuthRefusal('unsupported_grant_type', `grant_type is one of ${GRANT_TYPES.join(', ')} here`)
}

/**
 * What is asked of the library. To ask for just the scope that was granted is to ask for nothing narrower: all clients
 * that do so share one token.
 */
function optionsOf(form: Form, granted: string | null, plain: TokenOptions): TokenOptions {
  const scope = form.get('scope')
  const resource = form.resources
  if (resource.length === 0 && (scope === undefined || isSameScope(scope, granted))) return plain
  return { ...plain, scope, ...(resource.length === 0 ? {} : { resource }) }
}

function isSameScope(asked: string, granted: string | null): boolean {
  if (granted === null || asked === granted) return granted !== null
  const [one, other] = [parseVariant(asked, undefined), parseVariant(granted, undefined)]
  return 'variant' in one && 'variant' in other && one.variant.key === other.variant.key
}

/** Whoever asks for less than all gets other tokens. What was asked for can be long, and is only compared. */
const holderOf = (through: string, { scope, resource }: TokenOptions): string =>
  scope === undefined && resource === undefined
    ? through
    : `${through}\n${hash('sha256', JSON.stringify([scope ?? null, resource ?? null]), 'base64url')}`

// ---- refusing ------------------------------------------------------------------------------------------------------

const failureOf = (error: unknown): FailureCode | null =>
  error instanceof TokenError || error instanceof OAuthRefusal ? error.code : null

const missing = (name: 'grant_type' | 'refresh_token'): OAuthRefusal =>
  new OAuthRefusal('invalid_request', `${name} is missing`)

const mayNot = (): OAuthRefusal =>
  new OAuthRefusal('unauthorized_client', 'the API key of this client lacks the scope token:read', {
    code: 'forbidden',
  })

const isGone = (error: unknown): boolean =>
  error instanceof TokenError && (error.code === 'unknown_connection' || error.code === 'deleting')

/** RFC 8693 section 2.2.2. The same for a connection that is not there, and for one that this client may not see. */
const noTarget = (): OAuthRefusal =>
  new OAuthRefusal('invalid_target', 'audience is not the id of a connection of this realm that this client may use', {
    code: 'unknown_connection',
  })

const noDefaultTarget = (): OAuthRefusal =>
  new OAuthRefusal(
    'invalid_target',
    'audience is missing, the id of a connection; and the API key of this client names none for this realm',
    { code: 'unknown_connection' },
  )

const noSource = (): OAuthRefusal =>
  new OAuthRefusal(
    'unauthorized_client',
    'no connection of this realm serves client_credentials to this client: its API key has to name one',
    { code: 'unknown_connection' },
  )
