/** A request that proves a key, made once more with the nonce that a server wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ms } from '@tokenkeep/core'
import { createSystemClock } from '../src/clock-system.ts'
import { dpopKeys } from '../src/dpop-keys.ts'
import { createProviderAccess } from '../src/provider-access.ts'
import { askProving } from '../src/proving-request.ts'
import { clientOf, providerOf } from './fixtures/provider.ts'
import { httpServer } from './fixtures/servers.ts'

test('both requests have one time together, so that a slow server keeps nobody waiting twice as long', async (t) => {
  const WITHIN_MS = 5000
  const SLOW_MS = 300
  let asked = 0
  const origin = await httpServer(t, (_request, response) => {
    asked += 1
    const first = asked === 1
    void sleep(first ? SLOW_MS : 0).then(() =>
      response
        .writeHead(first ? 400 : 200, { 'dpop-nonce': 'n1', 'content-type': 'application/json' })
        .end(first ? '{"error":"use_dpop_nonce"}' : '{"access_token":"at"}'),
    )
  })
  const system = createSystemClock()
  const given: number[] = []
  const alarm: typeof system.alarm = (afterMs, ...more) => {
    given.push(afterMs)
    return system.alarm(afterMs, ...more)
  }
  const access = createProviderAccess({ clock: { ...system, alarm } })
  const answer = await askProving(
    access,
    {
      provider: providerOf({ tokenEndpoint: new URL('/token', origin).href }),
      client: clientOf({ tokenEndpointAuthMethod: 'none', clientSecret: null }),
      endpoint: 'tokenEndpoint',
      parameters: new URLSearchParams({ grant_type: 'authorization_code' }),
      dpopKey: (await dpopKeys.make()).key,
    },
    ms(WITHIN_MS),
  )
  assert.ok(typeof answer === 'object')
  assert.deepEqual([answer.status, asked], [200, 2])
  assert.equal(Math.max(...given), WITHIN_MS)
  assert.ok((given.at(-1) ?? WITHIN_MS) <= WITHIN_MS - SLOW_MS, String(given))
})
