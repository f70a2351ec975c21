/** The authorization servers, our registrations at them, and what of these ends some day. */
import type { ComponentChildren } from 'preact'
import type { Client, ClientKeys, Clients, Overview, Provider, Providers } from './contract.ts'
import { useLive } from './live.ts'
import { Mark } from './mark.tsx'
import { When } from './moments.tsx'
import { Card, Facts, Nothing, Sheet, Waiting, Wrong } from './parts.tsx'
import { href } from './route.ts'
import { countOf } from './words.ts'

const EVERY_MS = 15_000

export function ProvidersPage() {
  const providers = useLive<Providers>('/v1/providers', EVERY_MS)
  const clients = useLive<Clients>('/v1/clients', EVERY_MS)
  const overview = useLive<Overview>('/v1/overview', EVERY_MS)
  const problem = providers.problem ?? clients.problem
  return (
    <Sheet title="Providers">
      {problem === null ? null : <Wrong problem={problem} again={providers.reload} />}
      {providers.data === null ? (
        problem === null ? (
          <Waiting />
        ) : null
      ) : providers.data.providers.length === 0 ? (
        <Card>
          <Nothing title="There is no provider yet.">
            <p>
              <code>tokenkeep provider put NAME --issuer URL</code> adds an authorization server.
            </p>
          </Nothing>
        </Card>
      ) : (
        providers.data.providers.map((provider) => (
          <ProviderCard
            key={provider.id}
            provider={provider}
            clients={(clients.data?.clients ?? []).filter((client) => client.provider === provider.id)}
            counts={overview.data?.providers.find((each) => each.provider === provider.id)}
          />
        ))
      )}
    </Sheet>
  )
}

function ProviderCard(props: {
  readonly provider: Provider
  readonly clients: readonly Client[]
  readonly counts: Overview['providers'][number] | undefined
}) {
  const { provider, clients, counts } = props
  return (
    <Card title={provider.id} note={counts === undefined ? undefined : <Health of={counts} />}>
      <Facts
        of={[
          ['Issuer', <Address of={provider.issuer} />],
          ['Token endpoint', <Address of={provider.token_endpoint} />],
          ['Preset', provider.preset ?? <span class="dim">none</span>],
          ['A second presentation', REUSE[provider.reuse.kind] ?? provider.reuse.kind],
          [
            'Limits',
            provider.requests_per_minute === null && provider.concurrency === null ? (
              <span class="dim">none set</span>
            ) : (
              [
                provider.requests_per_minute === null
                  ? ''
                  : `${countOf(provider.requests_per_minute, 'request')} a minute`,
                provider.concurrency === null ? '' : `${provider.concurrency} at once`,
              ]
                .filter((part) => part !== '')
                .join(', ')
            ),
          ],
          ['Connections', <a href={href(['connections'], { provider: provider.id })}>show them</a>],
        ]}
      />
      <h3>Clients</h3>
      {clients.length === 0 ? (
        <p class="dim">No client is registered there.</p>
      ) : (
        <ul class="clients">
          {clients.map((client) => (
            <ClientItem key={client.id} client={client} />
          ))}
        </ul>
      )}
    </Card>
  )
}

const REUSE: Readonly<Record<Provider['reuse']['kind'], string>> = {
  reusable: 'is allowed: the refresh token stays',
  strict: 'ends the sign-in',
  unknown: 'is not known, so it is avoided',
  counted: 'is allowed a few times',
  grace: 'is allowed for a while',
}

function Health({ of }: { readonly of: Overview['providers'][number] }) {
  const wrong = of.needs_user.count + of.blocked.count + of.in_doubt.count + of.suspect.count
  const tone = of.blocked.count > 0 ? 'bad' : wrong > 0 ? 'warn' : 'good'
  return (
    <span class={`sign tone-${tone}`}>
      <Mark tone={tone} />
      {of.blocked.count > 0
        ? `${countOf(of.blocked.count, 'connection')} blocked`
        : wrong > 0
          ? `${wrong} ${wrong === 1 ? 'needs' : 'need'} attention`
          : 'all well'}
    </span>
  )
}

function ClientItem({ client }: { readonly client: Client }) {
  const signs = client.token_endpoint_auth_method === 'private_key_jwt'
  const { data } = useLive<ClientKeys>(signs ? `/v1/clients/${encodeURIComponent(client.id)}/keys` : null, EVERY_MS)
  const keys = (data?.keys ?? []).filter(({ state }) => state !== 'retired')
  const rows: (readonly [string, ComponentChildren])[] = [
    ['Client id', <span class="id">{client.client_id}</span>],
    ['Proves itself by', client.token_endpoint_auth_method],
  ]
  if (client.certificate !== null) rows.push(['Certificate ends', <When at={client.certificate.expires_at} />])
  if (client.client_assertion_file !== null)
    rows.push(['Assertion', <span class="id">{client.client_assertion_file}</span>])
  if (client.dpop_bound_access_tokens) rows.push(['Tokens', 'bound to a key (DPoP)'])
  for (const key of keys) {
    rows.push([
      `Key, ${key.state}`,
      <>
        <span class="id">{key.kid}</span> <span class="dim">{key.alg}</span>{' '}
        {key.state === 'next' ? (
          <>
            signs <When at={key.signs_from} />
          </>
        ) : key.published_until === null ? null : (
          <>
            published until <When at={key.published_until} />
          </>
        )}
      </>,
    ])
  }
  return (
    <li>
      <p class="client-name">{client.id}</p>
      <Facts of={rows} />
    </li>
  )
}

const Address = ({ of }: { readonly of: string | null }) =>
  of === null ? <span class="dim">none</span> : <span class="id">{of}</span>
