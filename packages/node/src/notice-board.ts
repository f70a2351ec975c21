/** Notices of a source that names what was written, kept for each listener until it takes them. */
import type { Alarm, Listener, Notices, Uid } from '@tokenkeep/core'

/** What a source that rings by itself hands on. */
export interface NoticeBoard {
  readonly notices: Notices
  /** Another process wrote to this connection; `unknown`: somebody may have written anything. */
  post(written: Uid | 'unknown'): void
}

// Whoever takes nothing for so long asks for everything.
const UIDS_MOST = 10_000

export function createNoticeBoard(): NoticeBoard {
  const listeners = new Set<(written: Uid | 'unknown') => void>()
  return {
    notices: {
      listen() {
        const { listener, hear } = createListener(() => listeners.delete(hear))
        listeners.add(hear)
        return listener
      },
    },
    post: (written) => {
      for (const hear of listeners) hear(written)
    },
  }
}

function createListener(closed: () => void): { listener: Listener; hear: (written: Uid | 'unknown') => void } {
  const ringing = new Set<() => void>()
  let heard: Set<Uid> | 'unknown' = new Set()
  const isEmpty = (): boolean => heard !== 'unknown' && heard.size === 0

  const listener: Listener = {
    bell(): Alarm {
      const { promise, resolve } = Promise.withResolvers<void>()
      if (isEmpty()) ringing.add(resolve)
      else resolve()
      return { rung: promise, cancel: () => void ringing.delete(resolve) }
    },
    take() {
      const taken = heard
      heard = new Set()
      return taken === 'unknown' ? taken : [...taken]
    },
    close() {
      closed()
      ringing.clear()
      heard = new Set()
    },
  }
  const hear = (written: Uid | 'unknown'): void => {
    if (heard !== 'unknown') {
      if (written === 'unknown' || heard.size >= UIDS_MOST) heard = 'unknown'
      else heard.add(written)
    }
    for (const ring of ringing) ring()
    ringing.clear()
  }
  return { listener, hear }
}
