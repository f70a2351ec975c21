import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Metrics } from '../src/http/metrics.ts'
import type { TokenkeepEvent } from '@tokenkeep/core'
import { createMetrics } from '../src/serve/metrics-prometheus.ts'

/** The samples, comments left out. */
async function samples(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  const { text } = await metrics.expose()
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

/** As core tells it; its brands are of no interest here. */
const told = (type: TokenkeepEvent['type'], more: object = {}): TokenkeepEvent =>
  ({ type, at: 0, connection: 'canary-id', uid: 'canary-uid', provider: 'ext', fence: 1, ...more }) as TokenkeepEvent

const refreshed = (more: object = {}): TokenkeepEvent =>
  told('refreshed', { rotated: true, tookMs: 40, scope: 'canary-scope', ...more })

test('hand-outs are counted by way and outcome, requests by operation and class of status', async () => {
  const metrics = createMetrics({ version: '1.2.3' })
  for (const outcome of ['ok', 'ok', 'needs_user'] as const) metrics.handOut('api', outcome)
  metrics.handOut('drop_in', 'ok')
  for (const status of [200, 201, 404, 503]) metrics.answered('getToken', status)
  metrics.answered('listKeys', 99)
  metrics.refused('unauthorized')
  const now = await samples(metrics)
  for (const [sample, count] of [
    ['tokenkeep_hand_outs_total{by="api",outcome="ok"}', 2],
    ['tokenkeep_hand_outs_total{by="api",outcome="needs_user"}', 1],
    ['tokenkeep_hand_outs_total{by="drop_in",outcome="ok"}', 1],
    ['tokenkeep_http_requests_total{operation="getToken",status="2xx"}', 2],
    ['tokenkeep_http_requests_total{operation="getToken",status="4xx"}', 1],
    ['tokenkeep_http_requests_total{operation="getToken",status="5xx"}', 1],
    ['tokenkeep_http_requests_total{operation="listKeys",status="other"}', 1],
    ['tokenkeep_http_refused_total{because="unauthorized"}', 1],
    [`tokenkeep_build_info{version="1.2.3",node="${process.versions.node}"}`, 1],
    ['tokenkeep_store_unavailable_total', 0],
  ] as const) {
    assert.equal(now.get(sample), count, sample)
  }
  assert.ok((now.get('process_resident_memory_bytes') ?? 0) > 0)
  metrics.handOut('api', 'ok')
  const later = await samples(metrics)
  assert.equal(later.get('tokenkeep_hand_outs_total{by="api",outcome="ok"}'), 3, 'reading it leaves the counts alone')
})

test('events become counts of what came of each presentation, with how long the granted ones took', async () => {
  const metrics = createMetrics({ version: '0' })
  for (const event of [
    refreshed(),
    refreshed({ rotated: false, tookMs: 4000 }),
    told('unavailable', { because: 'status', status: 503 }),
    told('in_doubt', { because: 'no_answer' }),
    told('suspect'),
    told('blocked', { reason: 'client' }),
    told('needs_user', { reason: 'revoked' }),
    told('slow'),
    told('access_token_rejected'),
    told('replayed'),
    // Each another number of times, so that none can be taken for another.
    ...Array<TokenkeepEvent>(2).fill(told('expiring')),
    ...Array<TokenkeepEvent>(3).fill(told('circuit_opened')),
    ...Array<TokenkeepEvent>(4).fill(told('rate_limited')),
    ...Array<TokenkeepEvent>(5).fill(told('client_refused')),
    told('circuit_closed'),
    told('signed_out'),
    told('answer_kept_for_history'),
    told('answer_kept_as_sibling'),
    told('connection_imported'),
    told('connection_reconnected'),
    told('connection_deleted'),
    { type: 'store_unavailable', at: 0 } as TokenkeepEvent,
  ]) {
    metrics.heard(event)
  }
  const now = await samples(metrics)
  for (const [sample, count] of [
    ['tokenkeep_refreshes_total{provider="ext",outcome="granted"}', 2],
    ['tokenkeep_refreshes_total{provider="ext",outcome="unavailable"}', 1],
    ['tokenkeep_refreshes_total{provider="ext",outcome="in_doubt"}', 1],
    ['tokenkeep_refreshes_total{provider="ext",outcome="refused"}', 1],
    ['tokenkeep_refreshes_total{provider="ext",outcome="blocked"}', 1],
    ['tokenkeep_refreshes_total{provider="ext",outcome="needs_user"}', 1],
    ['tokenkeep_rotations_total{provider="ext"}', 1],
    ['tokenkeep_in_doubt_total{provider="ext",because="no_answer"}', 1],
    ['tokenkeep_needs_user_total{provider="ext",reason="revoked"}', 1],
    ['tokenkeep_slow_refreshes_total{provider="ext"}', 1],
    ['tokenkeep_access_tokens_rejected_total{provider="ext"}', 1],
    ['tokenkeep_answers_replayed_total{provider="ext"}', 1],
    ['tokenkeep_expiring_total{provider="ext"}', 2],
    ['tokenkeep_circuits_opened_total{provider="ext"}', 3],
    ['tokenkeep_rate_limited_total{provider="ext"}', 4],
    ['tokenkeep_clients_refused_total{provider="ext"}', 5],
    ['tokenkeep_store_unavailable_total', 1],
    ['tokenkeep_refresh_duration_seconds_bucket{le="0.05",provider="ext"}', 1],
    ['tokenkeep_refresh_duration_seconds_bucket{le="5",provider="ext"}', 2],
    ['tokenkeep_refresh_duration_seconds_sum{provider="ext"}', 4.04],
  ] as const) {
    assert.equal(now.get(sample), count, sample)
  }
})

test('a database on hold is a gauge that adoption takes back', async () => {
  const metrics = createMetrics({ version: '0' })
  const onHold = async () => (await samples(metrics)).get('tokenkeep_on_hold')
  assert.equal(await onHold(), 0)
  metrics.heard({ type: 'on_hold', at: 0, because: 'backup' } as TokenkeepEvent)
  assert.equal(await onHold(), 1)
  metrics.heard(refreshed())
  assert.equal(await onHold(), 1, 'what lives goes on')
  metrics.heard({ type: 'adopted', at: 0 } as TokenkeepEvent)
  assert.equal(await onHold(), 0)
})

test('a label has a bounded number of values: what came late is counted as other', async () => {
  const metrics = createMetrics({ version: '0' })
  for (let n = 0; n < 1000; n++) {
    metrics.heard(refreshed({ provider: `p${n}` }))
    metrics.heard(refreshed({ provider: 'p0' }))
    metrics.refused(`because-${n}`)
    metrics.answered(`operation-${n}`, 200)
  }
  const now = await samples(metrics)
  const of = (name: string) => [...now].filter(([sample]) => sample.startsWith(`${name}{`))
  const sum = (name: string) => of(name).reduce((total, [, count]) => total + count, 0)
  assert.equal(of('tokenkeep_refreshes_total').length, 101)
  assert.equal(now.get('tokenkeep_refreshes_total{provider="p0",outcome="granted"}'), 1001)
  assert.equal(now.get('tokenkeep_refreshes_total{provider="other",outcome="granted"}'), 900)
  assert.equal(of('tokenkeep_refresh_duration_seconds_count').length, 101)
  for (const name of ['tokenkeep_http_refused_total', 'tokenkeep_http_requests_total']) {
    assert.equal(of(name).length, 101, name)
    assert.equal(sum(name), 1000, 'nothing is left out')
  }
})

test('no label names a connection, and what a provider is called cannot break a line', async () => {
  const metrics = createMetrics({ version: '0' })
  for (const type of ['refreshed', 'needs_user', 'in_doubt', 'replayed'] as const) {
    metrics.heard(told(type, { tookMs: 1, rotated: true, reason: 'reused', because: 'owner_dead', scope: 'canary' }))
  }
  metrics.heard(refreshed({ provider: 'a"} 1\nb\\' }))
  const { text, contentType } = await metrics.expose()
  assert.match(contentType, /^text\/plain; version=0\.0\.4/)
  assert.doesNotMatch(text, /canary/)
  assert.ok(text.includes('tokenkeep_rotations_total{provider="a\\"} 1\\nb\\\\"} 1\n'))
})

test('docs/serve.md lists exactly the metrics of ours', async () => {
  const document = readFileSync(new URL('../../../docs/serve.md', import.meta.url), 'utf8')
  const listed = [...document.matchAll(/^\| `(tokenkeep_\w+)`/gm)].map(([, name]) => name)
  const { text } = await createMetrics({ version: '0' }).expose()
  const exposed = [...text.matchAll(/^# TYPE (tokenkeep_\w+)/gm)].map(([, name]) => name)
  assert.deepEqual(listed.sort(), exposed.sort())
})
