/** Explores a field in a thread of its own: a test runner follows every promise of its own thread, which takes longer than they do. */
import { Worker } from 'node:worker_threads'
import type { Explored } from './explore.ts'
import type { Field } from './fields.ts'

/** What a thread is told. */
export interface Told extends Pick<Field, 'setting' | 'bounds'> {
  readonly scene: string
}

/** Fails where the thread does. */
export function exploreInThread({ name, setting, bounds, scene }: Field): Promise<Explored> {
  return new Promise((resolve, reject) => {
    const workerData: Told = { setting, bounds, scene: scene.name }
    const worker = new Worker(new URL('explore-worker.ts', import.meta.url), { workerData })
    worker.on('message', resolve)
    worker.on('error', (error: Error) => void reject(new Error(`${name}: ${error.message}`)))
    worker.on('exit', (code) => void reject(new Error(`${name}: its thread ended with ${code}`)))
  })
}
