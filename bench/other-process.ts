/** A process beside the one that is measured: it sends messages, and ends when it is told to or its parent is gone. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface OtherProcess {
  send(message: string | number | object): void
  /** What it sends next; ours, so of the type that its file says. */
  message<Message>(): Promise<Message>
  end(): Promise<void>
}

export function startProcess(file: URL, parameters: readonly string[]): OtherProcess {
  const child = fork(fileURLToPath(file), [...parameters])
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    send: (message) => void child.send(message),
    message: <Message>() =>
      new Promise<Message>((resolve, reject) => {
        const ended = (): void => reject(new Error(`${file.pathname} ended before it had an answer`))
        child.once('exit', ended)
        child.once('message', (message) => {
          child.off('exit', ended)
          resolve(message as Message)
        })
      }),
    async end() {
      if (child.connected) child.disconnect()
      await gone
    },
  }
}
