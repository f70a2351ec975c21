/** What the server says about one path, kept up to date while somebody looks. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { get, Problem } from './api.ts'
import { onNews } from './news.ts'

export interface Live<T> {
  /** The newest that is known; null: nothing yet. */
  readonly data: T | null
  /** Why there is nothing newer. */
  readonly problem: Problem | null
  reload(): void
}

const EVERY_MS = 5_000
/** After news the server is asked once, however much there was. */
const SETTLE_MS = 700

/**
 * @param path null: nothing is asked
 * @param everyMs 0: asked once, and when somebody calls `reload`
 * @param keeps what was known of the path before is shown until this one is answered
 */
export function useLive<T>(path: string | null, everyMs: number = EVERY_MS, keeps = false): Live<T> {
  const [state, setState] = useState<{ readonly path: string | null; data: T | null; problem: Problem | null }>({
    path,
    data: null,
    problem: null,
  })
  const asked = useRef(0)

  const load = useCallback(async () => {
    if (path === null) return
    const mine = (asked.current += 1)
    try {
      const data = await get<T>(path)
      // Of two answers the later question's counts.
      if (mine === asked.current) setState({ path, data, problem: null })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      if (mine === asked.current)
        setState((before) => ({
          path,
          data: before.path === path && error.status !== 404 ? before.data : null,
          problem: error,
        }))
    }
  }, [path])

  useEffect(() => {
    void load()
    if (everyMs === 0) return () => void (asked.current += 1)
    const again = (): void => {
      if (document.visibilityState === 'visible') void load()
    }
    const timer = setInterval(again, everyMs)
    document.addEventListener('visibilitychange', again)
    // What the device itself knows of its network needs no waiting.
    addEventListener('online', again)
    addEventListener('offline', again)
    let settling: ReturnType<typeof setTimeout> | null = null
    const quiet = onNews(() => {
      settling ??= setTimeout(() => {
        settling = null
        again()
      }, SETTLE_MS)
    })
    return () => {
      asked.current += 1
      clearInterval(timer)
      document.removeEventListener('visibilitychange', again)
      removeEventListener('online', again)
      removeEventListener('offline', again)
      if (settling !== null) clearTimeout(settling)
      quiet()
    }
  }, [load, everyMs])

  // What was asked for another path is not shown for this one.
  const shown = state.path === path || keeps ? state : { data: null, problem: null }
  return { data: shown.data, problem: shown.problem, reload: () => void load() }
}
