// What a careful user builds: openid-client, one call at a time in a process, a lock file between processes, and the file
// read again inside the lock.
import { lock } from 'proper-lockfile'
import { lives, loginFile, readLogin } from './login-file.mjs'
import * as openidClient from './openid-client.mjs'

export { seed, stop } from './openid-client.mjs'

let marginMs

export async function start(place) {
  marginMs = place.marginSeconds * 1000
  await openidClient.start(place)
}

const LOCK = {
  // The shortest that it takes, and the most favourable here: a killed holder is passed by within a grace of 10 s.
  stale: 5_000,
  update: 1_000,
  // A minute in all.
  retries: { retries: 1_200, factor: 1, minTimeout: 50, maxTimeout: 50 },
  // By default it throws where nobody catches, which ends the process.
  onCompromised: () => undefined,
}

const running = new Map()

export async function getToken(id) {
  const login = readLogin(id)
  if (lives(login, marginMs)) return login.access_token
  try {
    return await joined(id)
  } catch (error) {
    if (lives(login)) return login.access_token
    throw error
  }
}

async function joined(id) {
  const before = running.get(id)
  if (before !== undefined) return before
  const refresh = locked(id).finally(() => running.delete(id))
  running.set(id, refresh)
  return refresh
}

async function locked(id) {
  const release = await lock(loginFile(id), LOCK)
  try {
    return await openidClient.getToken(id, marginMs)
  } finally {
    // It refuses where the lock was taken over meanwhile.
    await release().catch(() => undefined)
  }
}
