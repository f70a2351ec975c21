/** Whether the server is heard of: what is shown is as old as its last word. */
import { useEffect, useState } from 'preact/hooks'

export interface Link {
  /** Epoch milliseconds by this device's clock; null: never yet. */
  readonly heardAt: number | null
  readonly isLost: boolean
}

let link: Link = { heardAt: null, isLost: false }
const listeners = new Set<(link: Link) => void>()

const become = (next: Link): void => {
  link = next
  for (const listener of listeners) listener(next)
}

export const heard = (): void => become({ heardAt: Date.now(), isLost: false })
export const silent = (): void => become({ ...link, isLost: true })

export function useLink(): Link {
  const [seen, see] = useState(link)
  useEffect(() => {
    listeners.add(see)
    see(link)
    return () => void listeners.delete(see)
  }, [])
  return seen
}
