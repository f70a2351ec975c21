/** The realms of one run. All of them have *Revoke Refresh Token* on. */
import type { RealmSettings } from './realm.ts'

export const EXTERNAL = {
  name: 'external',
  maxReuse: 0,
  accessTokenSeconds: 4,
} as const satisfies RealmSettings

export const EXTERNAL_REUSE_2 = {
  name: 'external-reuse-2',
  maxReuse: 2,
  accessTokenSeconds: 4,
} as const satisfies RealmSettings

/** Its sessions end soon, however often they are used. */
export const EXTERNAL_BRIEF = {
  name: 'external-brief',
  maxReuse: 0,
  accessTokenSeconds: 4,
  sessionSeconds: 30,
} as const satisfies RealmSettings

export const REALMS: readonly RealmSettings[] = [EXTERNAL, EXTERNAL_REUSE_2, EXTERNAL_BRIEF]
