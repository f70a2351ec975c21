/** Who is at this command, as far as the system says. */
import { hostname, userInfo } from 'node:os'
import process from 'node:process'
import type { Actor } from '@tokenkeep/node'

export const commandActor = (): Actor => ({ kind: 'command', user: userName(), host: hostname(), pid: process.pid })

/** A user id need not have a name: containers run as one that is in no list. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return process.getuid === undefined ? 'unknown' : `uid ${process.getuid()}`
  }
}
