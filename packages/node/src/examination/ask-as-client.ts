/**
 * Whether a provider takes a client for the one that it says it is, found out by a question about a token that nobody has made.
 *
 * No token of ours leaves this machine, and nothing is granted, spent or ended by it: introspection only looks (RFC 7662
 * section 2), and whoever revokes a token that is not known is answered 200 (RFC 7009 section 2.2). Both prove the client
 * first. Introspection says more, because RFC 7662 section 2.1 lets nobody in without authorization; where it is not for
 * this client, revocation is asked.
 */
import { ms, type Client, type DurationMs, type Provider, type Random, type Registry } from '@tokenkeep/core'
import { memberOf, wordOf } from '../answer-member.ts'
import { assertionFileEnd } from '../client-assertion-file.ts'
import { askAsClient as ask } from '../client-request.ts'
import { stateOfKey } from '@tokenkeep/core'
import type { ProviderAccess } from '../provider-access.ts'
import type { ClientAnswer, ClientSeen } from './seen.ts'

export interface AskingParts {
  readonly access: ProviderAccess
  readonly registry: Pick<Registry, 'client' | 'clientKeys'>
  readonly random: Pick<Random, 'uuid'>
  /** False: only what is kept here is looked at. */
  readonly online: boolean
}

/** @param withinMs for each question */
export async function askAsClient(
  client: Client,
  provider: Provider,
  { access, registry, random, online }: AskingParts,
  withinMs: DurationMs,
): Promise<ClientSeen> {
  const now = access.clock.now().wall
  const kept = (await registry.clientKeys(client.id)) ?? []
  const keys = kept.map((key) => ({ kid: key.kid, alg: key.alg, state: stateOfKey(key, kept, now).kind }))
  const file = client.clientAssertionFile
  const end = file === null ? null : await assertionFileEnd(file)
  const seen = { keys, assertionEndsAt: typeof end === 'number' ? end : null }
  const opened = await registry.client(client.id)
  if (opened === 'no_key' || opened === 'tampered') return { ...seen, asked: [], unusable: opened }
  if (opened === null) return { ...seen, asked: [], unusable: null }
  if (end === 'unusable') return { ...seen, asked: [], unusable: 'client_assertion_file' }
  if (client.certificate !== null && client.certificate.expiresAt <= now)
    return { ...seen, asked: [], unusable: 'client_certificate_expired' }
  if (!online) return { ...seen, asked: [], unusable: null }

  const asked: ClientAnswer[] = []
  for (const endpoint of ['introspection', 'revocation'] as const) {
    const parameters = new URLSearchParams({ token: `tokenkeep-doctor-${random.uuid()}` })
    const name = `${endpoint}Endpoint` as const
    const answer = await ask(access, { provider, client: opened, endpoint: name, parameters }, ms(withinMs))
    if (answer === 'unusable') return { ...seen, asked, unusable: 'client' }
    if (answer === 'none' || answer === 'failed') continue
    const active = memberOf(answer, 'active')
    asked.push({
      endpoint,
      status: answer.status,
      error: wordOf(answer),
      active: typeof active === 'boolean' ? active : null,
    })
    if (endpoint === 'introspection' && answer.status === 200 && active === false) break
  }
  return { ...seen, asked, unusable: null }
}
