import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readmeTables, resultsDocument, type Recorded } from '../results-document.ts'

const measured = { measuredOn: '2026-01-02', tokenkeep: '0.1.0 at abcdef0', tookSeconds: 1 }
const fleet = { processes: 8, expiries: 160, granted: 160, bad: 0, lost: 0, because: null }
const recorded: Recorded = {
  keycloak: '26.7.3',
  java: '17',
  node: '24.0.0',
  system: 'linux',
  cores: 2,
  rows: [
    {
      ...{ name: 'refresh', about: 'refresh and rotation', failed: '', ...measured },
      played: {
        logins: 2,
        lost: 0,
        presented: { granted: 12, refused: 0, tokens: 12, mostOfOne: 1 },
        seen: 'all well',
      },
    },
    { name: 'scope', about: 'a token of reduced scope', failed: 'it came | full', played: null, ...measured },
    {
      ...{ name: 'revocation', about: 'a connection is deleted', failed: '', ...measured },
      played: { logins: 1, lost: 0, presented: null, seen: 'refused afterwards' },
    },
  ],
  clients: [
    {
      ...{ name: 'curl', version: 'curl 7.88.1', failed: '', ...measured },
      straight: { ...fleet, granted: 8, lost: 8, because: 'invalid_grant' },
      dropIn: { ...fleet, refreshes: 26, mostOfOne: 1 },
    },
    { name: 'nimbus', version: 'oauth2-oidc-sdk 1', straight: null, dropIn: null, failed: 'no end', ...measured },
  ],
}
const squeezed = (table: string): readonly string[] => table.split('\n').map((line) => line.replaceAll(/ +/g, ' '))

test('the results say what was played, with what and when, and what did not come as it must', () => {
  const document = resultsDocument(recorded)
  assert.match(document, /on 2026-01-02\. Keycloak 26\.7\.3 on Java 17; Tokenkeep 0\.1\.0 at abcdef0; Node 24\.0\.0/)
  const lines = squeezed(document)
  assert.ok(lines.includes('| `refresh` | refresh and rotation | 12 | 0 | 1 | 0 of 2 | all well |'))
  assert.ok(lines.includes('| `scope` | a token of reduced scope | | | | | NOT AS IT MUST: it came / full |'))
  assert.ok(lines.includes('| curl | curl 7.88.1 | 8 of 160 | 8 of 8 | invalid_grant | 160 of 160 | 0 of 8 | 26 | 1 |'))
  assert.ok(lines.includes('| nimbus | oauth2-oidc-sdk 1 | | | NOT PLAYED: no end | | | | |'))
})

test("the README's tables show what was played to the end, and nothing else", () => {
  const { keycloak, clients } = readmeTables(recorded)
  assert.deepEqual(squeezed(keycloak).slice(2), ['| refresh and rotation | 12 | 1 | 0 of 2 |'])
  assert.deepEqual(squeezed(clients).slice(2), ['| curl 7.88.1 | 8 of 160 | **8 of 8** | 160 of 160 | 0 of 8 |'])
})
