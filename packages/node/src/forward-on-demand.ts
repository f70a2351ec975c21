/** Forwarding, loaded when somebody asks for it: a command that hands out a token should not wait for it. */
import type { ApiRequest, Forward, Forwarded, ForwardSetup } from './forward.ts'

export interface ForwardOnDemand {
  forward(connectionId: string, request: ApiRequest): Promise<Forwarded>
  /** Ends the connections to APIs. */
  close(): void
}

export function forwardOnDemand(setup: ForwardSetup): ForwardOnDemand {
  let loaded: Promise<Forward> | null = null
  return {
    async forward(connectionId, request) {
      loaded ??= import('./forward.ts').then(({ createForward }) => createForward(setup))
      return (await loaded)(connectionId, request)
    },
    close: () => void loaded?.then((forward) => forward[Symbol.dispose]()),
  }
}
