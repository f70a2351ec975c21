import { TokenError, type DurationMs } from '@tokenkeep/core'
import { knownPresets, type Fact, type FactName, type Preset } from '@tokenkeep/node'
import type { Context } from './context.ts'
import { span } from './moments.ts'
import {
  answerInWords,
  authorizationInWords,
  EVIDENCE,
  NARROWING,
  requestInWords,
  reuseInWords,
  wordsInWords,
} from './provider-words.ts'
import { table, type Cell } from './table.ts'

/** `tokenkeep provider presets`: what is known without asking anybody. */
export async function listPresets({ output }: Context): Promise<void> {
  const presets = await knownPresets()
  output.answer(presets, () => [
    ...table(
      ['PRESET', 'PROVIDER', 'A REFRESH TOKEN PRESENTED AGAIN IS', 'KNOWN FROM'],
      Object.entries(presets).map(([name, preset]) => [
        name,
        preset.name,
        reuseInWords(preset.reuse.value),
        EVIDENCE[preset.reuse.evidence],
      ]),
      output.colours.dim,
    ),
    '',
    'One of them in full, with sources: tokenkeep provider presets NAME',
  ])
}

/** `tokenkeep provider presets NAME` */
export async function showPreset({ output }: Context, name: string): Promise<void> {
  const presets = await knownPresets()
  const preset = Object.hasOwn(presets, name) ? presets[name] : undefined
  if (preset === undefined) {
    throw new TokenError('unknown_provider', `there is no such preset; there are ${Object.keys(presets).join(', ')}`)
  }
  output.answer(preset, () => [
    `${name}: ${preset.name}`,
    ...Object.entries(preset.variables).map(([variable, what]) => `--variable ${variable}=... is ${what}`),
    '',
    ...table(
      ['FACT', 'VALUE', 'KNOWN FROM'],
      factsOf(preset).map(([what, fact, value]): Cell[] => [what, value, EVIDENCE[fact.evidence]]),
      output.colours.dim,
    ),
    '',
    ...factsOf(preset).flatMap(([what, { note, source }]) => [
      ...(note === undefined ? [] : [`${what}: ${note}`]),
      ...source.map((address) => output.colours.dim(`  ${address}`)),
    ]),
  ])
}

type Row = readonly [what: string, fact: Fact<unknown>, value: string]

function factsOf(preset: Preset): readonly Row[] {
  const row = <Name extends FactName>(what: string, name: Name, say: (value: Preset[Name]['value']) => string): Row => [
    what,
    preset[name],
    say(preset[name].value),
  ]
  const life = (durationMs: DurationMs | null): string => (durationMs === null ? '-' : span(durationMs))
  const text = (value: string | null): string => value ?? '-'
  return [
    row('issuer', 'issuer', text),
    row('token endpoint', 'tokenEndpoint', text),
    row('refresh endpoint', 'refreshEndpoint', text),
    row('revocation endpoint', 'revocationEndpoint', text),
    row('introspection endpoint', 'introspectionEndpoint', text),
    row('authorization endpoint', 'authorizationEndpoint', text),
    row('pushed authorization requests', 'pushedAuthorizationRequestEndpoint', text),
    row('device authorization endpoint', 'deviceAuthorizationEndpoint', text),
    row('keys', 'jwksUri', text),
    row('userinfo endpoint', 'userinfoEndpoint', text),
    row('client authentication', 'tokenEndpointAuthMethods', (methods) => text(methods.join(', ') || null)),
    row('second presentation', 'reuse', reuseInWords),
    row('narrower scope', 'narrowing', (narrowing) => NARROWING[narrowing]),
    row('a refresh ends earlier access tokens', 'refreshKillsAccessToken', (kills) => (kills ? 'yes' : 'no')),
    row('access token lives', 'accessTokenLifetimeMs', life),
    row('unused refresh token lives', 'refreshTokenIdleMs', life),
    row('sign-in lives', 'refreshTokenAbsoluteMs', life),
    row('words', 'words', (words) =>
      text(
        wordsInWords(words)
          .map((pair) => pair.join(': '))
          .join('; ') || null,
      ),
    ),
    row('request', 'request', (shape) => text(requestInWords(shape))),
    row('answer', 'answer', (shape) => text(answerInWords(shape))),
    row('sign-in', 'authorization', (shape) => text(authorizationInWords(shape))),
  ]
}
