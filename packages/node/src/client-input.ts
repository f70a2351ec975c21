/** What users write about clients, read into what the registry keeps: everything said, nothing guessed. */
import {
  Secret,
  TOKEN_ENDPOINT_AUTH_METHODS,
  type ClientId,
  type OpenedClient,
  type ProviderId,
  type TokenEndpointAuthMethod,
} from '@tokenkeep/core'
import { nameOf, onlyMembers, oneOf, recordOf, refuser, textOf } from './input-members.ts'

/** A client as users write it: our registration at a provider. */
export interface ClientInput {
  /** As a provider's id. */
  readonly id: string
  /** The id of a provider. */
  readonly provider: string
  /** RFC 6749 section 2.2 client identifier. */
  readonly clientId: string
  /** Absent for public clients. */
  readonly clientSecret?: string | undefined
  /** Absent: the provider's default with a secret (else that of RFC 8414 section 2, `client_secret_basic`), `none` without. */
  readonly tokenEndpointAuthMethod?: TokenEndpointAuthMethod | undefined
}

const CLIENT_ID_LENGTH_MAX = 1000
const CLIENT_SECRET_LENGTH_MAX = 4000

/**
 * Reads a client. The provider is not looked up here.
 *
 * @param methodWithSecret what the provider's clients with a secret use unless they say otherwise
 * @throws TokenError `invalid_input`: what is wrong, where, and what to do; never the secret itself
 */
export function readClientInput(
  input: ClientInput,
  methodWithSecret: TokenEndpointAuthMethod = 'client_secret_basic',
): Omit<OpenedClient, 'revision'> {
  const given = recordOf('a client', input)
  const id = nameOf<ClientId>('client', given['id'])
  const where = `client "${id}"`
  const refuse = refuser('invalid_input', where, id)
  onlyMembers(given, CLIENT_MEMBERS, refuse)

  const provider = nameOf<ProviderId>('provider', given['provider'])
  const clientId = textOf('clientId', given['clientId'], CLIENT_ID_LENGTH_MAX, refuse)
  const secret =
    given['clientSecret'] === undefined || given['clientSecret'] === null
      ? null
      : textOf('clientSecret', given['clientSecret'], CLIENT_SECRET_LENGTH_MAX, refuse)
  const method =
    given['tokenEndpointAuthMethod'] === undefined
      ? secret === null
        ? 'none'
        : methodWithSecret
      : oneOf('tokenEndpointAuthMethod', given['tokenEndpointAuthMethod'], TOKEN_ENDPOINT_AUTH_METHODS, refuse)
  if (method === 'none' && secret !== null) {
    refuse(
      'tokenEndpointAuthMethod "none" sends no secret, and a clientSecret is given: leave one of them out, or choose client_secret_basic or client_secret_post',
    )
  }
  if (method !== 'none' && secret === null) {
    refuse(`tokenEndpointAuthMethod "${method}" needs a clientSecret; for a public client it is "none"`)
  }
  return {
    id,
    provider,
    clientId,
    tokenEndpointAuthMethod: method,
    clientSecret: secret === null ? null : new Secret('client_secret', secret),
  }
}

const CLIENT_MEMBERS = Object.keys({
  id: true,
  provider: true,
  clientId: true,
  clientSecret: true,
  tokenEndpointAuthMethod: true,
} satisfies Record<keyof ClientInput, true>)
