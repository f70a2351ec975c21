/** What the tests of `tokenkeep dev` have in common. */
import type { TestContext } from 'node:test'
import type { TokenkeepEvent } from '@tokenkeep/core'
import { openDesk, type Desk, type Started } from './command.ts'

export interface ReadyLine {
  readonly ready: true
  readonly authorizationServer: string
  readonly controlUrl: string
  readonly demoApi: string
  readonly data: string
  readonly connections: readonly string[]
  readonly url: string
  readonly tokenEndpoint: string
  readonly apiKey: string
  readonly clientId: string
  readonly clientSecret: string
  readonly refreshToken: string
}

/** On ports of its own. */
export const DEV = ['dev', '--port', '0', '--as-port', '0'] as const

export function deskFor(t: TestContext): Desk {
  const desk = openDesk()
  t.after(() => desk.close())
  return desk
}

/** The first line that it prints, with `--json`. */
export async function readyOf({ line }: Started): Promise<ReadyLine> {
  return JSON.parse(await line(() => true)) as ReadyLine
}

/** The next event that fits, with `--json`. */
export async function eventOf({ line }: Started, fits: (event: TokenkeepEvent) => boolean): Promise<TokenkeepEvent> {
  return JSON.parse(await line((text) => fits(JSON.parse(text) as TokenkeepEvent))) as TokenkeepEvent
}
