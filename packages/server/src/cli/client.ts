import { resolve } from 'node:path'
import type { Client, ClientSigningAlg, TokenEndpointAuthMethod } from '@tokenkeep/core'
import { jwksPath } from '../api/jwks-path.ts'
import { withTokenkeep, type Context } from './context.ts'
import { readPlainFile, readSecrets, type SecretSource } from './secret-source.ts'
import { pairs, table, type Cell } from './table.ts'

export interface ClientArguments {
  readonly provider: string
  readonly clientId: string
  readonly authMethod?: TokenEndpointAuthMethod
  readonly signingAlg?: ClientSigningAlg
  readonly clientSecret: SecretSource | null
  readonly clientKey: SecretSource | null
  readonly kid?: string
  readonly certificateFile?: string
  readonly assertionFile?: string
  readonly dpop?: boolean
}

/** `tokenkeep client add ID`: adds a client or replaces its settings and what it proves itself with. */
export async function addClient(context: Context, id: string, given: ClientArguments): Promise<void> {
  const { around, output } = context
  const { 'client-secret': clientSecret, 'client-key': clientKey } = await readSecrets(
    { 'client-secret': given.clientSecret, 'client-key': given.clientKey },
    around,
  )
  const { certificateFile, assertionFile } = given
  const clientCertificate =
    certificateFile === undefined ? undefined : await readPlainFile('--certificate-file', certificateFile, around)
  await withTokenkeep(context, { missing: 'make' }, async (keep) => {
    const client = await keep.clients.put({
      id,
      provider: given.provider,
      clientId: given.clientId,
      ...(clientSecret === undefined ? {} : { clientSecret }),
      ...(given.authMethod === undefined ? {} : { tokenEndpointAuthMethod: given.authMethod }),
      tokenEndpointAuthSigningAlg: given.signingAlg,
      clientKey,
      kid: given.kid,
      clientCertificate,
      clientAssertionFile: assertionFile === undefined ? undefined : resolve(around.folder, assertionFile),
      dpopBoundAccessTokens: given.dpop,
    })
    output.answer(client, () => [
      ...pairs(described(client), output.colours.dim),
      '',
      ...(publishesKeys(client)
        ? [
            `Next: tell the provider the public keys: the URL ${jwksPath(client.id)} of a server, or \`tokenkeep client jwks ${client.id}\``,
          ]
        : []),
      `Next: tokenkeep connection import ID --client ${client.id} --refresh-token-stdin`,
    ])
  })
}

const publishesKeys = ({ tokenEndpointAuthMethod: method, clientAssertionFile }: Client): boolean =>
  (method === 'private_key_jwt' && clientAssertionFile === null) || method === 'self_signed_tls_client_auth'

function described(client: Client): readonly (readonly [string, Cell])[] {
  const { tokenEndpointAuthSigningAlg: alg, clientAssertionFile: file, certificate } = client
  return [
    ['id', client.id],
    ['provider', client.provider],
    ['client id', client.clientId],
    ['proves itself by', client.tokenEndpointAuthMethod],
    ...(alg === null ? [] : [['signs with', alg] as const]),
    ...(file === null ? [] : [['assertion file', file] as const]),
    ...(client.dpopBoundAccessTokens ? [['tokens are bound to', 'a key of each sign-in (DPoP)'] as const] : []),
    ...(certificate === null ? [] : [['certificate expires', new Date(certificate.expiresAt).toISOString()] as const]),
  ]
}

/** `tokenkeep client list` */
export async function listClients(context: Context): Promise<void> {
  const { output } = context
  await withTokenkeep(context, { missing: 'refuse' }, async (keep) => {
    const clients = await keep.clients.list()
    output.answer(clients, () =>
      clients.length === 0
        ? ['no clients yet: `tokenkeep client add` adds one']
        : table(['ID', 'PROVIDER', 'CLIENT ID', 'PROVES ITSELF BY'], clients.map(row), output.colours.dim),
    )
  })
}

const row = (client: Client): string[] => [client.id, client.provider, client.clientId, client.tokenEndpointAuthMethod]
