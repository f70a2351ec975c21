import { TokenError, type ConnectionInfo, type ConnectionInput, type GrantInput } from '@tokenkeep/core'
import { connectionLines } from './connection.ts'
import { withTokenkeep, type Context } from './context.ts'
import { grantInputOf, refuseStrayGrantOptions, type GrantArguments } from './grant-arguments.ts'
import { shellWord } from './printable.ts'
import { readSecrets, type SecretSource } from './secret-source.ts'
import { readTokenResponse } from './token-response.ts'

export interface ImportArguments extends GrantArguments {
  readonly client?: string
  readonly reconnect?: boolean
  readonly otherAccount?: boolean
  readonly refreshToken: SecretSource | null
  readonly accessToken: SecretSource | null
  readonly tokenResponse: SecretSource | null
  readonly dpopKey: SecretSource | null
  /** Seconds. */
  readonly expiresIn?: number
  /** Seconds. */
  readonly refreshExpiresIn?: number
  readonly tokenType?: string
  readonly scope?: string
  readonly subject?: string
  readonly sessionId?: string
  readonly label?: Readonly<Record<string, string>>
}

/** `tokenkeep connection import ID`: keeps a sign-in from now on; with `--reconnect`, a new one for a known connection. */
export async function importConnection(context: Context, id: string, given: ImportArguments): Promise<void> {
  refuseContradictions(given)
  const signIn = await readSignIn(context, given)
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const info =
      given.reconnect === true
        ? await keep.connections.reconnect(id, { ...signIn, otherAccount: given.otherAccount })
        : await keep.connections.import({
            ...signIn,
            id,
            client: given.client ?? '',
            ...grantInputOf(given, context.around.folder),
            labels: given.label,
          })
    output.answer(info, () => [
      ...connectionLines(info, context),
      '',
      ...assumedIdle(info),
      `Next: tokenkeep token ${shellWord(info.id)}`,
    ])
  })
}

/** Where nobody knows when an unused refresh token ends, a limit is assumed: a person may know a shorter one. */
const assumedIdle = ({ hasRefreshToken, refreshTokenExpiresAt, nextActionAt }: ConnectionInfo): readonly string[] =>
  hasRefreshToken && refreshTokenExpiresAt === null && nextActionAt !== null
    ? [
        'When its refresh token ends is not known. If nobody uses the connection, it is refreshed by itself at',
        `${new Date(nextActionAt).toISOString()}. If that is too late, say when it ends (--refresh-expires-in), or how`,
        'long the provider lets one lie idle (--refresh-token-idle).',
        '',
      ]
    : []

function refuseContradictions(given: ImportArguments): void {
  refuseStrayGrantOptions(given)
  if (given.reconnect === true) {
    const kept: readonly (readonly [string, unknown])[] = [
      ['--client', given.client],
      ['--client-credentials', given.clientCredentials],
      ['--grant', given.grant],
      ['--label', given.label],
    ]
    const named = kept.find(([, value]) => value !== undefined)
    if (named !== undefined) throw wrong(`--reconnect keeps what the connection has: leave ${named[0]} out`)
  } else if (given.client === undefined) {
    throw wrong('--client ID is missing: the client that the sign-in was made with (`tokenkeep client list`)')
  }
  if (given.tokenResponse !== null && (given.refreshToken !== null || given.accessToken !== null)) {
    throw wrong('the token response has the tokens in it: leave --refresh-token-... and --access-token-... out')
  }
  const nothing = given.tokenResponse === null && given.refreshToken === null && given.accessToken === null
  const runsAgain = given.clientCredentials === true || given.grant !== undefined
  if (nothing && !runsAgain) {
    throw wrong(
      'there is no token to keep: use --refresh-token-stdin, or --token-response-stdin with the whole answer of the ' +
        'token endpoint (-file FILE and -env NAME in place of -stdin do, too)',
    )
  }
}

type SignIn = Omit<ConnectionInput, 'id' | 'client' | keyof GrantInput | 'labels'>

async function readSignIn({ around }: Context, given: ImportArguments): Promise<SignIn> {
  const read = await readSecrets(
    {
      'refresh-token': given.refreshToken,
      'access-token': given.accessToken,
      'token-response': given.tokenResponse,
      'dpop-key': given.dpopKey,
    },
    around,
  )
  const nowMs = around.now()
  const response = read['token-response'] === undefined ? null : readTokenResponse(read['token-response'], nowMs)
  const end = (seconds: number | undefined): number | undefined =>
    seconds === undefined ? undefined : nowMs + seconds * 1000
  return {
    refreshToken: read['refresh-token'] ?? response?.refreshToken,
    accessToken: read['access-token'] ?? response?.accessToken,
    tokenType: given.tokenType ?? response?.tokenType,
    expiresAt: end(given.expiresIn) ?? response?.expiresAt,
    refreshTokenExpiresAt: end(given.refreshExpiresIn) ?? response?.refreshTokenExpiresAt,
    scope: given.scope ?? response?.scope,
    subject: given.subject,
    sessionId: given.sessionId,
    dpopKey: read['dpop-key'],
  }
}

const wrong = (message: string): TokenError => new TokenError('invalid_input', message)
