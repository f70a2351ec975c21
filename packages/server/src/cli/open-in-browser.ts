import { spawn } from 'node:child_process'
import process from 'node:process'
import type { Surroundings } from './surroundings.ts'

/**
 * Opens an address in the person's browser, where there seem to be a person and a screen.
 *
 * @param url https, or http of this machine; it goes to a program as one argument, through no shell
 * @returns whether it was tried: that the browser really opened, nobody says
 */
export function openInBrowser(url: string, { output, environment }: Surroundings): boolean {
  if (output.isTTY !== true || !/^https?:\/\//.test(url)) return false
  const command = browserOpener(process.platform, environment)
  if (command === null) return false
  const [program, ...args] = command
  const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true })
  child.on('error', () => undefined) // The address is printed as well.
  child.unref()
  return true
}

/** What opens an address on this kind of machine; null: there is no screen. */
export function browserOpener(
  platform: NodeJS.Platform,
  environment: Surroundings['environment'],
): readonly [string, ...string[]] | null {
  if (platform === 'darwin') return ['open']
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler']
  // Over ssh the screen is somewhere else, and so is the browser that could come back here.
  const screen = Boolean(environment['DISPLAY']) || Boolean(environment['WAYLAND_DISPLAY'])
  return screen && !environment['SSH_CONNECTION'] ? ['xdg-open'] : null
}
