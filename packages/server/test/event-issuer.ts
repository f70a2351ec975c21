/** A provider that signs what a test wants it to say. */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
export const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
export const CREDENTIAL_CHANGE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change'

export type Claims = Record<string, unknown>

export interface EventIssuer {
  readonly issuer: string
  /** What its key set is answered with: 503 for "not now". */
  status: number
  /** Right, unless the claims say otherwise. */
  logoutToken(claims?: Claims): string
  securityEvent(claims?: Claims): string
}

export async function eventIssuer(t: TestContext): Promise<EventIssuer> {
  const { publicKey, privateKey } = newKeys()
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'ES256' }
  const state = { status: 200 }
  const server = createServer((_request, response) => {
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let serial = 0
  const token = (claims: Claims, typ: string): string =>
    signedBy(privateKey, typ, { iss: issuer, aud: 'app', iat: seconds(), jti: `jti-${(serial += 1)}`, ...claims })
  const ofLogout = { sub: 'alice', sid: 'session-1', events: { [LOGOUT]: {} } }
  return Object.assign(state, {
    issuer,
    logoutToken: (claims: Claims = {}) => token({ exp: seconds() + 120, ...ofLogout, ...claims }, 'logout+jwt'),
    securityEvent: (claims: Claims = {}) => token(claims, 'secevent+jwt'),
  })
}

export const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** A compact JWS (RFC 7515 section 7.1). */
export const signedBy = (key: KeyObject, typ: string, claims: Claims): string =>
  signedWithHeader(key, { alg: 'ES256', kid: 'one', typ }, claims)

/** The same, whatever its header says. */
export function signedWithHeader(key: KeyObject, header: Claims, claims: Claims): string {
  const encoded = (part: Claims): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  const body = `${encoded(header)}.${encoded(claims)}`
  return `${body}.${sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const seconds = (): number => Math.floor(Date.now() / 1000)
