/** What providers were seen or documented to answer, sent as such by a real server, and what it means by their presets. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import {
  judge,
  lend,
  ms,
  Secret,
  type Form,
  type Lease,
  type Outcome,
  type Provider,
  type Revision,
} from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { PRESETS } from '../src/presets.ts'
import { readProviderInput } from '../src/provider-input.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { createTokenEndpoint } from '../src/token-endpoint-oauth4webapi.ts'
import { REFRESHING, clientOf } from './fixtures/provider.ts'
import { bodyOf, httpServer } from './fixtures/servers.ts'

interface Answered {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | object
}

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Preset, what is answered, what it means. Tokens are written as short words, times in milliseconds. */
const ROWS: readonly (readonly [preset: string, name: string, answered: Answered, meant: string])[] = [
  [
    'keycloak',
    'offline token',
    {
      status: 200,
      body: {
        access_token: 'A',
        refresh_token: 'R',
        expires_in: 300,
        refresh_expires_in: 0,
        token_type: 'Bearer',
        'not-before-policy': 0,
        session_state: 's',
        scope: 'email offline_access',
      },
    },
    `granted A 300000 Bearer [email offline_access] R no fixed end`,
  ],
  [
    'keycloak',
    'near the end of the session, the refresh token ends before the access token',
    {
      status: 200,
      body: { access_token: 'A', refresh_token: 'R', expires_in: 60, refresh_expires_in: 46, token_type: 'Bearer' },
    },
    'granted A 60000 Bearer [] R 46000',
  ],
  [
    'keycloak',
    'reuse',
    {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'Maximum allowed refresh token reuse exceeded' },
    },
    'rejected invalid_grant',
  ],
  [
    'jobrad',
    'client unknown',
    {
      status: 401,
      body: { error: 'invalid_client', error_description: 'Invalid client or Invalid client credentials' },
    },
    'misconfigured client invalid_client',
  ],
  [
    'google',
    'refresh',
    { status: 200, body: { access_token: 'A', expires_in: 3599, scope: 'openid email', token_type: 'Bearer' } },
    'granted A 3599000 Bearer [openid email] -',
  ],
  [
    'google',
    'time-based access',
    {
      status: 200,
      body: { access_token: 'A', expires_in: 3599, refresh_token_expires_in: 86_400, token_type: 'Bearer' },
    },
    `granted A 3599000 Bearer [] - ${DAY}`,
  ],
  [
    'google',
    'dead',
    { status: 400, body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' } },
    'rejected invalid_grant',
  ],
  [
    'google',
    'refused by the organization',
    { status: 400, body: { error: 'admin_policy_enforced' } },
    'misconfigured client admin_policy_enforced',
  ],
  [
    'entra',
    'refresh',
    {
      status: 200,
      body: {
        token_type: 'Bearer',
        scope: 'User.Read',
        expires_in: 3599,
        ext_expires_in: 3599,
        access_token: 'A',
        refresh_token: 'R',
      },
    },
    'granted A 3599000 Bearer [User.Read] R',
  ],
  [
    'entra',
    'conditional access',
    {
      status: 400,
      body: {
        error: 'invalid_grant',
        error_description: 'AADSTS50076',
        error_codes: [50076],
        suberror: 'basic_action',
      },
    },
    'rejected interaction_required',
  ],
  [
    'entra',
    'interaction',
    { status: 400, body: { error: 'interaction_required', error_codes: [50158], suberror: 'basic_action' } },
    'rejected interaction_required',
  ],
  [
    'entra',
    'dead by inactivity',
    {
      status: 400,
      body: {
        error: 'invalid_grant',
        error_description: 'AADSTS700082',
        error_codes: [700082],
        timestamp: '2026-01-09 02:02:12Z',
        trace_id: 't',
      },
    },
    'rejected invalid_grant',
  ],
  [
    'entra',
    'secret expired',
    { status: 401, body: { error: 'invalid_client', error_codes: [7000222] } },
    'misconfigured client invalid_client',
  ],
  [
    'entra',
    'resource unknown',
    { status: 400, body: { error: 'invalid_resource', error_codes: [500011] } },
    'misconfigured client invalid_resource',
  ],
  [
    'entra',
    'busy, with a time',
    { status: 400, headers: { 'Retry-After': '7' }, body: { error: 'temporarily_unavailable' } },
    'unavailable after 7000',
  ],
  ['entra', 'busy, without', { status: 400, body: { error: 'temporarily_unavailable' } }, 'in_doubt'],
  [
    'github-app',
    'refresh',
    {
      status: 200,
      body: {
        access_token: 'A',
        expires_in: 28_800,
        refresh_token: 'R',
        refresh_token_expires_in: 15_811_200,
        token_type: 'bearer',
        scope: '',
      },
    },
    `granted A 28800000 bearer [] R ${183 * DAY}`,
  ],
  [
    'github-app',
    'refresh as a form',
    {
      status: 200,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: 'access_token=A&expires_in=28800&refresh_token=R&refresh_token_expires_in=15897600&scope=&token_type=bearer',
    },
    `granted A 28800000 bearer [] R ${184 * DAY}`,
  ],
  [
    'github-app',
    'after the app opted out',
    { status: 200, body: { access_token: 'A', token_type: 'bearer', scope: '' } },
    'granted A 28800000? bearer [] -',
  ],
  [
    'github-app',
    'dead, with 200',
    {
      status: 200,
      body: { error: 'bad_refresh_token', error_description: 'The refresh token passed is incorrect or expired.' },
    },
    'rejected invalid_grant',
  ],
  [
    'github-app',
    'dead, as a form with 200',
    {
      status: 200,
      body: 'error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.&error_uri=https%3A%2F%2Fdocs.github.com',
    },
    'rejected invalid_grant',
  ],
  [
    'github-app',
    'wrong secret, with 200',
    { status: 200, body: { error: 'incorrect_client_credentials' } },
    'misconfigured client incorrect_client_credentials',
  ],
  [
    'gitlab',
    'refresh',
    {
      status: 200,
      body: {
        access_token: 'A',
        token_type: 'bearer',
        expires_in: 7200,
        refresh_token: 'R',
        created_at: 1_607_635_748,
      },
    },
    'granted A 7200000 bearer [] R',
  ],
  [
    'bitbucket',
    'scopes of before',
    {
      status: 200,
      body: {
        access_token: 'A',
        scopes: 'account pullrequest',
        expires_in: 7200,
        refresh_token: 'R',
        token_type: 'bearer',
      },
    },
    'granted A 7200000 bearer [account pullrequest] R',
  ],
  [
    'slack',
    'refresh of a bot',
    {
      status: 200,
      body: {
        ok: true,
        access_token: 'A',
        expires_in: 43_200,
        refresh_token: 'R',
        token_type: 'bot',
        scope: 'commands,chat:write',
        bot_user_id: 'U',
        team: { id: 'T' },
        enterprise: null,
      },
    },
    'granted A 43200000 Bearer [commands chat:write] R',
  ],
  [
    'slack',
    'refresh of a user',
    {
      status: 200,
      body: {
        ok: true,
        access_token: 'A',
        expires_in: 43_200,
        refresh_token: 'R',
        token_type: 'user',
        scope: 'search:read',
        team: { id: 'T' },
      },
    },
    'granted A 43200000 Bearer [search:read] R',
  ],
  [
    'slack',
    'tokens of a user inside',
    {
      status: 200,
      body: {
        ok: true,
        app_id: 'A0',
        authed_user: {
          id: 'U',
          scope: 'search:read,users:read',
          access_token: 'A',
          refresh_token: 'R',
          expires_in: 43_200,
          token_type: 'user',
        },
        team: { id: 'T' },
      },
    },
    'granted A 43200000 Bearer [search:read users:read] R',
  ],
  [
    'slack',
    'dead, with 200',
    { status: 200, body: { ok: false, error: 'invalid_refresh_token' } },
    'rejected invalid_grant',
  ],
  [
    'slack',
    'dead, as a vendor describes it',
    { status: 400, body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' } },
    'rejected invalid_grant',
  ],
  [
    'slack',
    'wrong secret, with 200',
    { status: 200, body: { ok: false, error: 'bad_client_secret' } },
    'misconfigured client bad_client_secret',
  ],
  [
    'slack',
    'limited',
    { status: 429, headers: { 'Retry-After': '30' }, body: { ok: false, error: 'ratelimited' } },
    'unavailable after 30000',
  ],
  ['slack', 'limited, with 200', { status: 200, body: { ok: false, error: 'ratelimited' } }, 'unavailable'],
  ['slack', 'perhaps done', { status: 200, body: { ok: false, error: 'fatal_error' } }, 'in_doubt'],
  ['slack', 'a word nobody knows', { status: 200, body: { ok: false, error: 'team_added_to_org' } }, 'in_doubt'],
  [
    'salesforce',
    'no lifetime',
    {
      status: 200,
      body: {
        access_token: 'A',
        instance_url: 'https://x.my.salesforce.com',
        id: 'i',
        issued_at: '1607635748000',
        signature: 's',
        token_type: 'Bearer',
        scope: 'api refresh_token',
      },
    },
    'granted A 300000? Bearer [api refresh_token] -',
  ],
  [
    'salesforce',
    'user deactivated',
    { status: 400, body: { error: 'inactive_user', error_description: 'user is inactive' } },
    'rejected invalid_grant',
  ],
  [
    'hubspot',
    'dead, newer',
    {
      status: 400,
      body: { status: 'BAD_REFRESH_TOKEN', message: 'missing or invalid refresh token', error: 'invalid_grant' },
    },
    'rejected invalid_grant',
  ],
  [
    'hubspot',
    'dead, older',
    {
      status: 400,
      body: { status: 'BAD_REFRESH_TOKEN', message: 'missing or invalid refresh token', correlationId: 'c' },
    },
    'rejected invalid_grant',
  ],
  ['xero', 'dead', { status: 400, body: { error: 'invalid_grant' } }, 'rejected invalid_grant'],
  [
    'intuit',
    'refresh',
    {
      status: 200,
      body: {
        access_token: 'A',
        expires_in: 3600,
        refresh_token: 'R',
        x_refresh_token_expires_in: 8_640_000,
        token_type: 'bearer',
      },
    },
    `granted A 3600000 bearer [] R ${100 * DAY}`,
  ],
  [
    'square',
    'ends as moments',
    {
      status: 200,
      headers: { Date: 'Mon, 23 Nov 2026 08:00:00 GMT' },
      body: {
        access_token: 'A',
        token_type: 'bearer',
        expires_at: '2026-11-24T08:00:00Z',
        refresh_token: 'R',
        refresh_token_expires_at: '2026-11-25T08:00:00Z',
        short_lived: true,
      },
    },
    `granted A ${DAY} bearer [] R ${2 * DAY}`,
  ],
  [
    'atlassian',
    'dead, with 403',
    { status: 403, body: { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' } },
    'rejected invalid_grant',
  ],
  [
    'atlassian',
    'wrong secret',
    { status: 401, body: { error: 'access_denied', error_description: 'Unauthorized' } },
    'misconfigured client access_denied',
  ],
  [
    'auth0',
    'dead, with 403',
    { status: 403, body: { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' } },
    'rejected invalid_grant',
  ],
  [
    'okta',
    'persistent',
    {
      status: 200,
      body: {
        token_type: 'Bearer',
        expires_in: 3600,
        access_token: 'A',
        scope: 'offline_access openid',
        refresh_token: 'rt-1',
        id_token: 'i',
      },
    },
    'granted A 3600000 Bearer [offline_access openid] rt-1',
  ],
  [
    'zoom',
    'dead',
    { status: 401, body: { reason: 'Invalid Token!', error: 'invalid_request' } },
    'rejected invalid_grant',
  ],
  [
    'zoom',
    'scopes changed',
    { status: 400, body: { code: 4711, message: 'Refresh token invalid' } },
    'rejected invalid_grant',
  ],
  ['zoom', 'wrong client', { status: 400, body: { code: 4702 } }, 'misconfigured client 4702'],
  ['zoom', 'any exception', { status: 400, body: { code: 4700 } }, 'in_doubt'],
  [
    'zoho',
    'refresh of before',
    {
      status: 200,
      body: {
        access_token: 'A',
        expires_in: 3_600_000,
        expires_in_sec: 3600,
        api_domain: 'https://www.zohoapis.com',
        token_type: 'Bearer',
      },
    },
    'granted A 3600000 Bearer [] -',
  ],
  [
    'zoho',
    'refresh of now',
    { status: 200, body: { access_token: 'A', expires_in: 3600, token_type: 'Bearer' } },
    'granted A 3600000 Bearer [] -',
  ],
  ['zoho', 'no lifetime', { status: 200, body: { access_token: 'A' } }, 'granted A 3600000? Bearer [] -'],
  ['zoho', 'dead, with 200', { status: 200, body: { error: 'invalid_code' } }, 'rejected invalid_grant'],
  [
    'zoho',
    'limited',
    {
      status: 400,
      body: {
        error: 'Access Denied',
        error_description: 'You have made too many requests continuously. Please try again after some time.',
      },
    },
    'unavailable',
  ],
  [
    'notion',
    'dead',
    { status: 400, body: { object: 'error', status: 400, code: 'invalid_grant', message: 'm' } },
    'rejected invalid_grant',
  ],
  [
    'notion',
    'no lifetime',
    {
      status: 200,
      body: { access_token: 'A', token_type: 'bearer', refresh_token: 'R', bot_id: 'b', workspace_id: 'w' },
    },
    'granted A 300000? bearer [] R',
  ],
  [
    'linear',
    'scopes',
    {
      status: 200,
      body: { access_token: 'A', token_type: 'Bearer', expires_in: 86_399, refresh_token: 'R', scope: 'read,write' },
    },
    'granted A 86399000 Bearer [read write] R',
  ],
  [
    'figma',
    'refresh',
    { status: 200, body: { access_token: 'A', token_type: 'bearer', expires_in: 7_776_000 } },
    `granted A ${90 * DAY} bearer [] -`,
  ],
  [
    'spotify',
    'dead',
    { status: 400, body: { error: 'invalid_grant', error_description: 'Refresh token revoked' } },
    'rejected invalid_grant',
  ],
  [
    'twitch',
    'scope as a list',
    {
      status: 200,
      body: {
        access_token: 'A',
        refresh_token: 'R',
        expires_in: 14_346,
        scope: ['channel:read:subscriptions', 'user:read:email'],
        token_type: 'bearer',
      },
    },
    'granted A 14346000 bearer [channel:read:subscriptions user:read:email] R',
  ],
  [
    'twitch',
    'dead',
    { status: 400, body: { error: 'Bad Request', status: 400, message: 'Invalid refresh token' } },
    'rejected invalid_grant',
  ],
  [
    'twitch',
    'another bad request',
    { status: 400, body: { error: 'Bad Request', status: 400, message: 'missing refresh token' } },
    'unavailable',
  ],
  [
    'openai',
    'reuse',
    {
      status: 401,
      body: { error: { message: 'm', type: 'invalid_request_error', param: null, code: 'refresh_token_reused' } },
    },
    'rejected reused',
  ],
  [
    'openai',
    'dead',
    { status: 401, body: { error: { message: 'm', code: 'token_expired' } } },
    'rejected invalid_grant',
  ],
  [
    'ory-hydra',
    'inactive',
    { status: 401, body: { error: 'token_inactive', error_description: 'd' } },
    'rejected invalid_grant',
  ],
  [
    'workers-oauth-provider',
    'another resource',
    { status: 400, body: { error: 'invalid_target' } },
    'misconfigured request invalid_target',
  ],
  [
    'zendesk',
    'refresh',
    {
      status: 200,
      body: {
        access_token: 'A',
        refresh_token: 'R',
        token_type: 'bearer',
        scope: 'read write',
        expires_in: 1800,
        refresh_token_expires_in: 2_592_000,
      },
    },
    `granted A 1800000 bearer [read write] R ${30 * DAY}`,
  ],
  [
    'x',
    'gateway page',
    { status: 503, headers: { 'Content-Type': 'text/html' }, body: '<html>over capacity</html>' },
    'in_doubt',
  ],
  [
    'discord',
    'limited',
    {
      status: 429,
      headers: { 'Retry-After': '1' },
      body: { message: 'You are being rate limited.', retry_after: 0.5, global: false },
    },
    'unavailable after 1000',
  ],
]

const clock = createSystemClock()
const REFRESH: Form = { grantType: 'refresh_token', scope: null, resources: [] }
const LEASE = { t0: clock.now(), sendLimitMs: ms(Infinity), windowMs: ms(Infinity), session: 'a' } as Lease

function presetProvider(id: string): Provider {
  const preset = PRESETS[id] ?? assert.fail(`no preset ${id}`)
  const variables = Object.fromEntries(Object.keys(preset.variables).map((name) => [name, 'example.org']))
  const read = readProviderInput(
    {
      id,
      preset: id,
      ...(preset.issuer.value === null && Object.keys(variables).length === 0
        ? { issuer: 'https://id.example.org' }
        : {}),
      ...(Object.keys(variables).length === 0 ? {} : { variables }),
    },
    PRESETS,
  )
  return { ...read, revision: 1 as Revision }
}

interface Sent {
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Presents a refresh token by the preset to a server that answers as told, and judges what came. */
async function replay(t: TestContext, id: string, answered: Answered): Promise<{ outcome: Outcome; sent: Sent }> {
  const sent: Sent[] = []
  const url = await httpServer(t, (request, response) => {
    void bodyOf(request).then((body) => {
      sent.push({ path: request.url ?? '', headers: request.headers, body })
      response.writeHead(answered.status, { 'Content-Type': 'application/json', ...answered.headers })
      response.end(typeof answered.body === 'string' ? answered.body : JSON.stringify(answered.body))
    })
  })
  const preset = presetProvider(id)
  const provider: Provider = {
    ...preset,
    tokenEndpoint: new URL('/token', url).href,
    refreshEndpoint: preset.refreshEndpoint === null ? null : new URL('/refresh', url).href,
  }
  const endpoint = createTokenEndpoint(createProviderAccess({ clock }))
  const client = clientOf({ tokenEndpointAuthMethod: provider.tokenEndpointAuthMethod })
  const line = await endpoint.connect(provider, client, REFRESHING, ms(20_000))
  if ('kind' in line) return assert.fail(line.because)
  const ticket = lend({ kind: 'refresh_token', refreshToken: new Secret('refresh_token', 'rt-1') }, () => 'a')
  const answer = await endpoint.present(line, LEASE, ticket, REFRESH).ever
  const assume = { lastLifetimeMs: null, unknownLifetimeMs: ms(300_000), asked: false }
  return { outcome: judge(answer, provider, assume), sent: sent[0] ?? assert.fail('nothing was sent') }
}

function spelled(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'granted': {
      const { accessToken, refreshToken, refreshTokenLife, scope } = outcome
      const words = [
        accessToken?.token.reveal(),
        `${accessToken?.lifetimeMs}${accessToken?.assumed === true ? '?' : ''}`,
        accessToken?.tokenType,
        `[${scope ?? ''}]`,
        refreshToken?.reveal() ?? '-',
        refreshTokenLife === null ? '' : (refreshTokenLife.lifetimeMs ?? 'no fixed end'),
      ]
      return `granted ${words.join(' ')}`.trimEnd()
    }
    case 'rejected':
      return `rejected ${outcome.word}`
    case 'misconfigured':
      return `misconfigured ${outcome.reason} ${outcome.word ?? ''}`
    case 'unavailable':
      return outcome.retryAfterMs === null ? 'unavailable' : `unavailable after ${outcome.retryAfterMs}`
    case 'in_doubt':
    case 'not_sent':
      return outcome.kind
  }
}

for (const [id, name, answered, meant] of ROWS) {
  test(`${id}: ${name} means ${meant}`, async (t) => {
    assert.equal(spelled((await replay(t, id, answered)).outcome), meant)
  })
}

const OK: Answered = { status: 200, body: { access_token: 'A' } }

test('notion is asked in JSON, by its version, with the client in the header', async (t) => {
  const { sent } = await replay(t, 'notion', OK)
  assert.deepEqual(JSON.parse(sent.body), { grant_type: 'refresh_token', refresh_token: 'rt-1' })
  assert.equal(sent.headers['notion-version'], '2022-06-28')
  assert.match(String(sent.headers['authorization']), /^Basic /)
})

test('figma is asked at its refresh endpoint', async (t) => {
  assert.equal((await replay(t, 'figma', OK)).sent.path, '/refresh')
})

test('google is asked with the client in the form, xero with the client in the header', async (t) => {
  const form = new URLSearchParams((await replay(t, 'google', OK)).sent.body)
  assert.deepEqual([form.get('client_id'), form.get('client_secret')], ['my-client', 'my-secret'])
  assert.match(String((await replay(t, 'xero', OK)).sent.headers['authorization']), /^Basic /)
})

test('the endpoints of presets with variables are those of one tenant', () => {
  const entra = readProviderInput({ id: 'm', preset: 'entra', variables: { tenant: 'contoso.example' } }, PRESETS)
  assert.equal(entra.tokenEndpoint, 'https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token')
  const zoho = readProviderInput({ id: 'z', preset: 'zoho', variables: { dc: 'com.au' } }, PRESETS)
  assert.equal(zoho.revocationEndpoint, 'https://accounts.zoho.com.au/oauth/v2/token/revoke')
  const auth0 = readProviderInput({ id: 'a', preset: 'auth0', issuer: 'https://acme.eu.auth0.com/' }, PRESETS)
  assert.equal(auth0.tokenEndpoint, 'https://acme.eu.auth0.com/oauth/token')
})
