/** Granted answers as they are kept in slots, for tests of the spill. */
import assert from 'node:assert/strict'
import { Secret } from '@tokenkeep/core'
import type {
  AttemptId,
  DurationMs,
  Fence,
  Fingerprint,
  GrantNo,
  Kept,
  Room,
  Sealer,
  Serial,
  Spill,
  Uid,
  UnixMs,
  VariantKey,
} from '@tokenkeep/core'
import { createAesGcmCipher } from '../src/cipher-aes-gcm.ts'
import { fingerprintKeyOf, newMasterKey } from '../src/keyring.ts'

export function sealerFor(): Promise<Sealer> {
  const first = newMasterKey('first')
  const keys = { source: 'a test', current: first, keys: [first], fingerprintKey: fingerprintKeyOf(first) }
  return createAesGcmCipher({ installation: 'a-test', keys }).sealer()
}

export async function roomIn(spill: Spill, sealer: Sealer): Promise<Room> {
  const room = await spill.reserve(sealer)
  assert.ok('sealer' in room, 'there is no room')
  return room
}

export interface AnswerParts {
  readonly attempt?: string
  readonly refreshToken?: string | null
  readonly accessToken?: string | null
  readonly scope?: string | null
  readonly variant?: string
}

export function answer(sealer: Sealer, parts: AnswerParts = {}): Kept {
  const { attempt = 'attempt', refreshToken = 'rt-canary', accessToken = 'at-canary', scope = 'dealer-api' } = parts
  const uid = '6a0f8f9e-0000-4000-8000-00000000beef' as Uid
  const serial = '9' as Serial
  const variant = (parts.variant ?? '') as VariantKey
  const seal = (value: string, purpose: string) => {
    const secret = new Secret('token', value)
    return {
      sealed: sealer.seal(secret, { owner: uid, purpose, serial }),
      fingerprint: sealer.fingerprint(secret),
      serial,
    }
  }
  return {
    uid,
    grant: 2 as GrantNo,
    answers: 'fingerprint-of-the-parent' as Fingerprint,
    fence: 17 as Fence,
    attempt: attempt as AttemptId,
    granted: {
      variant,
      scope,
      refreshToken:
        refreshToken === null
          ? null
          : { ...seal(refreshToken, 'rt'), receivedAt: 1_763_900_000_000 as UnixMs, endsAt: null, lifetimeMs: null },
      accessToken:
        accessToken === null
          ? null
          : {
              ...seal(accessToken, `at:${variant}`),
              variant,
              tokenType: 'Bearer',
              scope,
              lifetimeMs: 60_000 as DurationMs,
              assumed: false,
              sentAt: 1_763_900_000_000 as UnixMs,
              expiresAt: 1_763_900_060_000 as UnixMs,
            },
    },
  }
}
