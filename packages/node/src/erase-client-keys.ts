/** Erases keys of clients that are published no more: the private half of one that leaked later is of no use then. */
import { fromSeconds, publishedKeys, type Clock, type Registry } from '@tokenkeep/core'

// They are over after a day at the earliest, and nobody waits for it.
const EVERY_MS = fromSeconds(3600)

/** Looks once an hour. A store that is away is asked again then. */
export function keepErasingKeys(of: { readonly registry: Registry; readonly clock: Clock }): { stop(): void } {
  let alarm = of.clock.alarm(EVERY_MS)
  let stopped = false
  const rounds = async (): Promise<void> => {
    for (;;) {
      await alarm.rung
      if (stopped) return
      await eraseRetiredKeys(of).catch(() => undefined)
      alarm = of.clock.alarm(EVERY_MS)
    }
  }
  void rounds()
  return {
    stop() {
      stopped = true
      alarm.cancel()
    },
  }
}

/** Erases what is over, of all clients. Whoever is asked for it may be one of many: it is harmless to do it twice. */
export async function eraseRetiredKeys({
  registry,
  clock,
}: {
  readonly registry: Registry
  readonly clock: Pick<Clock, 'now'>
}): Promise<void> {
  const now = clock.now().wall
  for (const { id, tokenEndpointAuthMethod } of await registry.clients()) {
    if (tokenEndpointAuthMethod !== 'private_key_jwt') continue
    const keys = (await registry.clientKeys(id)) ?? []
    if (publishedKeys(keys, now).length === keys.length) continue
    await registry.changeClientKeys(id, {
      added: null,
      raises: 'nothing',
      decide: (found) => {
        const left = publishedKeys(found, now)
        return left.length === found.length ? null : left
      },
    })
  }
}
