/** Ends a server whose starter is gone, however that ended: a killed test must leave nothing running. */
import { spawn } from 'node:child_process'

// Waits until the pipe from its starter closes, which the kernel does for the killed, too.
const SCRIPT = `
read _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null && sleep 1
rm -rf "$1"
`

/**
 * @param folder of the server, with its `data`; removed together with it
 * @returns ends the watch, after an orderly end
 */
export function watchOver(folder: string): () => void {
  // In a group of its own, so that a signal to the group of a test does not end it first.
  const watchdog = spawn('/bin/sh', ['-c', SCRIPT, 'sh', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watchdog.on('error', () => undefined)
  watchdog.unref()
  const pipe = watchdog.stdin as typeof watchdog.stdin & { unref(): void }
  pipe.on('error', () => undefined)
  pipe.unref()
  return () => void watchdog.kill('SIGKILL')
}
