/** What is counted about a running server, in the exposition format of Prometheus. `docs/serve.md` lists it. */
import process from 'node:process'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { assertNever, refreshOutcomeOf, type TokenkeepEvent } from '@tokenkeep/core'
import type { Metrics } from '../http/metrics.ts'
import { createTally, OTHER } from './tally.ts'

/** Providers that are told apart; the rest is `other`. */
const PROVIDERS_MAX = 100
/** From the right to present to the answer kept; whoever does not answer within 10 s is `slow`. */
const REFRESH_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** @param version of this program */
export function createMetrics({ version }: { readonly version: string }): Metrics {
  const registry = new Registry()
  const tallies = talliesIn(registry)
  const refreshSeconds = new Histogram({
    name: 'tokenkeep_refresh_duration_seconds',
    help: 'How long refreshes took that were granted.',
    labelNames: ['provider'],
    buckets: REFRESH_SECONDS,
    registers: [registry],
  })
  new Gauge({
    name: 'tokenkeep_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.versions.node }, 1)
  const onHold = new Gauge({
    name: 'tokenkeep_on_hold',
    help: '1 while the database is a copy or was put back and waits for `tokenkeep adopt`; nothing is presented then.',
    registers: [registry],
  })
  // What it starts does not keep the process alive, and ends with it.
  collectDefaultMetrics({ register: registry })

  const providers = new Set<string>()
  const known = (provider: string): string => {
    if (!providers.has(provider) && providers.size >= PROVIDERS_MAX) return OTHER
    providers.add(provider)
    return provider
  }
  return {
    handOut: tallies.handOuts.add,
    answered: (operation, status) => tallies.requests.add(operation, STATUS_CLASSES[Math.floor(status / 100)] ?? OTHER),
    proxied: (provider, outcome) => tallies.proxied.add(known(provider), outcome),
    refused: (because) => tallies.refused.add(because),
    received: (kind, outcome) => tallies.received.add(kind, outcome),
    heard: (event) => count(event, tallies, { known, refreshSeconds, onHold }),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

const STATUS_CLASSES: readonly (string | undefined)[] = [undefined, '1xx', '2xx', '3xx', '4xx', '5xx']

type Tallies = ReturnType<typeof talliesIn>

function talliesIn(registry: Registry) {
  const tally = (name: string, labels: readonly [] | readonly [string] | readonly [string, string], help: string) =>
    createTally({ registry, name: `tokenkeep_${name}_total`, help, labels, distinctMax: PROVIDERS_MAX + 1 })
  return {
    handOuts: tally('hand_outs', ['by', 'outcome'], 'Requests of an access token, by way and by what came of them.'),
    requests: tally('http_requests', ['operation', 'status'], 'Requests that were answered.'),
    refused: tally('http_refused', ['because'], 'Requests that were refused, by the code of the problem.'),
    proxied: tally('proxied', ['provider', 'outcome'], 'Calls to APIs through the proxy, by what came of them.'),
    received: tally(
      'received_events',
      ['kind', 'outcome'],
      'Logout tokens and security events that came, by what became of them.',
    ),
    signedOut: tally('signed_out', ['provider'], 'Connections whose user signed out at the provider.'),
    refreshes: tally('refreshes', ['provider', 'outcome'], 'Presentations to providers, by what came of them.'),
    rotations: tally('rotations', ['provider'], 'Refreshes that brought another refresh token.'),
    slow: tally('slow_refreshes', ['provider'], 'Presentations that were not answered in time, and are listened to.'),
    inDoubt: tally('in_doubt', ['provider', 'because'], 'Refresh tokens perhaps presented, without an answer.'),
    needsUser: tally('needs_user', ['provider', 'reason'], 'Connections that only their user can revive.'),
    expiring: tally(
      'expiring',
      ['provider'],
      'Connections whose user has to sign in again before a date, told once each.',
    ),
    rejected: tally('access_tokens_rejected', ['provider'], 'Access tokens that an API refused, as callers report it.'),
    replayed: tally('answers_replayed', ['provider'], 'Answers that a dead process left, found and kept.'),
    circuits: tally('circuits_opened', ['provider'], 'Times that a provider did not answer for several connections.'),
    rateLimited: tally('rate_limited', ['provider'], 'Times that a provider asked us to wait.'),
    clientsRefused: tally('clients_refused', ['provider'], 'Times that a provider began to refuse a client of ours.'),
    storeUnavailable: tally('store_unavailable', [], 'Times that the database went away.'),
  }
}

function count(
  event: TokenkeepEvent,
  tallies: Tallies,
  of: { readonly known: (provider: string) => string; readonly refreshSeconds: Histogram; readonly onHold: Gauge },
): void {
  if (event.type === 'store_unavailable') {
    tallies.storeUnavailable.add()
    return
  }
  if (event.type === 'on_hold' || event.type === 'adopted') {
    of.onHold.set(event.type === 'on_hold' ? 1 : 0)
    return
  }
  if (event.type === 'slots_unreadable') return
  const provider = of.known(event.provider)
  const outcome = refreshOutcomeOf(event.type)
  if (outcome !== null) tallies.refreshes.add(provider, outcome)
  switch (event.type) {
    case 'refreshed':
      if (event.rotated) tallies.rotations.add(provider)
      of.refreshSeconds.observe({ provider }, event.tookMs / 1000)
      return
    case 'in_doubt':
      tallies.inDoubt.add(provider, event.because)
      return
    case 'needs_user':
      tallies.needsUser.add(provider, event.reason)
      return
    case 'slow':
      return tallies.slow.add(provider)
    case 'expiring':
      return tallies.expiring.add(provider)
    case 'access_token_rejected':
      return tallies.rejected.add(provider)
    case 'signed_out':
      return tallies.signedOut.add(provider)
    case 'replayed':
      return tallies.replayed.add(provider)
    case 'circuit_opened':
      return tallies.circuits.add(provider)
    case 'rate_limited':
      return tallies.rateLimited.add(provider)
    case 'client_refused':
      return tallies.clientsRefused.add(provider)
    case 'unavailable':
    case 'suspect':
    case 'blocked':
    case 'circuit_closed':
    case 'connection_imported':
    case 'connection_reconnected':
    case 'connection_deleted':
    case 'answer_kept_for_history':
    case 'answer_kept_as_sibling':
      return
    default:
      assertNever(event)
  }
}
