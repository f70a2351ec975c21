/** Which grant `tokenkeep connection import` keeps, as its options say it. */
import { resolve } from 'node:path'
import { TokenError, type GrantInput, type GrantRunAgain } from '@tokenkeep/core'

export const GRANTS = {
  'client-credentials': 'client_credentials',
  'jwt-bearer': 'jwt_bearer',
  'token-exchange': 'token_exchange',
} as const satisfies Record<string, GrantRunAgain>

export interface GrantArguments {
  readonly clientCredentials?: boolean
  readonly grant?: keyof typeof GRANTS
  readonly issuer?: string
  readonly claim?: Readonly<Record<string, string>>
  readonly assertionFile?: string
  readonly fromConnection?: string
  readonly subjectTokenFile?: string
  readonly subjectTokenType?: string
  readonly requestedTokenType?: string
  readonly audience?: readonly string[]
  readonly resource?: readonly string[]
  readonly clientAuthentication?: boolean
}

/** The options of each grant; nothing is passed over in silence. */
const OF = {
  issuer: ['jwt-bearer'],
  claim: ['jwt-bearer'],
  assertionFile: ['jwt-bearer'],
  fromConnection: ['token-exchange'],
  subjectTokenFile: ['token-exchange'],
  subjectTokenType: ['token-exchange'],
  requestedTokenType: ['token-exchange'],
  resource: ['token-exchange'],
  audience: ['jwt-bearer', 'token-exchange'],
  clientAuthentication: ['jwt-bearer', 'token-exchange'],
} as const satisfies Partial<Record<keyof GrantArguments, readonly (keyof typeof GRANTS)[]>>

/** @throws TokenError `invalid_input`: an option that belongs to another grant */
export function refuseStrayGrantOptions(given: GrantArguments): void {
  if (given.clientCredentials === true && given.grant !== undefined && given.grant !== 'client-credentials') {
    throw wrong(`--client-credentials and --grant ${given.grant} contradict each other: leave one of them out`)
  }
  for (const [name, grants] of Object.entries(OF)) {
    if (given[name as keyof typeof OF] === undefined) continue
    if (grants.some((grant) => grant === given.grant)) continue
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw wrong(`--${flag} belongs to --grant ${grants.join(' or --grant ')}`)
  }
}

/** @param folder that of the shell, from which files are named */
export function grantInputOf(given: GrantArguments, folder: string): GrantInput {
  const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path))
  const { audience, clientAuthentication } = given
  switch (given.grant) {
    case 'jwt-bearer': {
      if (audience !== undefined && audience.length > 1)
        throw wrong('an assertion has one audience: give --audience once')
      const file = absolute(given.assertionFile)
      const assertion = {
        issuer: given.issuer,
        audience: audience?.[0],
        claims: given.claim,
        file,
        clientAuthentication,
      }
      return { grantType: 'jwt_bearer', assertion }
    }
    case 'token-exchange': {
      const { fromConnection, subjectTokenType, requestedTokenType, resource } = given
      const subjectTokenFile = absolute(given.subjectTokenFile)
      const types = { subjectTokenType, requestedTokenType }
      const exchange = { fromConnection, subjectTokenFile, ...types, audience, resource, clientAuthentication }
      return { grantType: 'token_exchange', exchange }
    }
    case 'client-credentials':
      return { grantType: 'client_credentials' }
    case undefined:
    default:
      return { grantType: given.clientCredentials === true ? 'client_credentials' : 'refresh_token' }
  }
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
