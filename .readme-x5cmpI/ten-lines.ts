import { startDevserver } from '@tokenkeep/devserver' // a real authorization server, to try it on
import { openTokenkeep } from 'tokenkeep'

await using server = await startDevserver({
  realms: [{ name: 'external', clients: [{ clientId: 'app', clientSecret: 'not-so-secret' }] }],
})
const session = await server.control.seedSession('external', { clientId: 'app' })

await using keep = await openTokenkeep({ path: './tokens.db' })
await keep.providers.put({ id: 'external', preset: 'keycloak', issuer: server.issuer('external') })
await keep.clients.put({ id: 'app', provider: 'external', clientId: 'app', clientSecret: 'not-so-secret' })
await keep.connections.import({ id: 'dealer-42', client: 'app', refreshToken: session.refreshToken })

const { accessToken, tokenType, expiresAt } = await keep.token('dealer-42')
const offers = await keep.fetchFor('dealer-42')(server.demoApi) // header, 401 -> one refresh, one retry
console.log(tokenType, new Date(expiresAt), offers.status, await offers.json())
