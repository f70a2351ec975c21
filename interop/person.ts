/** People with browsers of their own. */
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { run } from './fleet.ts'
import { bringPackage } from './npm-packages.ts'
import type { USER } from './realm.ts'
import type { Stage } from './row.ts'

const PROGRAM = fileURLToPath(new URL('person.mjs', import.meta.url))

/** The page on which something ended, and how the browser came there. */
export interface PageSeen {
  readonly title: string
  readonly text: string
  /** Of Chromium. */
  readonly version: string
  /** For each authorization request the names of its parameters. */
  readonly asked: readonly (readonly string[])[]
}

export interface PersonMore {
  /** What the person types where a page asks for the code of a device. */
  readonly code?: string
  /** To what a page asks leave for; yes where absent. */
  readonly says?: 'yes' | 'no'
  /** Where a picture of the last page is kept; none is taken where absent. */
  readonly screenshot?: string
}

export interface Person {
  /** Opens an address, fills in the forms that come, and presses what is to be pressed. */
  readonly open: (url: string, more?: PersonMore) => Promise<PageSeen>
}

/** @param browser tells browsers apart that have their cookies for themselves */
export function person(
  { folder }: Pick<Stage, 'folder'>,
  browser: string,
  user: Readonly<Record<keyof typeof USER, string>>,
): Person {
  return {
    async open(url, more = {}) {
      await bringPackage('playwright-core')
      const instructions = { url, user, cookies: join(folder, `${browser}.cookies.json`), ...more }
      // Printed by a program of this very folder.
      return JSON.parse(
        await run({ command: process.execPath, args: [PROGRAM, JSON.stringify(instructions)] }),
      ) as PageSeen
    },
  }
}
