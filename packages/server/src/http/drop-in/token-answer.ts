/** The successful answer of the token endpoint (RFC 6749 section 5.1), its members in the order of the origin page. */
import { Buffer } from 'node:buffer'
import { hash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import type { HandOut } from '@tokenkeep/core'
import { SECURITY_HEADERS } from '../security-headers.ts'
import { secondsLeft } from '../wire-objects.ts'
import { ACCESS_TOKEN_TYPE } from './token-exchange.ts'

export interface TokenAnswers {
  /** A name of the access token that does not tell it: equal for equal tokens. */
  nameOf(given: HandOut): string
  /**
   * @param more what this client gets beside the token; a refresh token as it was presented; null: none
   * @param nowMs epoch milliseconds
   */
  send(reply: FastifyReply, given: HandOut, more: More, nowMs: number): void
}

export interface More {
  readonly refreshToken: string | null
  /** It was exchanged for (RFC 8693 section 2.2.1). */
  readonly exchanged: boolean
}

/** What does not change of an answer. Hand-outs are shared between callers, so it is written once for all of them. */
interface Written {
  readonly name: string
  readonly before: string
  readonly after: string
  readonly bytes: number
}

export function createTokenAnswers(): TokenAnswers {
  const written = new WeakMap<HandOut, Written>()
  const of = (given: HandOut): Written => {
    const known = written.get(given)
    if (known !== undefined) return known
    const made = write(given)
    written.set(given, made)
    return made
  }
  return {
    nameOf: (given) => of(given).name,
    send(reply, given, { refreshToken, exchanged }, nowMs) {
      const { before, after, bytes } = of(given)
      // A local refresh token that was found is of letters, digits, - and _: nothing in it needs an escape.
      const renewal = refreshToken === null ? '' : `,"refresh_token":"${refreshToken}"`
      // 0 would be read as no end at all, by Go's library and by Authlib for two: the token would be used for ever.
      const left = Math.max(1, secondsLeft(given.expiresAt, nowMs))
      const varying = `${left}${renewal}${exchanged ? ISSUED : ''}`
      // Past Fastify, whose way through serialisation and hooks costs a tenth of the whole request.
      reply.hijack()
      reply.raw.writeHead(200, [...HEADERS, 'content-length', String(bytes + varying.length)])
      reply.raw.end(before + varying + after)
    },
  }
}

const ISSUED = `,"issued_token_type":"${ACCESS_TOKEN_TYPE}"`

function write({ accessToken, tokenType, scope }: HandOut): Written {
  const before = `{"access_token":${JSON.stringify(accessToken)},"expires_in":`
  const after = `,"token_type":${JSON.stringify(tokenType)}${scope === null ? '' : `,"scope":${JSON.stringify(scope)}`}}`
  const name = hash('sha256', accessToken, 'base64url')
  return { name, before, after, bytes: Buffer.byteLength(before) + Buffer.byteLength(after) }
}

const HEADERS = [
  ...Object.entries(SECURITY_HEADERS).flat(),
  'pragma',
  'no-cache',
  'content-type',
  'application/json; charset=utf-8',
]
