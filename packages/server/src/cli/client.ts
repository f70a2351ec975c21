import type { Client, TokenEndpointAuthMethod } from '@tokenkeep/core'
import { withTokenkeep, type Context } from './context.ts'
import { readSecrets, type SecretSource } from './secret-source.ts'
import { pairs, table } from './table.ts'

export interface ClientArguments {
  readonly provider: string
  readonly clientId: string
  readonly authMethod?: TokenEndpointAuthMethod
  readonly clientSecret: SecretSource | null
}

/** `tokenkeep client add ID`: adds a client or replaces its settings and its secret. */
export async function addClient(context: Context, id: string, given: ClientArguments): Promise<void> {
  const { around, output } = context
  const { 'client-secret': clientSecret } = await readSecrets({ 'client-secret': given.clientSecret }, around)
  await withTokenkeep(context, { missing: 'make' }, async (keep) => {
    const client = await keep.clients.put({
      id,
      provider: given.provider,
      clientId: given.clientId,
      ...(clientSecret === undefined ? {} : { clientSecret }),
      ...(given.authMethod === undefined ? {} : { tokenEndpointAuthMethod: given.authMethod }),
    })
    output.answer(client, () => [
      ...pairs(
        [
          ['id', client.id],
          ['provider', client.provider],
          ['client id', client.clientId],
          ['proves itself by', client.tokenEndpointAuthMethod],
        ],
        output.colours.dim,
      ),
      '',
      `Next: tokenkeep connection import ID --client ${client.id} --refresh-token-stdin`,
    ])
  })
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
