import { randomBytes } from 'node:crypto'
import { InvalidInput } from './json-shape.ts'
import { openSession } from './open-session.ts'
import type { Realm } from './realm.ts'

/** Lets the device that shows this code go on, as a person does on the verification page. */
export async function approveDevice(
  realm: Realm,
  userCode: string,
  subject: string | null,
): Promise<{ readonly sessionId: string; readonly subject: string }> {
  return realm.state.together(async () => {
    const code = await undecided(realm, userCode)
    const { scope, resource } = code.params ?? {}
    const resources = [resource].flat().filter((it) => typeof it === 'string')
    const { session } = await openSession(realm, {
      clientId: String(code.clientId),
      subject: subject ?? `user-${randomBytes(4).toString('hex')}`,
      scope: typeof scope === 'string' ? scope : '',
      resources,
    })
    Object.assign(code, {
      accountId: session.subject,
      authTime: Math.floor(session.createdMs / 1000),
      grantId: session.id,
      scope: session.scope,
      ...(resources.length === 0 ? {} : { resource: resources.length === 1 ? resources[0] : resources }),
    })
    await code.save()
    return { sessionId: session.id, subject: session.subject }
  })
}

/** Refuses the device that shows this code, as a person does on the verification page. */
export async function denyDevice(realm: Realm, userCode: string): Promise<void> {
  const code = await undecided(realm, userCode)
  Object.assign(code, { error: 'access_denied', errorDescription: 'The end user denied the request' })
  await code.save()
}

async function undecided(realm: Realm, userCode: string) {
  const normalized = userCode.toUpperCase().replace(/[^A-Z0-9]/g, '')
  const code = await realm.provider.DeviceCode.findByUserCode(normalized, { ignoreExpiration: true })
  if (!code) throw new InvalidInput(`user code ${userCode} is not known in realm ${realm.name}`)
  if (code.isExpired) throw new InvalidInput(`user code ${userCode} is over: the device must ask for another one`)
  if (code.error !== undefined || code.accountId !== undefined) {
    throw new InvalidInput(`user code ${userCode} is decided already`)
  }
  return code
}
