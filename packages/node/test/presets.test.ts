/** What is said about providers: every fact has a source, and nothing permissive rests on memory. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { ReusePolicy } from '@tokenkeep/core'
import { PRESETS, type Evidence, type Fact, type FactName, type Preset } from '../src/presets.ts'
import { readProviderInput, type ProviderInput } from '../src/provider-input.ts'

/** Good enough to let a second presentation leave, or to believe that one kills nothing. */
const FIRM: readonly Evidence[] = ['official', 'source_code', 'official_text_via_quotation']

/** Not good enough to send a person to an address, or to leave out what guards the way back. */
const GUESSED: readonly Evidence[] = ['recalled_not_reread', 'concluded_not_tried', 'unknown']

const factsOf = ({ name: _, variables: __, ...facts }: Preset): readonly [FactName, Fact<unknown>][] =>
  Object.entries(facts) as [FactName, Fact<unknown>][]

const inputFor = (id: string, { issuer, variables }: Preset): ProviderInput => {
  const given = Object.fromEntries(Object.keys(variables).map((name) => [name, 'example-1.org']))
  const needsIssuer = issuer.value === null && Object.keys(variables).length === 0
  return {
    id,
    preset: id,
    ...(Object.keys(variables).length > 0 ? { variables: given } : {}),
    ...(needsIssuer ? { issuer: 'https://id.example.org/realms/external' } : {}),
  }
}

for (const [id, preset] of Object.entries(PRESETS)) {
  test(`preset ${id} says for each fact how it is known and where from`, () => {
    assert.match(id, /^[a-z0-9][a-z0-9-]*$/)
    assert.notEqual(preset.name, '')
    for (const [fact, { evidence, source }] of factsOf(preset)) {
      assert.equal(source.length === 0, evidence === 'unknown', `${id}.${fact}`)
    }
  })

  test(`preset ${id} rests no policy that lets more leave than "unknown" does on memory or hearsay`, () => {
    const { value, evidence } = preset.reuse
    if (value.kind !== 'unknown' && value.kind !== 'strict') assert.ok(FIRM.includes(evidence), evidence)
    if (preset.narrowing.value === 'token_only') assert.ok(FIRM.includes(preset.narrowing.evidence))
  })

  test(`preset ${id} knows where people sign in, or an issuer that tells, or says why not`, () => {
    const { issuer, tokenEndpoint, authorizationEndpoint } = preset
    const discovered = issuer.value !== null || (tokenEndpoint.value ?? '{issuer}').includes('{issuer}')
    assert.ok(discovered || authorizationEndpoint.value !== null || authorizationEndpoint.note !== undefined)
  })

  test(`preset ${id} leaves PKCE out, or sends to an address, on better than memory or a conclusion`, () => {
    const { authorization, authorizationEndpoint } = preset
    if (authorization.value.pkce === 'none') assert.ok(!GUESSED.includes(authorization.evidence))
    if (authorizationEndpoint.value !== null) assert.ok(!GUESSED.includes(authorizationEndpoint.evidence))
  })

  test(`preset ${id} makes a provider whose URLs have nothing left in braces`, () => {
    const provider = readProviderInput(inputFor(id, preset), PRESETS)
    assert.equal(provider.preset, id)
    assert.ok((provider.tokenEndpoint ?? provider.issuer)?.startsWith('https://'))
    assert.doesNotMatch(JSON.stringify(provider), /\{\w+\}/)
  })

  test(`preset ${id} sends what it says through the checks that users' settings meet`, () => {
    const said = {
      words: preset.words.value,
      request: preset.request.value,
      answer: preset.answer.value,
      authorization: preset.authorization.value,
    }
    const { words, request, answer, authorization } = readProviderInput({ ...inputFor(id, preset), ...said }, PRESETS)
    assert.deepEqual({ words, request, answer, authorization }, said)
  })
}

test('the token endpoint of jobrad is the one that is known', () => {
  assert.equal(
    readProviderInput({ id: 'external', preset: 'jobrad' }, PRESETS).tokenEndpoint,
    'https://id.jobrad.org/realms/external/protocol/openid-connect/token',
  )
})

/** Both sides are written out: whoever changes a policy changes what may leave twice, and says it here once more. */
const REUSE: Readonly<Record<string, ReusePolicy>> = {
  jobrad: { kind: 'unknown' },
  keycloak: { kind: 'unknown' },
  google: { kind: 'reusable' },
  entra: { kind: 'reusable' },
  'github-app': { kind: 'strict' },
  slack: { kind: 'strict' },
  xero: { kind: 'grace', seconds: 1800, winner: 'newest' },
  atlassian: { kind: 'grace', seconds: 600, winner: 'newest' },
  okta: { kind: 'unknown' },
  auth0: { kind: 'unknown' },
}

test('the policies of the providers that most people use are the ones written down here', () => {
  for (const [id, reuse] of Object.entries(REUSE)) {
    const preset = PRESETS[id]
    assert.ok(preset !== undefined, id)
    assert.deepEqual(preset.reuse.value, reuse, id)
    assert.deepEqual(readProviderInput(inputFor(id, preset), PRESETS).reuse, reuse, `${id}, as a provider has it`)
  }
})
