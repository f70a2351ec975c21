/** The commands and their options. What a command does is loaded when it is called, so that `token` starts fast. */
import { Command, Option } from 'commander'
import { readFileSync } from 'node:fs'
import { KEY_ALGS, METHODS_OF_SECRETS, SECRET_ALGS, TOKEN_ENDPOINT_AUTH_METHODS, type Narrowing } from '@tokenkeep/core'
import { addConnectionLabel } from './connection-label.ts'
import { addConnectionList } from './connection-list.ts'
import {
  claim,
  collected,
  count,
  filled,
  header,
  labelled,
  limit,
  parameter,
  port,
  reusePolicy,
  seconds,
  signed,
  sourced,
  variable,
} from './read-argument.ts'
import { GRANTS } from './grant-arguments.ts'
import type { Context } from './context.ts'
import { addEvents } from './events-commands.ts'
import { EXIT_MEANINGS, type ExitCode } from './exit-codes.ts'
import type { Output } from './output.ts'
import type { PlaceOptions } from './place.ts'
import { registerRecords } from './records-commands.ts'
import { refuseServer, type ServerOptions } from './server-place.ts'
import { sourceOf, type SecretName, type SecretSource } from './secret-source.ts'
import { addDoctor } from './doctor-command.ts'
import { addServeSettings } from './serve-settings.ts'
import type { Surroundings } from './surroundings.ts'

/** @param settle is told the exit code of a command that has another one than 0 */
export function createProgram(around: Surroundings, output: Output, settle: (code: number) => void): Command {
  const program = new Command('tokenkeep')
    .description('Keeps OAuth 2.0 tokens alive.')
    .version(versionOf(new URL('../../package.json', import.meta.url)), '--version')
    .option(
      '--data <folder>',
      'where the data are (TOKENKEEP_DATA); default: ./.tokenkeep made by `dev`, else per user',
      filled,
    )
    .option(
      '--database <url>',
      'the data are in Postgres (TOKENKEEP_DATABASE, which keeps the password out of the list of processes)',
      filled,
    )
    .option('--key-file <file>', 'the master key (TOKENKEEP_KEY_FILE, or TOKENKEEP_KEY: the key itself)', filled)
    .option('--url <url>', 'ask the server there instead of opening the data (TOKENKEEP_URL)', filled)
    .option(
      '--api-key-file <file>',
      'its API key (TOKENKEEP_API_KEY_FILE, or TOKENKEEP_API_KEY: the key itself)',
      filled,
    )
    .option('--json', 'one JSON value on stdout; errors as JSON on stderr')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => output.text(text),
      // Usage errors are shown by `presentFailure`.
      outputError: () => undefined,
      // Help because a command is missing: for people only, since programs are told as JSON.
      writeErr: (text) => void (output.json || around.complaints.write(text)),
      getOutHasColors: () => output.colours.isColorSupported,
    })
    .addHelpText('after', EXIT_CODES)
  const context = (): Context => ({ around, output, options: program.opts<PlaceOptions & ServerOptions>() })

  addToken(program, context)
  addConnect(program, context)
  addProviders(program.command('provider').description('authorization servers'), context)
  addClients(program.command('client').description('our registrations at providers'), context)
  addConnections(program.command('connection').description('the sign-ins that are kept alive'), context, settle)
  addEvents(program, context)
  addServe(program, context, settle)
  addKeys(program.command('key').description('the API keys by which programs use a server'), context)
  addMasterKeys(program.command('master-key').description('the keys that seal what is stored; no API keys'), context)
  program
    .command('backup <file>')
    .description('copy the database, as it is now, into a file that starts on hold')
    .action(async (file: string) => (await import('./backup.ts')).backup(context(), file))
  program
    .command('adopt')
    .description('say that the original of a copied or restored database is off for good')
    .action(async () => (await import('./adopt.ts')).adopt(context()))
  addDoctor(program, context, settle)
  registerRecords(program, context)
  addDev(program, context, settle)
  return program
}

type MakeContext = () => Context

function addToken(program: Command, context: MakeContext): void {
  program
    .command('token <id>')
    .description('print an access token that works, refreshed first where needed')
    .option('--scope <scopes>', 'a narrower scope, separated by spaces')
    .option('--resource <uri>', 'what the token is for (RFC 8707); may be repeated', collected)
    .option('--min-ttl <seconds>', 'the life that it should have left, at most half of its lifetime', seconds)
    .option('--wait <seconds>', 'how long to wait for a refresh; default 20', seconds)
    .action(async (id: string, asked: import('./token.ts').TokenArguments) =>
      (await import('./token.ts')).token(context(), id, asked),
    )
}

function addConnect(program: Command, context: MakeContext): void {
  program
    .command('connect <provider>')
    .description('let a person sign in in a browser, and keep the sign-in')
    .option('--id <id>', 'the connection: a new one, or one that gets a new sign-in; default: one is made up')
    .option('--client <id>', 'the registration that is used, where the provider has several')
    .option('--scope <scopes>', "what to ask for, separated by spaces; default: what is known to be the provider's")
    .option('--resource <uri>', 'what the tokens are for (RFC 8707); may be repeated', collected)
    .option('--label <name=value>', 'of a new connection; may be repeated', labelled)
    .option('--other-account', 'the sign-in may be of another account than before')
    .option('--device', 'show a code that the person types in a browser on another device (RFC 8628)')
    .option('--port <port>', 'where the browser comes back to on this machine; default: any free one', port)
    .option('--no-open', 'only print the address')
    .option('--wait <seconds>', 'how long to wait for the person; default 600', seconds)
    .action(async (provider: string, given: import('./connect.ts').ConnectArguments) =>
      (await import('./connect.ts')).connect(context(), provider, given),
    )
}

function addProviders(provider: Command, context: MakeContext): void {
  provider
    .command('add <id>')
    .description('add a provider, or replace its settings')
    .option(
      '--preset <name>',
      'what is known about a provider: google, slack, entra ...; default: that of the same name',
    )
    .option('--variable <name=value>', "what stands in braces in the preset's URLs; may be repeated", variable)
    .option('--issuer <url>', 'endpoints that are not given are discovered from it (RFC 8414)')
    .option('--token-endpoint <url>', 'where tokens are asked for')
    .option('--refresh-endpoint <url>', 'where refreshes go, if not there')
    .option('--revocation-endpoint <url>', 'where they are revoked (RFC 7009)')
    .option('--introspection-endpoint <url>', 'where they are looked at (RFC 7662)')
    .option('--authorization-endpoint <url>', 'where a person is sent to sign in')
    .option('--par-endpoint <url>', 'where a sign-in is announced beforehand (RFC 9126)')
    .option('--device-endpoint <url>', 'where a sign-in on another device begins (RFC 8628)')
    .option('--jwks-uri <url>', 'the keys that its ID tokens, logout tokens and events are signed with')
    .option('--userinfo-endpoint <url>', 'where a new access token is shown to learn whose account it is')
    .option('--sign-in-scope <scope>', 'asked for where a sign-in names none')
    .option('--sign-in-parameter <name=value>', 'one more parameter of sign-ins; may be repeated', parameter)
    .option('--no-pkce', 'sign-ins go without PKCE, for a server that refuses its parameters')
    .addOption(
      new Option(
        '--auth-method <method>',
        'how clients with a secret prove themselves unless they say otherwise',
      ).choices(METHODS_OF_SECRETS),
    )
    .option(
      '--reuse <policy>',
      'a refresh token presented again: strict, reusable, unknown, counted:N, grace:SECONDS[:same|any|newest]',
      reusePolicy,
    )
    .addOption(new Option('--narrowing <how>', 'what asking for less does').choices(NARROWINGS))
    .option('--refresh-kills-access-token', 'a refresh ends the access tokens handed out before')
    .option('--access-token-lifetime <seconds>', 'where answers do not say it', seconds)
    .option('--refresh-token-idle <seconds>', 'an unused refresh token lives that long', seconds)
    .option('--refresh-token-absolute <seconds>', 'a sign-in ends so long after it began, unsaid by answers', seconds)
    .option(
      '--sign <outcome=sign>',
      'how an answer shows an outcome: WORD, STATUS:WORD or STATUS: (a status alone), instead of what the preset has; may be repeated',
      signed,
    )
    .option('--json-requests', 'token requests are JSON, not a form')
    .option('--raw-basic-credentials', 'id and secret stand in a Basic header as they are, not encoded as in a form')
    .option(
      '--assertion-audience <aud>',
      'aud of assertions: token_endpoint, or a text; default the issuer where known',
    )
    .option('--parameter <name=value>', 'one more parameter of token requests, no secret; may be repeated', parameter)
    .option('--header <name=value>', 'one more header of token requests, no secret; may be repeated', header)
    .option('--tokens-in <member>', 'the object of an answer that holds the tokens; may be repeated', collected)
    .option('--words-in <member>', 'where else an answer has its words; may be repeated', collected)
    .option(
      '--subject-in <member>',
      'where it, or the userinfo endpoint, names the account; may be repeated',
      collected,
    )
    .option('--introspect-every <seconds>', 'ask so often whether a token in use is still active (RFC 7662)', seconds)
    .option('--event-audience <text>', 'what its security events say in aud, if not the client ids')
    .option('--requests-per-minute <count>', 'so many refreshes a minute from one process at most', limit)
    .option('--concurrency <count>', 'so many refreshes at once from one process at most; default 32', limit)
    .option('--api-base-url <url>', 'the only APIs that get its tokens; may be repeated', collected)
    .option('--allow-private-network', 'its endpoints may be in a private network')
    .action(async (id: string, given: import('./provider.ts').ProviderArguments) =>
      (await import('./provider.ts')).addProvider(context(), id, given),
    )
  provider
    .command('list')
    .description('list the providers')
    .action(async () => (await import('./provider.ts')).listProviders(context()))
  provider
    .command('show <id>')
    .description('show one provider')
    .action(async (id: string) => (await import('./provider.ts')).showProvider(context(), id))
  provider
    .command('presets [name]')
    .description('list what is known about providers, or all about one of them')
    .action(async (name: string | undefined) => {
      const { listPresets, showPreset } = await import('./preset.ts')
      return name === undefined ? listPresets(context()) : showPreset(context(), name)
    })
}

function addClients(client: Command, context: MakeContext): void {
  const add = client
    .command('add <id>')
    .description('add a client, or replace its settings and what it proves itself with')
    .requiredOption('--provider <id>', 'where it is registered')
    .requiredOption('--client-id <client_id>', 'its identifier there (RFC 6749 section 2.2)')
    .addOption(new Option('--auth-method <method>', 'how it proves itself').choices(TOKEN_ENDPOINT_AUTH_METHODS))
    .addOption(
      new Option('--signing-alg <alg>', 'what it signs assertions with; default HS256, and ES256 with a key').choices([
        ...SECRET_ALGS,
        ...KEY_ALGS,
      ]),
    )
  secretOptions(add, 'client-secret', 'its secret')
  secretOptions(
    add,
    'client-key',
    'a private key of your own (PEM or JWK); private_key_jwt makes one where there is none',
  )
    .option('--kid <kid>', 'what the provider calls that key')
    .option('--certificate-file <file>', 'its certificate (PEM), for tls_client_auth and self_signed_tls_client_auth')
    .option(
      '--assertion-file <file>',
      'instead of a key: where somebody else keeps the assertion, read for each request',
    )
    .option('--dpop', 'its tokens are bound to a key of each sign-in (RFC 9449)')
    .action(async (id: string, given: SecretOptions & import('./client.ts').ClientArguments) =>
      (await import('./client.ts')).addClient(context(), id, {
        ...given,
        clientSecret: chosen(given, 'client-secret'),
        clientKey: chosen(given, 'client-key'),
      }),
    )
  client
    .command('list')
    .description('list the clients')
    .action(async () => (await import('./client.ts')).listClients(context()))
  client
    .command('keys <id>')
    .description('list the keys that it signs with')
    .action(async (id: string) => (await import('./client-key.ts')).listClientKeys(context(), id))
  client
    .command('rotate-key <id>')
    .description('make another key: published now, signing a day later, when the provider has fetched it')
    .option('--now', 'it signs at once; so does one that waits already')
    .option('--use-after <seconds>', 'it signs so much later; default 86400', seconds)
    .option('--keep-published <seconds>', 'the key before it stays published so long then; default 86400', seconds)
    .action(async (id: string, given: import('./client-key.ts').RotationArguments) =>
      (await import('./client-key.ts')).rotateClientKey(context(), id, given),
    )
  client
    .command('jwks <id>')
    .description('print its public keys (RFC 7517), to register them by hand')
    .action(async (id: string) => (await import('./client-key.ts')).showClientJwks(context(), id))
}

function addConnections(connection: Command, context: MakeContext, settle: (code: ExitCode) => void): void {
  const add = connection
    .command('import <id>')
    .description('keep a sign-in alive from now on')
    .option('--client <id>', 'the client that it was made with')
    .option('--reconnect', 'a new sign-in for a connection that exists')
    .option('--other-account', 'with --reconnect: the sign-in may be of another subject')
    .option('--client-credentials', "a machine's own access, without a refresh token (RFC 6749 section 4.4)")
    .addOption(
      new Option('--grant <grant>', 'a grant that is run again, without a refresh token').choices(Object.keys(GRANTS)),
    )
    .option('--issuer <iss>', "jwt-bearer: iss of the assertion, if not the client's id; its sub is --subject")
    .option('--claim <name=value>', 'jwt-bearer: a further claim; may be repeated', claim)
    .option('--assertion-file <file>', 'jwt-bearer: a file that holds the assertion and is renewed by others')
    .option('--from-connection <id>', 'token-exchange: the connection whose access token is exchanged')
    .option('--subject-token-file <file>', 'token-exchange: a file that holds the token to exchange, a JWT')
    .option('--subject-token-type <uri>', 'token-exchange: what it is, if not an access token, or in a file a JWT')
    .option('--requested-token-type <uri>', 'token-exchange: what is wanted, if not what the provider gives')
    .option('--audience <text>', 'jwt-bearer: aud; token-exchange: audience, may be repeated', collected)
    .option('--resource <uri>', 'token-exchange: what the token is for (RFC 8707); may be repeated', collected)
    .option('--client-authentication', 'jwt-bearer: the client proves itself beside the assertion')
    .option('--no-client-authentication', 'it does not, and no client id is sent')
  secretOptions(add, 'refresh-token', 'its refresh token')
  secretOptions(add, 'access-token', 'its access token')
  secretOptions(add, 'dpop-key', 'the private key (JWK) that its tokens are bound to; with --dpop clients one is made')
  secretOptions(add, 'token-response', 'the whole JSON answer of the token endpoint')
    .option('--expires-in <seconds>', 'what the access token has left', seconds)
    .option('--refresh-expires-in <seconds>', 'what the refresh token has left', seconds)
    .option('--token-type <type>', 'Bearer where absent')
    .option('--scope <scopes>', 'what was granted, or what a grant that is run again asks for')
    .option('--subject <subject>', 'whose sign-in it is; sub of an assertion')
    .option('--session-id <sid>', 'the sid of its ID token, by which a logout event is known to mean it')
    .option('--label <name=value>', 'may be repeated', labelled)
    .action(async (id: string, given: SecretOptions & import('./connection-import.ts').ImportArguments) =>
      (await import('./connection-import.ts')).importConnection(context(), id, {
        ...given,
        refreshToken: chosen(given, 'refresh-token'),
        accessToken: chosen(given, 'access-token'),
        tokenResponse: chosen(given, 'token-response'),
        dpopKey: chosen(given, 'dpop-key'),
      }),
    )
  addConnectionList(connection, context)
  addConnectionLabel(connection, context)
  connection
    .command('show <id>')
    .description('show one connection')
    .action(async (id: string) => (await import('./connection.ts')).showConnection(context(), id))
  connection
    .command('history <id>')
    .description('who presented its refresh tokens, newest first')
    .option('--limit <count>', 'at most so many; default 50', count)
    .action(async (id: string, { limit }: { limit?: number }) =>
      (await import('./connection.ts')).showHistory(context(), id, limit),
    )
  connection
    .command('resolve <id>')
    .description('in doubt, suspect or blocked: let its refresh token be presented now, once')
    .action(async (id: string) => (await import('./connection.ts')).resolveConnection(context(), id))
  connection
    .command('delete <id>')
    .description('revoke its refresh token at the provider, then erase it')
    .action(async (id: string) => (await import('./connection.ts')).deleteConnection(context(), id))
  connection
    .command('introspect <id>')
    .description('ask the provider whether its access token is active (RFC 7662)')
    .action(async (id: string) => settle(await (await import('./connection.ts')).introspectConnection(context(), id)))
  connection
    .command('share <id>')
    .description('make a local refresh token, for an OAuth client at the drop-in token endpoint')
    .requiredOption('--with <key-id>', 'the API key that alone may use it')
    .action(async (id: string, { with: holder }: { readonly with: string }) =>
      (await import('./connection-share.ts')).shareConnection(context(), id, holder),
    )
  connection
    .command('shares <id>')
    .description('list its local refresh tokens')
    .action(async (id: string) => (await import('./connection-share.ts')).listShares(context(), id))
  connection
    .command('unshare <local-refresh-token-id>')
    .description('refuse a local refresh token from now on')
    .action(async (id: string) => (await import('./connection-share.ts')).unshareConnection(context(), id))
  secretOptions(
    connection.command('rejected <id>').description('an API answered 401 to this access token (from stdin by default)'),
    'access-token',
    'the token that was refused',
  ).action(async (id: string, given: SecretOptions) =>
    (await import('./connection.ts')).rejectAccessToken(
      context(),
      id,
      chosen(given, 'access-token') ?? { from: 'stdin' },
    ),
  )
}

function addServe(program: Command, context: MakeContext, settle: (code: ExitCode) => void): void {
  const serve = program
    .command('serve')
    .description('serve the data over HTTP to programs in any language, until a signal')
  addServeSettings(serve).action(async (flags: Readonly<Record<string, unknown>>) => {
    refuseServer(context().options, 'serve')
    settle(await (await import('../serve/serve.ts')).serve(context(), { flags, version: program.version() ?? '' }))
  })
}

function addKeys(key: Command, context: MakeContext): void {
  key
    .command('create')
    .description('make an API key, and show it once')
    .requiredOption('--name <name>', 'what people call it')
    .option(
      '--scope <scope>',
      'token:read (the default), proxy, connections:read, connections:write, providers:write, keys:write or admin; may be repeated',
      collected,
    )
    .option('--label <name=value>', 'only connections with this label exist for it; may be repeated', labelled)
    .option('--source <provider=connection>', 'whose token its client_credentials get; may be repeated', sourced)
    .option('--expires-in <seconds>', 'how long it lives; without an end where absent', seconds)
    .action(async (given: import('./key.ts').KeyArguments) => (await import('./key.ts')).createKey(context(), given))
  key
    .command('list')
    .description('list the API keys, the revoked ones too')
    .action(async () => (await import('./key.ts')).listKeys(context()))
  key
    .command('revoke <id>')
    .description('refuse an API key and its local refresh tokens from now on')
    .action(async (id: string) => (await import('./key.ts')).revokeKey(context(), id))
  key
    .command('source <id> <provider> [connection]')
    .description("whose token its client_credentials get; without a connection: nobody's any more")
    .action(async (id: string, provider: string, connection: string | undefined) =>
      (await import('./key.ts')).setKeySource(context(), id, { provider, connection }),
    )
  key
    .command('trust <id>')
    .description('take the JWTs of an issuer and subject as if they were this key')
    .requiredOption('--issuer <url>', 'who signs them: their iss, exactly')
    .requiredOption('--subject <subject>', 'whom they are about: their sub, exactly')
    .requiredOption(
      '--audience <audience>',
      'what their aud has to name: this server, and nothing else that takes them',
    )
    .option('--jwks-uri <url>', "where the issuer's keys are; discovered where absent")
    .option('--allow-private-network', 'its keys may be fetched from a private network')
    .action(async (id: string, given: import('./key.ts').TrustArguments) =>
      (await import('./key.ts')).trustIdentity(context(), id, given),
    )
  key
    .command('untrust <id> <identity>')
    .description('take them no more')
    .action(async (id: string, identity: string) => (await import('./key.ts')).untrustIdentity(context(), id, identity))
}

function addMasterKeys(masterKey: Command, context: MakeContext): void {
  masterKey
    .command('list')
    .description('list the master keys, and how much each has sealed')
    .action(async () => (await import('./master-key.ts')).listMasterKeys(context()))
  masterKey
    .command('add')
    .description('add a new master key that only opens, for the key files of many hosts')
    .action(async () => (await import('./master-key.ts')).addMasterKey(context()))
  masterKey
    .command('rotate [name]')
    .description('seal with another master key, a new one without a name, and seal everything anew with it')
    .action(async (name: string | undefined) => (await import('./master-key.ts')).rotateMasterKey(context(), name))
  masterKey
    .command('reseal')
    .description('seal anew what another key than the current one has sealed')
    .action(async () => (await import('./master-key.ts')).resealWithMasterKey(context()))
  masterKey
    .command('remove <name>')
    .description('take a master key out that nothing needs any more')
    .option('--others-checked', 'other databases with the same key file need it no more, either')
    .action(async (name: string, given: { readonly othersChecked?: boolean }) =>
      (await import('./master-key.ts')).removeMasterKey(context(), name, given),
    )
}

function addDev(program: Command, context: MakeContext, settle: (code: ExitCode) => void): void {
  program
    .command('dev')
    .description('try it: Tokenkeep serving, an authorization server, an API and three connections on this machine')
    .option('--port <port>', 'of the HTTP API and the drop-in token endpoint; 0 takes a free one', port, 7420)
    .option('--as-port <port>', 'of the authorization server and the API; 0 takes a free one', port, 7421)
    .option('--once', 'take a tour, then end with 0 if all went well, else with 1')
    .action(async (given: Omit<import('../dev/dev.ts').DevArguments, 'version'>) => {
      refuseServer(context().options, 'dev')
      const version = program.version() ?? ''
      settle(await (await import('../dev/dev.ts')).dev(context(), { ...given, version }))
    })
}

const NARROWINGS: readonly Narrowing[] = ['token_only', 'sticks', 'unknown']

const EXIT_CODES = `
Exit codes:
${Object.entries(EXIT_MEANINGS)
  .map(([code, meaning]) => `  ${code}  ${meaning}`)
  .join('\n')}

Secrets come from standard input, a file or a variable, never from an argument that others can read.`

function versionOf(manifest: URL): string {
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  return version
}

// ---- secrets -------------------------------------------------------------------------------------------------------

type SecretOptions = Readonly<Record<string, unknown>>

function secretOptions(command: Command, name: SecretName, what: string): Command {
  return command
    .option(`--${name}-stdin`, `${what}, from standard input`)
    .option(`--${name}-file <file>`, `${what}, from a file`)
    .option(`--${name}-env <variable>`, `${what}, from an environment variable`)
}

function chosen(given: SecretOptions, name: SecretName): SecretSource | null {
  const option = (how: string): unknown =>
    given[`${name}-${how}`.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())]
  const file = option('file')
  const env = option('env')
  return sourceOf(name, {
    stdin: option('stdin') === true,
    ...(typeof file === 'string' ? { file } : {}),
    ...(typeof env === 'string' ? { env } : {}),
  })
}
