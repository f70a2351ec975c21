import type { DpopKeys } from '@tokenkeep/core'

const load = () => import('./dpop-keys.ts')

/** Keys for DPoP, their library loaded with the first one: most connections have none. */
export const dpopKeysOnDemand: DpopKeys = {
  make: async () => (await load()).dpopKeys.make(),
  read: async (privateJwk) => (await load()).dpopKeys.read(privateJwk),
}
