import assert from 'node:assert/strict'
import test from 'node:test'
import { PRESETS, type Fact } from '../src/presets.ts'
import { readProviderInput } from '../src/provider-input.ts'

for (const [id, preset] of Object.entries(PRESETS)) {
  const { name, ...rest } = preset
  const facts = Object.entries(rest as Record<string, Fact<unknown>>)

  test(`preset ${id} says for each fact how it is known and where from`, () => {
    assert.notEqual(name, '')
    for (const [fact, { evidence, source }] of facts) {
      assert.equal(source.length === 0, evidence === 'unknown', `${id}.${fact}`)
    }
  })

  test(`preset ${id} makes a provider`, () => {
    const issuer = 'https://id.example.org/realms/external'
    const provider = readProviderInput({ id, preset: id, ...(preset.issuer.value === null ? { issuer } : {}) })
    assert.equal(provider.preset, id)
    assert.ok(provider.tokenEndpoint?.startsWith('https://'))
    assert.doesNotMatch(JSON.stringify(provider), /\{issuer\}/)
  })

  test(`preset ${id} does not claim a reuse policy that nobody verified`, () => {
    assert.deepEqual(preset.reuse.value, { kind: 'unknown' })
  })
}

test('the token endpoint of jobrad is the one that is known', () => {
  assert.equal(
    readProviderInput({ id: 'external', preset: 'jobrad' }).tokenEndpoint,
    'https://id.jobrad.org/realms/external/protocol/openid-connect/token',
  )
})
