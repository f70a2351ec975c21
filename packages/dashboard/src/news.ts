/** That something happened: whoever shows something asks anew. */
const listeners = new Set<() => void>()

const tellNews = (): void => {
  for (const listener of listeners) listener()
}

/**
 * Listens to the server while somebody looks at this page. A page that nobody looks at lets go: browsers hold few connections
 * to one host, and other tabs want some.
 *
 * @returns what ends it
 */
export function listenToServer(): () => void {
  let stream: EventSource | null = null
  const follow = (): void => {
    stream?.close()
    stream = document.visibilityState === 'visible' ? new EventSource('/v1/events') : null
    stream?.addEventListener('message', tellNews)
  }
  follow()
  document.addEventListener('visibilitychange', follow)
  return () => {
    document.removeEventListener('visibilitychange', follow)
    stream?.close()
  }
}

/** @returns what ends it */
export function onNews(listener: () => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}
