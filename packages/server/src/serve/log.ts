/**
 * The log of the server: one JSON object a line, by pino. Nobody hands a secret to it; if somebody does by mistake, it is
 * blotted out by the name of its member, wherever it stands, and by its look.
 */
import type { Writable } from 'node:stream'
import { pino, stdTimeFunctions } from 'pino'
import { TokenError } from '@tokenkeep/core'
import type { Log } from '../http/log.ts'
import type { LogLevel } from './setting.ts'

/** Lines that wait for a reader that does not read: then lines are dropped, and counted, rather than kept in memory. */
const WAITING_BYTES_MAX = 1024 * 1024

/** @param to standard error; written to only as long as somebody reads it */
export function createLog(of: { readonly level: LogLevel; readonly to: Writable }): Log {
  const lines = pino(
    {
      level: of.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    bounded(of.to),
  )
  const at =
    (level: 'error' | 'warn' | 'info' | 'debug') =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      if (lines.isLevelEnabled(level)) lines[level](blotted(fields, 0), blottedText(message))
    }
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') }
}

function bounded(to: Writable): { write(line: string): void } {
  let dropped = 0
  return {
    write(line) {
      if (to.writableLength > WAITING_BYTES_MAX) {
        dropped += 1
        return
      }
      if (dropped > 0)
        to.write(`${JSON.stringify({ level: 'warn', dropped, msg: 'log lines were dropped: nobody read them' })}\n`)
      dropped = 0
      to.write(line)
    },
  }
}

// ---- blotting out --------------------------------------------------------------------------------------------------

const BLOT = '[redacted]'
/** `accessToken`, `client_secret`, `set-cookie`, `apiKey`, `body`; not `apiKeyId` or `accessTokenFingerprint`. */
const SECRET_MEMBER =
  /(token|secret|password|passphrase|authorization|cookie|assertion|credential|verifier|key|body|form|payload)s?$/i
const DEPTH_MAX = 5
const ENTRIES_MAX = 50
const TEXT_MAX = 2000

function blotted(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, ENTRIES_MAX)
      .map(([name, member]) => [
        name,
        SECRET_MEMBER.test(name) && mayHoldText(member) ? BLOT : plain(member, depth + 1),
      ]),
  )
}

const mayHoldText = (value: unknown): boolean =>
  typeof value === 'string' || (typeof value === 'object' && value !== null)

function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return blottedText(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return errorInBrief(value)
  if (depth > DEPTH_MAX || value instanceof Uint8Array) return BLOT
  if (Array.isArray(value)) return value.slice(0, ENTRIES_MAX).map((entry) => plain(entry, depth + 1))
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return plain((value.toJSON as () => unknown)(), depth + 1)
  return blotted(value, depth)
}

/** A foreign error's message, cause and members can hold a token, so only the places where it went are told. */
function errorInBrief(error: Error): Record<string, unknown> {
  const stack = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  const ours = error instanceof TokenError ? { code: error.code, message: blottedText(error.message) } : {}
  return { name: error.name, ...ours, stack: stack.map((line) => line.trim()) }
}

/** API keys and local refresh tokens, JWTs, credentials of a header, and whatever stands behind the ? of a URL or path. */
const LOOKS = [
  [/\btk[ckr]_[\w-]{8,}/g, BLOT],
  [/\beyJ[\w-]{8,}(\.[\w-]*)*/g, BLOT],
  [/\b(bearer|basic|dpop)\s+[\w.~+/=-]{8,}/gi, `$1 ${BLOT}`],
  [/((?:https?:\/\/|\/)[^\s?#"]*)\?[^\s"]+/g, `$1?${BLOT}`],
  [/(https?:\/\/)[^\s/@"]+@/g, `$1${BLOT}@`],
] as const

const blottedText = (text: string): string =>
  LOOKS.reduce((left, [look, instead]) => left.replace(look, instead), text.slice(0, TEXT_MAX))
