/** `docs/providers.md`, made from the presets: what is known, how, and where from. */
import { format, resolveConfig } from 'prettier'
import { fileURLToPath } from 'node:url'
import type { DurationMs } from '@tokenkeep/core'
import { PRESETS, type Fact, type Preset } from '../packages/node/src/presets.ts'
import { span } from '../packages/server/src/cli/moments.ts'
import {
  answerInWords,
  authorizationInWords,
  EVIDENCE,
  NARROWING,
  requestInWords,
  reuseInWords,
  wordsInWords,
} from '../packages/server/src/cli/provider-words.ts'

export const DOCUMENT = fileURLToPath(new URL('../docs/providers.md', import.meta.url))

const HEAD = `# Providers

<!-- Made by scripts/providers-document.mjs from packages/node/src/presets; a test compares. -->

A preset fills in what you leave out when you add a provider. Everything in it can be said otherwise, and nothing in the code knows a provider by name.

\`\`\`sh
tokenkeep provider presets                    # this table
tokenkeep provider presets slack              # all about one of them, with sources
tokenkeep provider add slack                  # with the preset of that name
tokenkeep provider add work --preset entra --variable tenant=example.org
tokenkeep provider add login --preset keycloak --issuer https://id.example.org/realms/main --reuse strict
\`\`\`

What is not known is treated with the most care. In particular a refresh token whose fate is unknown is presented again only as the second column of the
table says: _not known_ means one more try soon after the connection was seen to end, and else none before the access token's end. Many products let their
operator decide; then the note of that fact says which \`--reuse\` fits which setting. No policy that allows more rests on memory or on reports.

Facts are as good as their sources, which were read in stored copies in November 2026. Corrections are welcome: one line in
[\`packages/node/src/presets\`](../packages/node/src/presets), with its source.

`

/** The whole document, formatted as the repository's other documents are. */
export async function providersDocument(): Promise<string> {
  const rows = Object.entries(PRESETS).map(
    ([id, preset]) =>
      `| [\`${id}\`](#${anchorOf(id, preset)}) | ${cell(reuseInWords(preset.reuse.value))} | ${EVIDENCE[preset.reuse.evidence]} | ${
        preset.refreshKillsAccessToken.value ? 'yes' : '-'
      } | ${life(preset.accessTokenLifetimeMs.value)} | ${life(preset.refreshTokenIdleMs.value)} | ${needs(preset)} |`,
  )
  const table = [
    '| Preset | A refresh token presented again | Known from | A refresh ends the access token before | Access token lives, where unsaid | Unused refresh token lives | To be given |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
  const sections = Object.entries(PRESETS).map(([id, preset]) => section(id, preset))
  const options = { ...(await resolveConfig(DOCUMENT)), parser: 'markdown' }
  return format(`${HEAD}${table}\n\n${sections.join('\n\n')}\n`, options)
}

const needs = ({ issuer, tokenEndpoint, variables }: Preset): string => {
  const names = Object.keys(variables)
  if (names.length > 0) return names.map((name) => `\`--variable ${name}=\``).join(' ')
  const fixed = tokenEndpoint.value !== null && !tokenEndpoint.value.includes('{issuer}')
  return issuer.value === null && !fixed ? '`--issuer`' : '-'
}

const life = (durationMs: DurationMs | null): string => (durationMs === null ? '-' : span(durationMs))
const cell = (text: string): string => text.replaceAll('|', '\\|')
const titleOf = (id: string, preset: Preset): string => `${id}: ${preset.name}`
const anchorOf = (id: string, preset: Preset): string =>
  titleOf(id, preset)
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-')

function section(id: string, preset: Preset): string {
  const code = (value: string | null): string => (value === null ? 'none' : `\`${value}\``)
  const fact = <Value>(what: string, known: Fact<Value>, say: (value: Value) => string): string[] => {
    if (known.evidence === 'unknown' && known.note === undefined) return []
    const note = known.note === undefined ? '' : ` ${known.note}`
    const sources = known.source.map((source, at) =>
      source.startsWith('https://') && !source.includes(' ') ? `[${at + 1}](<${source}>)` : source,
    )
    return [`- **${what}**: ${say(known.value)}.${note} (${[EVIDENCE[known.evidence], ...sources].join(', ')})`]
  }
  const words = wordsInWords(preset.words.value).map(([outcome, signs]) => `${outcome} by \`${signs}\``)
  const lines = [
    ...Object.entries(preset.variables).map(([name, what]) => `- \`--variable ${name}=\` is ${what}.`),
    ...fact('Issuer', preset.issuer, (value) => (value === null ? 'not fixed' : code(value))),
    ...fact('Token endpoint', preset.tokenEndpoint, code),
    ...fact('Refresh endpoint', preset.refreshEndpoint, code),
    ...fact('Revocation endpoint', preset.revocationEndpoint, code),
    ...fact('Introspection endpoint', preset.introspectionEndpoint, code),
    ...fact('Authorization endpoint', preset.authorizationEndpoint, code),
    ...fact('Pushed authorization requests', preset.pushedAuthorizationRequestEndpoint, code),
    ...fact('Device authorization endpoint', preset.deviceAuthorizationEndpoint, code),
    ...fact('Keys', preset.jwksUri, code),
    ...fact('Userinfo endpoint', preset.userinfoEndpoint, code),
    ...fact('Client authentication', preset.tokenEndpointAuthMethods, (methods) =>
      methods.map((method) => `\`${method}\``).join(', '),
    ),
    ...fact('A refresh token presented again', preset.reuse, reuseInWords),
    ...fact('A narrower scope', preset.narrowing, (narrowing) => NARROWING[narrowing]),
    ...fact('A refresh ends the access token before', preset.refreshKillsAccessToken, (kills) =>
      kills ? 'yes' : 'no',
    ),
    ...fact('Access token lives', preset.accessTokenLifetimeMs, (value) =>
      value === null ? 'as answers say' : span(value),
    ),
    ...fact('Unused refresh token lives', preset.refreshTokenIdleMs, (value) =>
      value === null ? 'not limited by us' : span(value),
    ),
    ...fact('A sign-in lives', preset.refreshTokenAbsoluteMs, (value) =>
      value === null ? 'not limited by us' : span(value),
    ),
    ...fact('Words', preset.words, () => (words.length === 0 ? 'those of RFC 6749' : words.join('; '))),
    ...fact('Requests', preset.request, (shape) => requestInWords(shape) ?? 'as RFC 6749 has them'),
    ...fact('Sign-ins', preset.authorization, (shape) => authorizationInWords(shape) ?? 'as RFC 6749 has them'),
    ...fact('Answers', preset.answer, (shape) => answerInWords(shape) ?? 'as RFC 6749 has them'),
  ]
  return `## ${titleOf(id, preset)}\n\n${lines.join('\n')}`
}
