import { randomBytes } from 'node:crypto'
import type { Control, SeededSession, SessionSeed } from './control.ts'
import { approveDevice, denyDevice } from './device-decision.ts'
import { readFaultOrder } from './fault.ts'
import { InvalidInput, members, optional, text, whole } from './json-shape.ts'
import { makeJwt, readJwtOrder } from './made-jwt.ts'
import { NO_END_SECONDS } from './lifetimes.ts'
import { SEED_SCOPE } from './options.ts'
import { readClientOptions, readRealmChange, readRealmOptions, readScope } from './options-shape.ts'
import { openSession } from './open-session.ts'
import { openRealm, type Realm } from './realm.ts'
import { pushEvent, readSecurityEventOrder } from './security-event.ts'
import type { World } from './world.ts'

/** The control API in process; what it is given is checked, because most of it comes as JSON from elsewhere. */
export function createControl(world: World, shutdown: () => void): Control {
  const realmOf = (name: string): Realm => {
    const realm = world.realms.get(name)
    if (!realm) throw new InvalidInput(`realm ${name} is not known; known: ${[...world.realms.keys()].join(', ')}`)
    return realm
  }
  return {
    async putRealm(value) {
      const options = readRealmOptions(value, 'realm')
      const known = world.realms.get(options.name)
      if (known) await update(known, options)
      else world.realms.set(options.name, await openRealm(world.state, world.origin, options))
    },
    async updateRealm(name, value) {
      const change = readRealmChange(value, 'change')
      await update(realmOf(name), change)
    },
    async putClient(name, value) {
      await realmOf(name).putClient(readClientOptions(value, 'client'))
    },
    async rotateClientSecret(name, clientId, secret) {
      const realm = realmOf(name)
      const client = clientOf(realm, clientId)
      if (client.clientSecret === undefined) throw new InvalidInput(`client ${clientId} is public: it has no secret`)
      const clientSecret = secret ?? randomBytes(24).toString('base64url')
      await realm.putClient({ ...client, clientSecret })
      return { clientSecret }
    },
    async seedSession(name, value) {
      return seed(realmOf(name), readSeed(value))
    },
    async addFault(value) {
      return { faultId: world.faults.add(readFaultOrder(value, 'order')) }
    },
    async clearFaults() {
      world.faults.clear()
    },
    async faults() {
      return world.faults.list()
    },
    async counters(name, sessionId) {
      return countersOf(realmOf(name), sessionId)
    },
    async sessions(name) {
      return realmOf(name).sessions.all()
    },
    async totals() {
      return world.tally.totals()
    },
    async requests() {
      return world.log.list()
    },
    async resetCounters() {
      world.tally.reset()
      world.log.clear()
      for (const realm of world.realms.values()) realm.sessions.resetCounters()
    },
    async revokeAccessToken(token) {
      const nowMs = Date.now()
      const realm = [...world.realms.values()].find((it) => it.standing(token, nowMs).standing !== 'unknown')
      if (!realm) throw new InvalidInput('this access token is not known to any realm')
      const id = realm.recordId(token)
      await Promise.all([
        realm.provider.AccessToken.adapter.destroy(id),
        realm.provider.ClientCredentials.adapter.destroy(id),
      ])
    },
    async killSession(name, sessionId) {
      const realm = realmOf(name)
      countersOf(realm, sessionId)
      await world.turns.take(`${realm.name} ${sessionId}`, () =>
        world.state.together(async () => realm.sessions.kill(sessionId, 'revoked_upstream', Date.now())),
      )
    },
    async signOut(name, sessionId) {
      const realm = realmOf(name)
      countersOf(realm, sessionId)
      return world.turns.take(`${realm.name} ${sessionId}`, () => realm.signOut(sessionId))
    },
    async logoutPosts(name) {
      return realmOf(name).logouts.list()
    },
    async approveDevice(name, userCode, value = {}) {
      const from = members(value, 'person', ['subject'])
      return approveDevice(realmOf(name), userCode, optional(from, 'subject', text).subject ?? null)
    },
    async denyDevice(name, userCode) {
      await denyDevice(realmOf(name), userCode)
    },
    async renewDpopNonces(name) {
      realmOf(name).renewNonces()
    },
    async sign(name, value) {
      return { jwt: makeJwt(realmOf(name).keys, readJwtOrder(value, 'order')) }
    },
    async pushEvent(name, value) {
      return pushEvent(realmOf(name), readSecurityEventOrder(value, 'order'))
    },
    async shutdown() {
      shutdown()
    },
  }
}

async function update(realm: Realm, change: ReturnType<typeof readRealmChange>): Promise<void> {
  realm.change(change)
  for (const client of change.clients ?? []) await realm.putClient(client)
}

function clientOf(realm: Realm, clientId: string) {
  const client = realm.client(clientId)
  if (!client) throw new InvalidInput(`client ${clientId} is not known in realm ${realm.name}: put it first`)
  return client
}

function countersOf(realm: Realm, sessionId: string) {
  const counters = realm.sessions.counters(sessionId)
  if (!counters) throw new InvalidInput(`session ${sessionId} is not known in realm ${realm.name}`)
  return counters
}

function readSeed(value: unknown): SessionSeed {
  const from = members(value, 'seed', [
    'clientId',
    'subject',
    'scope',
    'accessTokenSeconds',
    'refreshTokenSeconds',
    'dpopJkt',
  ])
  return {
    clientId: text(from, 'clientId'),
    ...optional(from, 'subject', text),
    ...optional(from, 'scope', readScope),
    ...optional(from, 'accessTokenSeconds', (it, key) => whole(it, key, 1)),
    ...optional(from, 'refreshTokenSeconds', (it, key) => whole(it, key, 0)),
    ...optional(from, 'dpopJkt', text),
  }
}

async function seed(realm: Realm, wanted: SessionSeed): Promise<SeededSession> {
  const { mayRefresh = true } = clientOf(realm, wanted.clientId)
  if (wanted.dpopJkt !== undefined && realm.settings.dpop === 'off') {
    throw new InvalidInput(`seed.dpopJkt needs a realm with DPoP: set dpop of ${realm.name} to "allowed" or "required"`)
  }
  const client = await realm.provider.Client.find(wanted.clientId)
  if (!client) throw new InvalidInput(`client ${wanted.clientId} is not known in realm ${realm.name}: put it first`)
  const subject = wanted.subject ?? `user-${randomBytes(4).toString('hex')}`
  const scope = wanted.scope ?? SEED_SCOPE

  return realm.state.together(async () => {
    const { session } = await openSession(realm, {
      clientId: wanted.clientId,
      subject,
      scope,
      ...(wanted.accessTokenSeconds === undefined ? {} : { accessSeconds: wanted.accessTokenSeconds }),
      ...(wanted.refreshTokenSeconds === undefined ? {} : { refreshSeconds: wanted.refreshTokenSeconds }),
    })
    const sessionId = session.id
    const nowMs = session.createdMs
    const { accessSeconds, refreshSeconds } = realm.lifetimes({ ...session, killedBecause: null }, nowMs)
    const common = { client, accountId: subject, grantId: sessionId, scope, gty: 'authorization_code' }
    const accessToken = new realm.provider.AccessToken({ ...common, expiresIn: accessSeconds })
    if (wanted.dpopJkt !== undefined) accessToken.setThumbprint('jkt', wanted.dpopJkt)
    await accessToken.save()
    const authTime = Math.floor(nowMs / 1000)
    const first = new realm.provider.RefreshToken({ ...common, authTime, expiresIn: refreshSeconds ?? NO_END_SECONDS })
    if (wanted.dpopJkt !== undefined && client.clientAuthMethod === 'none') first.jkt = wanted.dpopJkt
    const refreshToken = mayRefresh ? await first.save() : null
    return {
      sessionId,
      accessToken: realm.presentable(accessToken, accessSeconds),
      refreshToken,
      expiresIn: accessSeconds,
      refreshExpiresIn: refreshToken === null ? 0 : (refreshSeconds ?? 0),
      scope,
      subject,
    }
  })
}
