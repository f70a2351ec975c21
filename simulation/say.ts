/** What the commands print. */
import process from 'node:process'

/** As the shell has it for whoever is ended by a closed pipe (128 + SIGPIPE). */
const READER_LEFT = 141

// `npm run simulate | head`: nobody reads on, so nothing is left to be said.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') process.exit(READER_LEFT)
})

export const say = (text: string): void => void process.stdout.write(`${text}\n`)
