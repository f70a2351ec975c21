/** Forwarding, loaded when somebody asks for it: a command that hands out a token should not wait for it. */
import type { ApiRequest, Forwarded, ForwardSetup } from './forward.ts'
import { onDemand } from './on-demand.ts'

export interface ForwardOnDemand {
  /** @param token hands out to whoever asks */
  forward(connectionId: string, request: ApiRequest, token: ForwardSetup['token']): Promise<Forwarded>
  /** Ends the connections to APIs. */
  close(): void
}

export function forwardOnDemand(setup: ForwardSetup): ForwardOnDemand {
  const loaded = onDemand(async () => (await import('./forward.ts')).createForward(setup))
  return {
    forward: async (connectionId, request, token) => (await loaded())(connectionId, request, token),
    close: () => void loaded.made()?.then((forward) => forward[Symbol.dispose]()),
  }
}
