import { recordName } from './engine-adapter.ts'
import type { Realm } from './realm.ts'

/** What a device that is told to slow down must add to its interval, in seconds (RFC 8628 section 3.5). */
const SLOWER_SECONDS = 5
const LENIENCE_MS = 250 // A client counts its interval between answers, which the way of a request can shorten here.

/**
 * Judges whether a device asks too often, and remembers that it asked; codes that are over are left to the engine.
 *
 * Each refusal lengthens the interval for good, so that a client which goes on as before is refused for ever.
 */
export function judgePoll(realm: Realm, deviceCode: string, nowMs: number): 'in_time' | 'too_soon' {
  const name = recordName(deviceCode)
  const code = realm.state.row(
    `SELECT expires_ms FROM artifact WHERE realm = ? AND model = 'DeviceCode' AND name = ? AND revoked_ms IS NULL
       AND expires_ms > ? AND json_extract(payload, '$.consumed') IS NULL`,
    realm.name,
    name,
    nowMs,
  )
  if (code === null) return 'in_time'

  const before = lastPoll(realm, name)
  const intervalSeconds = before?.intervalSeconds ?? realm.settings.devicePollSeconds
  const tooSoon = before !== null && nowMs - before.askedMs < intervalSeconds * 1000 - LENIENCE_MS
  const poll = { askedMs: nowMs, intervalSeconds: intervalSeconds + (tooSoon ? SLOWER_SECONDS : 0) }
  realm.state.write(
    `INSERT INTO artifact (realm, model, name, payload, expires_ms) VALUES (?, 'DevicePoll', ?, ?, ?)
     ON CONFLICT DO UPDATE SET payload = excluded.payload`,
    realm.name,
    name,
    JSON.stringify(poll),
    Number(code['expires_ms']),
  )
  return tooSoon ? 'too_soon' : 'in_time'
}

interface Poll {
  readonly askedMs: number
  readonly intervalSeconds: number
}

function lastPoll(realm: Realm, name: string): Poll | null {
  const row = realm.state.row(
    `SELECT payload FROM artifact WHERE realm = ? AND model = 'DevicePoll' AND name = ?`,
    realm.name,
    name,
  )
  return row && (JSON.parse(String(row['payload'])) as Poll)
}
